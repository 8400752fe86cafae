"""Durations, sizes, bandwidths and moments: parsing, refusals, and formatting as the inverse of parsing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockanka import units
from mockanka.units import MAX_DURATION, MAX_MOMENT, SECOND

EARLIEST = units.parse_moment("0001-01-01T00:00:00Z")


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("0", 0),
        ("0s", 0),
        ("20s", 20 * SECOND),
        ("1m30s", 90 * SECOND),
        ("1.5h", 5400 * SECOND),
        ("250ms", SECOND // 4),
        ("1h0m5s", 3605 * SECOND),
        ("3us", 3_000),
        ("3µs", 3_000),
        ("3μs", 3_000),
        ("7ns", 7),
        (" 5s ", 5 * SECOND),
        ("0.000000001s", 1),
        ("8760000h", MAX_DURATION),
    ],
)
def test_a_duration_is_read_as_go_writes_it(text: str, nanoseconds: int) -> None:
    """A duration has the value that Go's parser gives it, to the nanosecond."""
    assert nanoseconds == units.parse_duration(text)


def test_a_negative_duration_is_refused() -> None:
    """Time does not go back."""
    with pytest.raises(ValueError, match="is negative: time does not go back"):
        units.parse_duration("-5s")


@pytest.mark.parametrize(
    "text", ["", "s", "20", "20 s", "1d", "5S", ".5s", "1s1", "1e3s", "nan", "infs", "٣s", "5s\n5s", "20sec"]
)
def test_another_text_than_a_duration_is_refused_with_examples(text: str) -> None:
    """A text that Go would not write is refused, and the message shows how durations are written."""
    with pytest.raises(ValueError, match="is no duration: write it like 20s, 1m30s or 250ms"):
        units.parse_duration(text)


@pytest.mark.parametrize("text", ["8760001h", "9" * 40 + "s", "1000000000h", "8760000h1ns"])
def test_a_duration_beyond_a_thousand_years_is_refused(text: str) -> None:
    """No duration is longer than a thousand years, whatever its number of parts."""
    with pytest.raises(ValueError, match="is longer than a thousand years"):
        units.parse_duration(text)


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0s"),
        (1, "1ns"),
        (1_500, "1.5µs"),
        (250_000_000, "250ms"),
        (1_500_000_000, "1.5s"),
        (90 * SECOND, "1m30s"),
        (3605 * SECOND, "1h0m5s"),
        (3600 * SECOND, "1h0m0s"),
        (100 * SECOND, "1m40s"),
    ],
)
def test_a_duration_is_written_as_go_writes_it(nanoseconds: int, text: str) -> None:
    """A duration is formatted as by Go's String()."""
    assert text == units.format_duration(nanoseconds)


@given(st.integers(0, MAX_DURATION))
def test_every_duration_survives_writing(nanoseconds: int) -> None:
    """A duration that is formatted is parsed as the same duration."""
    assert nanoseconds == units.parse_duration(units.format_duration(nanoseconds))


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("16427892736", 16427892736),
        ("20GB", 20 * 10**9),
        ("20 GB", 20 * 10**9),
        ("512MiB", 512 * 2**20),
        ("4gib", 4 * 2**30),
        ("1.5kB", 1500),
        ("7B", 7),
        ("2TiB", 2 * 2**40),
    ],
)
def test_a_size_is_read_with_its_unit(text: str, size: int) -> None:
    """GB counts by thousands, GiB by 1024, and a number without unit is bytes."""
    assert size == units.parse_size(text)


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "20G", "20GB/s", "1e3", "big", "20 000", "nan"])
def test_another_text_than_a_size_is_refused_with_examples(text: str) -> None:
    """A size with an unknown unit, or below zero, is refused, and the message shows how sizes are written."""
    with pytest.raises(ValueError, match="is no size: write it like 20GB, 512MiB or a number of bytes"):
        units.parse_size(text)


@given(st.integers(0, 10**18))
def test_every_size_survives_writing(size: int) -> None:
    """A size that is formatted is parsed as the same size."""
    assert size == units.parse_size(units.format_size(size))


@pytest.mark.parametrize(
    ("text", "bits"),
    [("1Gbit/s", 10**9), ("100Mbit/s", 10**8), ("10MB/s", 8 * 10**7), ("1bit/s", 1), ("2.5gbit/s", 25 * 10**8)],
)
def test_a_bandwidth_is_read_in_bits_and_in_bytes(text: str, bits: int) -> None:
    """A number of bit/s is one of bits; a number of B/s is eight times as many."""
    assert bits == units.parse_bandwidth(text)


@pytest.mark.parametrize("text", ["0bit/s", "0Gbit/s", "0.1bit/s", "0B/s"])
def test_a_bandwidth_of_zero_is_refused(text: str) -> None:
    """Nothing would ever arrive at zero bits per second."""
    with pytest.raises(ValueError, match="a bandwidth must be more than zero"):
        units.parse_bandwidth(text)


@pytest.mark.parametrize("text", ["", "1Gbit", "10MB", "1000", "-1Gbit/s", "1Gibit/s", "fast"])
def test_another_text_than_a_bandwidth_is_refused_with_examples(text: str) -> None:
    """A bandwidth with an unknown unit is refused, and the message shows how bandwidths are written."""
    with pytest.raises(ValueError, match="is no bandwidth: write it like 1Gbit/s, 100Mbit/s or 10MB/s"):
        units.parse_bandwidth(text)


@given(st.integers(1, 10**15))
def test_every_bandwidth_survives_writing(bits: int) -> None:
    """A bandwidth that is formatted is parsed as the same bandwidth."""
    assert bits == units.parse_bandwidth(units.format_bandwidth(bits))


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01 00:00:01z", SECOND),
        ("1970-01-01t00:00:00.000000001Z", 1),
        ("1970-01-01T02:00:00+02:00", 0),
        ("1969-12-31T23:59:59.5Z", -SECOND // 2),
        ("9999-12-31T23:59:59Z", MAX_MOMENT),
    ],
)
def test_a_moment_is_read_to_the_nanosecond(text: str, nanoseconds: int) -> None:
    """An RFC 3339 time of any zone is parsed as nanoseconds since 1970."""
    assert nanoseconds == units.parse_moment(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2024-01-01",
        "2024-01-01T00:00:00",
        "2024-13-01T00:00:00Z",
        "2024-02-30T00:00:00Z",
        "2024-01-01T25:00:00Z",
        "0000-01-01T00:00:00Z",
        "2024-01-01T00:00:00.1234567890Z",
        "2024-01-01T00:00:00+99:00",
        "٢٠٢٤-01-01T00:00:00Z",
    ],
)
def test_another_text_than_a_moment_is_refused(text: str) -> None:
    """A time without a zone, or one that no calendar has, is refused."""
    with pytest.raises(ValueError, match="is no moment: "):
        units.parse_moment(text)


@given(st.integers(EARLIEST, MAX_MOMENT))
def test_every_moment_survives_writing(nanoseconds: int) -> None:
    """A moment that is formatted is parsed as the same moment."""
    assert nanoseconds == units.parse_moment(units.format_moment(nanoseconds))


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_500_000_000, "1970-01-01T00:00:01.5Z"),
        (10, "1970-01-01T00:00:00.00000001Z"),
        (EARLIEST, "0001-01-01T00:00:00Z"),
        (MAX_MOMENT * 2, "9999-12-31T23:59:59Z"),
    ],
)
def test_a_moment_is_written_as_go_writes_it(nanoseconds: int, text: str) -> None:
    """A moment is formatted in UTC without trailing zeros; later moments than the year 9999 are its last second."""
    assert text == units.format_moment(nanoseconds)


@pytest.mark.parametrize(("megabytes", "text"), [(4096, "4G"), (2500, "2500M"), (1, "1M"), (0, "0G")])
def test_ram_is_written_in_whole_units(megabytes: int, text: str) -> None:
    """RAM is formatted in GB if it is a whole number of them, else in MB."""
    assert text == units.format_ram(megabytes)
