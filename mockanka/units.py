"""Parsing and formatting of durations, sizes, bandwidths and moments, exact to the nanosecond, byte and bit.

Durations are written as in Go. Each ``format`` function writes a text that its ``parse`` function reads.
"""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

# Nanoseconds.
MICROSECOND = 1_000
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
# Bytes.
MB = 1_000_000
GB = 1_000_000_000
MIB = 1024 * 1024
MB_PER_GB = 1024
"""Of RAM, which is counted in powers of two."""

MAX_MOMENT = 253_402_300_799 * SECOND
"""The last second of the year 9999, in nanoseconds since 1970: RFC 3339 cannot write a later moment."""

MAX_AMOUNT_LENGTH = 200
"""Number of characters that an amount may have."""
MAX_DURATION = 1000 * 365 * 24 * HOUR
"""A thousand years: no duration, sample of a distribution or transfer is longer."""

_DURATION_UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": SECOND,
    "m": MINUTE,
    "h": HOUR,
}
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*(?:/s)?)", re.ASCII)
_PREFIXES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_SIZE_UNITS = {f"{prefix}b": factor for prefix, factor in _PREFIXES.items()} | {
    f"{prefix}ib": 1024**power for power, prefix in enumerate("kmgt", start=1)
}
_BANDWIDTH_UNITS = {f"{prefix}bit/s": factor for prefix, factor in _PREFIXES.items()} | {
    f"{prefix}b/s": 8 * factor for prefix, factor in _PREFIXES.items()
}
_MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)",
    re.ASCII,
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_duration(text: str) -> int:
    """Return the nanoseconds of a duration such as ``20s``, ``1m30s``, ``250ms`` or ``1.5h``.

    Raises ValueError, with an example, if the text is no duration, is negative or is longer than MAX_DURATION.
    """
    rest = text.strip()
    _require_short(rest)
    if rest.startswith("-"):
        raise ValueError(f"{text!r} is negative: time does not go back")
    if rest == "0":
        return 0
    parts = list(_DURATION_PART.finditer(rest))
    if not parts or "".join(part.group() for part in parts) != rest:
        raise ValueError(f"{text!r} is no duration: write it like 20s, 1m30s or 250ms")
    length = sum(int(Decimal(part[1]) * _DURATION_UNITS[part[2]]) for part in parts)
    if length > MAX_DURATION:
        raise ValueError(f"{text!r} is longer than a thousand years")
    return length


def format_duration(value: int) -> str:
    """Return a duration as Go prints it: ``1h0m5s``, ``1m30s``, ``1.5s``, ``250ms``, ``0s``."""
    for unit in ("ms", "us", "ns"):
        if 0 < value < SECOND and value >= _DURATION_UNITS[unit]:
            return f"{_decimal(value, _DURATION_UNITS[unit])}{'µs' if unit == 'us' else unit}"
    minutes, rest = divmod(value, MINUTE)
    hours, minutes = divmod(minutes, 60)
    seconds = _decimal(rest, SECOND)
    if hours:
        return f"{hours}h{minutes}m{seconds}s"
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"


def parse_size(text: str) -> int:
    """Return the bytes of a size such as ``20GB``, ``512MiB`` or ``16427892736``. GB is 10^9 bytes, GiB 2^30.

    Raises ValueError, with an example, if the text is no size.
    """
    return _parse_amount(text, {"": 1, **_SIZE_UNITS}, "size", "20GB, 512MiB or a number of bytes")


def format_size(value: int) -> str:
    """Return a number of bytes in the largest of TB, GB and MB that is exact, else as a plain number."""
    return _format_amount(value, [("TB", 1000 * GB), ("GB", GB), ("MB", MB)], "")


def parse_bandwidth(text: str) -> int:
    """Return the bits per second of a bandwidth such as ``1Gbit/s``, ``100Mbit/s`` or ``10MB/s``.

    Raises ValueError, with an example, if the text is no bandwidth, or if it is zero: nothing would ever arrive.
    """
    bits = _parse_amount(text, _BANDWIDTH_UNITS, "bandwidth", "1Gbit/s, 100Mbit/s or 10MB/s")
    if bits < 1:
        raise ValueError(f"{text!r}: a bandwidth must be more than zero")
    return bits


def format_bandwidth(value: int) -> str:
    """Return a number of bits per second in the largest of Gbit/s, Mbit/s and bit/s that is exact."""
    return _format_amount(value, [("Gbit/s", 10**9), ("Mbit/s", 10**6)], "bit/s")


def parse_moment(text: str) -> int:
    """Return the nanoseconds since 1970 of an RFC 3339 time, such as ``2024-01-01T00:00:00.5Z``.

    Raises ValueError if the text is no such time.
    """
    match = _MOMENT.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no moment: write it like 2024-01-01T00:00:00Z")
    day, clock, fraction, zone = match.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}{'+00:00' if zone in 'Zz' else zone}")
        whole = (moment - EPOCH) // timedelta(seconds=1)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text!r} is no moment: {error}") from None
    return whole * SECOND + int((fraction or "0").ljust(9, "0"))


def format_moment(value: int) -> str:
    """Return a moment as RFC 3339 in UTC with nanoseconds, without trailing zeros, as Go's encoder writes it."""
    whole, fraction = divmod(min(value, MAX_MOMENT), SECOND)
    text = (EPOCH + timedelta(seconds=whole)).strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
    return f"{text}.{fraction:09d}".rstrip("0").rstrip(".") + "Z"


def format_ram(value: int) -> str:
    """Return a number of MB of RAM as the API writes it: ``4G``, or ``2500M`` if it is no whole number of GB."""
    return f"{value // MB_PER_GB}G" if value % MB_PER_GB == 0 else f"{value}M"


def _require_short(text: str) -> None:
    if len(text) > MAX_AMOUNT_LENGTH:
        raise ValueError(f"{text[:40]!r}... is longer than {MAX_AMOUNT_LENGTH} characters")


def _decimal(amount: int, unit: int) -> str:
    text = f"{Decimal(amount) / unit:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _parse_amount(text: str, units: dict[str, int], kind: str, examples: str) -> int:
    _require_short(text)
    match = _AMOUNT.fullmatch(text.strip())
    if match is None or match[2].lower() not in units:
        raise ValueError(f"{text!r} is no {kind}: write it like {examples}")
    return int(Decimal(match[1]) * units[match[2].lower()])


def _format_amount(amount: int, units: list[tuple[str, int]], plain: str) -> str:
    for unit, factor in units:
        if amount and amount % factor == 0:
            return f"{amount // factor}{unit}"
    return f"{amount}{plain}"
