"""The fields of sections: how each kind of value is read, from the text of YAML or the value of JSON, and dumped."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from decimal import Decimal
from enum import StrEnum
from math import isfinite
from types import MappingProxyType
from typing import Any, ClassVar

from marshmallow import ValidationError, fields

from mockanka import units
from mockanka.core.durations import Fixed, Lognormal, Normal, Uniform, WallTime
from mockanka.core.faults import Amount
from mockanka.core.release import Release
from mockanka.scenario.source import Scalar, nearest

TRUE = ("true", "yes", "on")
FALSE = ("false", "no", "off")
MAX_SPEED = 1e9
DEEPEST = 50
"""How many levels deep a value of any shape may be nested."""
MAX_JSON_INT = 10**1000
"""Numbers in values of any shape are below it: a fault may send more than the controller's integers hold."""
MAX_SIZE = 10**18
MAX_DIGITS = 29
"""Digits that a whole number may have, in YAML as in JSON: a dump is read as either."""
MAX_INT, MIN_INT = 2**63 - 1, -(2**63)
"""Limits of whole numbers: what the controller's own integers hold, as in requests."""


class _Field(fields.Field[Any]):
    """Base: ``read`` converts what is written to a value, or raises ValueError that says what would be right."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_none=options.pop("allow_none", False), **options)
        self.error_messages["null"] = "has no value"
        self.error_messages["required"] = "is missing"

    def read(self, written: Any) -> Any:
        raise NotImplementedError

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        try:
            return self.read(value)
        except ValueError as error:
            raise ValidationError(str(error)) from None


class Text(_Field):
    """Text as it is written: ``tag: 15.0`` is the text 15.0."""

    def read(self, written: Any) -> str:
        if not isinstance(written, str):
            raise ValueError(f"{written!r} is not text")
        if self.required and not written:
            raise ValueError("is empty")
        return str(written)


class NonEmptyText(Text):
    """Text that is not empty."""

    def read(self, written: Any) -> str:
        text = super().read(written)
        if not text:
            raise ValueError("is empty")
        return text


class ReleaseText(Text):
    """A controller release."""

    def read(self, written: Any) -> Any:
        return Release.parse(super().read(written))

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return None if value is None else str(value)


class Choice(Text):
    """One of some words. ``hints`` are for words that are often written instead, and say what to write."""

    def __init__(self, *choices: str, hints: Mapping[str, str] = MappingProxyType({}), **options: Any) -> None:
        super().__init__(**options)
        self.choices = list(choices)
        self.hints = hints

    def read(self, written: Any) -> str:
        word = super().read(written)
        if word not in self.choices:
            raise ValueError(f"{word!r} is not known: {self.hints.get(word) or nearest(word, self.choices)}")
        return word


class Member(Choice):
    """The value of a member of an enumeration, or of some members, or one of some ``others``, which stay words."""

    def __init__(
        self,
        enumeration: type[StrEnum],
        without: Collection[StrEnum] = (),
        others: Collection[str] = (),
        **options: Any,
    ) -> None:
        super().__init__(*(member.value for member in enumeration if member not in without), *others, **options)
        self.enumeration, self.others = enumeration, others

    def read(self, written: Any) -> Any:
        word = super().read(written)
        return word if word in self.others else self.enumeration(word)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return None if value is None else str(value)


class ResponseDelay(_Field):
    """How late a response is: a duration of the controller's time, or ``wall`` with one of real time."""

    def read(self, written: Any) -> Any:
        if isinstance(written, Mapping) and "wall" in written:
            if len(written) != 1:
                raise ValueError("wall stands alone: write it like {wall: 40s}")
            return WallTime(FixedDuration().read(written["wall"]))
        return RandomDuration().read(written)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        if isinstance(value, WallTime):
            return {"wall": units.format_duration(value.length)}
        return RandomDuration()._serialize(value, attr, obj, **kwargs)


class CountRange(_Field):
    """A number from 1 on, or a range like 2-5."""

    def read(self, written: Any) -> tuple[int, int]:
        first, dash, last = str(written).strip().partition("-")
        if not (first.isascii() and first.isdigit() and (not dash or (last.isascii() and last.isdigit()))):
            raise ValueError(f"{str(written)[:40]!r} is no count: write it like 3, or 2-5 for a range")
        low = int(first[:19])
        high = int(last[:19]) if dash else low
        if not 1 <= low <= high <= 10**9:
            raise ValueError(f"{str(written)[:40]!r} is no range of requests, which are counted from 1 to 1000000000")
        return low, high

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        if value is None:
            return None
        low, high = value
        return low if low == high else f"{low}-{high}"


class ItemSelector(_Field):
    """An item of a list: its place from 0 on, or keys with values that it has."""

    def read(self, written: Any) -> Any:
        if isinstance(written, Mapping):
            if not written:
                raise ValueError("is empty")
            return JsonValue().read(written)
        return Integer(0, 10**9).read(written)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return value


class Words(_Field):
    """One or several texts."""

    def read(self, written: Any) -> tuple[str, ...]:
        words = written if isinstance(written, list) else [written]
        if not words:
            raise ValueError("is empty")
        return tuple(NonEmptyText().read(word) for word in words)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return list(value) if value else None


def show_number(number: int) -> str:
    """Return a whole number as text, however many digits it has: Python converts some thousand only."""
    return str(number) if -(10**40) < number < 10**40 else f"a number of {number.bit_length()} bits"


def require_int64(number: int, place: str = "") -> int:
    """Return a whole number if the controller's integers can hold it. Raises ValueError, which names the place."""
    if not MIN_INT <= number <= MAX_INT:
        raise ValueError(f"{place}{show_number(number)} is not between {MIN_INT} and {MAX_INT}")
    return number


class Integer(_Field):
    """A whole number within limits."""

    def __init__(self, low: int | None = None, high: int | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.low, self.high = low, high

    def read(self, written: Any) -> int:
        if isinstance(written, str):
            text = written.strip()
            digits = text.removeprefix("-")
            if not (digits.isascii() and digits.isdigit() and len(digits) <= MAX_DIGITS):
                raise ValueError(f"{text!r} is not a whole number")
            number = int(text)
        elif isinstance(written, int) and not isinstance(written, bool):
            number = written
        else:
            raise ValueError(f"{written!r} is not a whole number")
        if abs(number) >= 10**MAX_DIGITS:
            raise ValueError(f"is a whole number of more than {MAX_DIGITS} digits")
        if (self.low is not None and number < self.low) or (self.high is not None and number > self.high):
            raise ValueError(f"{show_number(number)} is not {self._limits()}")
        return number if self.low is None else require_int64(number)  # a dump derives the amounts without limits

    def _limits(self) -> str:
        if self.low is None or self.high is None:
            return f"{self.low} or more" if self.high is None else f"{self.high} or less"
        return f"between {self.low} and {self.high}"


class Format(Integer):
    """The format of a dump, up to the newest that can be read."""

    def __init__(self, newest: int, **options: Any) -> None:
        super().__init__(1, **options)
        self.newest = newest

    def read(self, written: Any) -> int:
        number = super().read(written)
        if number > self.newest:
            raise ValueError(
                f"a later version of mockanka wrote this dump in format {number}; "
                f"this one reads formats up to {self.newest}"
            )
        return number


class Number(_Field):
    """A number from ``low`` to ``high``; ``above_zero`` excludes zero."""

    def __init__(self, high: float, above_zero: bool = False, low: float = 0, **options: Any) -> None:
        super().__init__(**options)
        self.high, self.above_zero, self.low = high, above_zero, low

    def read(self, written: Any) -> float:
        if isinstance(written, bool):
            raise ValueError(f"{written!r} is not a number")
        try:
            number = float(written)
        except (TypeError, ValueError, OverflowError):
            raise ValueError(f"{written!r} is not a number") from None
        if not number >= self.low or (self.above_zero and number == 0):
            least = f"{self.low:g} or more" if self.low else "above zero" if self.above_zero else "zero or more"
            raise ValueError(f"{written} is not {least}")
        if number > self.high:
            raise ValueError(f"{written} is more than {self.high:g}")
        return number


class Boolean(_Field):
    """True or false."""

    def read(self, written: Any) -> bool:
        if isinstance(written, bool):
            return written
        if isinstance(written, str) and written.lower() in TRUE + FALSE:
            return written.lower() in TRUE
        raise ValueError(f"{written!r} is neither true nor false")


class _Unit(_Field):
    """A value that is written with its unit."""

    example = ""

    @staticmethod
    def parse(text: str) -> int:
        raise NotImplementedError

    @staticmethod
    def format(value: int) -> str:
        raise NotImplementedError

    def read(self, written: Any) -> int:
        if not isinstance(written, str):
            raise ValueError(f"{written!r} has no unit; write it as text, like {self.example}")
        return self.parse(written)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return None if value is None else self.format(value)


class FixedDuration(_Unit):
    """A fixed duration: nanoseconds, written ``1m30s``."""

    example = "20s"
    parse = staticmethod(units.parse_duration)
    format = staticmethod(units.format_duration)


class PositiveDuration(FixedDuration):
    """A fixed duration that is longer than zero."""

    def read(self, written: Any) -> int:
        length = super().read(written)
        if length == 0:
            raise ValueError("must be longer than zero")
        return length


class Moment(_Unit):
    """A point in time: nanoseconds since 1970, written ``2024-01-01T00:00:00Z``."""

    example = "2024-01-01T00:00:00Z"
    parse = staticmethod(units.parse_moment)
    format = staticmethod(units.format_moment)

    def read(self, written: Any) -> int:
        moment = super().read(written)
        if moment < 0:
            raise ValueError(f"{written} is before 1970")
        return moment


class Bandwidth(_Unit):
    """Bits per second, written ``1Gbit/s``."""

    example = "1Gbit/s"
    parse = staticmethod(units.parse_bandwidth)
    format = staticmethod(units.format_bandwidth)


class Size(_Unit):
    """Bytes, written ``20GB`` or as a plain number."""

    example = "20GB"
    parse = staticmethod(units.parse_size)
    format = staticmethod(units.format_size)

    def read(self, written: Any) -> int:
        plain = isinstance(written, int) and not isinstance(written, bool) and written >= 0
        size: int = written if plain else super().read(written)
        if size > MAX_SIZE:
            raise ValueError(f"{written} is more than {MAX_SIZE} bytes")
        return size


class Ram(_Field):
    """MB of RAM, written ``4G``, ``2048M``, or as a number of GB."""

    def read(self, written: Any) -> int:
        text = str(written).strip().upper()
        number, unit = (text[:-1], text[-1:]) if text[-1:] in "GM" else (text, "G")
        if not (number.isascii() and number.isdigit()) or len(number) > 19 or int(number) < 1:
            raise ValueError(f"{written!r} is no amount of RAM: write it like 4G or 2048M")
        return require_int64(int(number) * (1024 if unit == "G" else 1))

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return None if value is None else units.format_ram(value)


class RandomDuration(_Field):
    """How long something takes: a fixed duration, or a distribution with its two parameters."""

    KINDS: ClassVar[list[str]] = ["uniform", "normal", "lognormal"]
    RIGHT = "write it like 20s, {uniform: [10s, 30s]}, {normal: [20s, 4s]} or {lognormal: [20s, 0.3]}"

    def read(self, written: Any) -> Any:
        if isinstance(written, str):
            return Fixed(units.parse_duration(written))
        if not isinstance(written, Mapping) or len(written) != 1:
            raise ValueError(f"{written!r} is no duration: {self.RIGHT}")
        (kind, parameters) = next(iter(written.items()))
        if kind not in self.KINDS:
            raise ValueError(f"{kind!r} is no distribution: {nearest(str(kind), self.KINDS)}")
        if not isinstance(parameters, list) or len(parameters) != 2:
            raise ValueError(f"{kind} takes two parameters: {self.RIGHT}")
        first, second = parameters
        if kind == "uniform":
            low, high = FixedDuration().read(first), FixedDuration().read(second)
            if low > high:
                raise ValueError(f"uniform: {first} is longer than {second}")
            return Uniform(low, high)
        if kind == "normal":
            return Normal(FixedDuration().read(first), FixedDuration().read(second))
        return Lognormal(FixedDuration().read(first), Number(high=5).read(second))

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        match value:
            case Fixed(length):
                return units.format_duration(length)
            case Uniform(low, high):
                return {"uniform": [units.format_duration(low), units.format_duration(high)]}
            case Normal(mean, deviation):
                return {"normal": [units.format_duration(mean), units.format_duration(deviation)]}
            case Lognormal(median, sigma):
                return {"lognormal": [units.format_duration(median), sigma]}
        return None


class Metadata(_Field):
    """Keys with text, whole numbers or true and false, as YAML or JSON types them."""

    def read(self, written: Any) -> dict[str, str | int | bool]:
        if not isinstance(written, Mapping):
            raise ValueError("must be keys with values")
        result: dict[str, str | int | bool] = {}
        for key, value in written.items():
            plain = value.resolved() if isinstance(value, Scalar) else value
            if not isinstance(plain, str | int | bool):
                raise ValueError(f"{key}: a value is text, a whole number, true or false")
            if not isinstance(plain, str):
                require_int64(plain, f"{key}: ")
            result[str(key)] = plain
        return result


class TextList(_Field):
    """A list of texts."""

    def read(self, written: Any) -> tuple[str, ...]:
        if not isinstance(written, list):
            raise ValueError("must be a list")
        return tuple(Text().read(item) for item in written)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return None if value is None else list(value)


class Switch(_Field):
    """A switch: true, or left out."""

    def read(self, written: Any) -> bool:
        if Boolean().read(written):
            return True
        raise ValueError("is true, or left out")

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return value or None


class SwitchOrDuration(_Field):
    """True, or a duration that is longer than zero."""

    def read(self, written: Any) -> bool | int:
        if written is True or str(written).strip().lower() in ("true", "yes", "on"):
            return True
        return PositiveDuration().read(written)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return value if value is True else units.format_duration(value) if value else None


class TextOrTrue(_Field):
    """A text that is not empty, or true, which is read as the text ``true``."""

    def read(self, written: Any) -> str:
        return "true" if written is True else NonEmptyText().read(written)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return True if value == "true" else value


class Percentage(_Field):
    """A share from 0 to 1, written ``40%``."""

    def read(self, written: Any) -> float:
        if not isinstance(written, str) or not written.strip().endswith("%"):
            raise ValueError(f"{written!r} is no percentage: write it like 40%")
        text = written.strip()[:-1].strip()
        if text.startswith("-"):
            raise ValueError(f"{written} is less than 0%")
        number = Number(high=1e6).read(text)
        if number > 100:
            raise ValueError(f"{written} is more than 100%")
        return float(Decimal(text) / 100)  # so that the dumped text is read as the same number

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return None if value is None else self.written(value)

    @staticmethod
    def written(value: float) -> str:
        """Return a share as a percentage."""
        return f"{(Decimal(repr(value)) * 100).normalize():f}%"


class Portion(_Field):
    """A part of a body: a share of it, written ``40%``, or a number of bytes."""

    def read(self, written: Any) -> Amount:
        if isinstance(written, str) and written.strip().endswith("%"):
            return Amount(Percentage().read(written))
        try:
            return Amount(0.0, Size().read(written))
        except ValueError:
            raise ValueError(f"{written!r} is no part: write it like 40%, or as a number of bytes") from None

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        if value is None:
            return None
        return value.bytes if value.bytes is not None else Percentage.written(value.share)


class JsonValue(_Field):
    """Any value, as YAML or JSON types it, or with ``only_objects`` any mapping."""

    def __init__(self, only_objects: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.only_objects = only_objects

    def read(self, written: Any) -> Any:
        if self.only_objects and not isinstance(written, Mapping):
            raise ValueError("must be keys with values")
        return self._plain(written)

    def _plain(self, value: Any, depth: int = 0) -> Any:
        if depth > DEEPEST:
            raise ValueError("is nested too deep")
        if isinstance(value, Mapping):
            return {str(key): self._plain(item, depth + 1) for key, item in value.items()}
        if isinstance(value, list):
            return [self._plain(item, depth + 1) for item in value]
        if isinstance(value, float) and not isfinite(value):
            raise ValueError(f"{value} is no JSON number")
        if isinstance(value, Scalar):
            if value.tag.endswith(":float"):
                return self._plain(float(value))
            value = value.resolved()
        if isinstance(value, int) and abs(value) >= MAX_JSON_INT:
            raise ValueError(f"{show_number(value)} has more than 1000 digits")
        return value


class BodyText(JsonValue):
    """The text of a body; a value that is not text stands for its JSON."""

    def read(self, written: Any) -> str:
        text = str(written) if isinstance(written, str) else json.dumps(self._plain(written), separators=(",", ":"))
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValueError("contains half of a surrogate pair, which cannot be sent") from None
        return text


class AsciiText(NonEmptyText):
    """Text for a header or a path: printable ASCII, except the characters in ``without``."""

    def __init__(self, without: str = "", **options: Any) -> None:
        super().__init__(**options)
        self.without = without

    def read(self, written: Any) -> str:
        text = super().read(written)
        odd = next((character for character in text if not " " <= character <= "~" or character in self.without), None)
        if odd is not None:
            raise ValueError(f"{text!r} has {odd!r} in it, which cannot stand there")
        if self.without and text in (".", ".."):
            raise ValueError(f"{text!r} cannot stand in a path")
        return text


class TextMapping(_Field):
    """Keys with texts; with ``nullable`` a key may have null, which stands for its absence."""

    def __init__(self, nullable: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.nullable = nullable

    def read(self, written: Any) -> dict[str, str | None]:
        if not isinstance(written, Mapping):
            raise ValueError("must be keys with values")
        return {str(key): self._read_value(value) for key, value in written.items()}

    def _read_value(self, value: Any) -> str | None:
        if self.nullable and (value is None or (isinstance(value, Scalar) and value.resolved() is None)):
            return None
        return Text().read(value)


class HeaderPatterns(TextMapping):
    """Names of headers, in any case, with patterns of their values."""

    def read(self, written: Any) -> dict[str, str | None]:
        return {name.lower(): pattern for name, pattern in super().read(written).items()}
