"""Strict JSON: what the standard library takes beyond it is refused."""

from __future__ import annotations

import math

import pytest

from mockanka.json_text import parse_json


@pytest.mark.parametrize("text", ['{"a": [1, 2.5, null, true, "x"]}', b'{"a": [1, 2.5, null, true, "x"]}'])
def test_json_is_parsed_from_text_and_from_bytes(text: str | bytes) -> None:
    """The value is that of the standard library."""
    assert {"a": [1, 2.5, None, True, "x"]} == parse_json(text)


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_constants_that_are_not_json_are_refused(constant: str) -> None:
    """The message names the constant."""
    with pytest.raises(ValueError, match=f"^{constant} is no JSON number$"):
        parse_json(f"[{constant}]")


def test_a_number_beyond_a_float_is_refused_only_where_numbers_must_be_finite() -> None:
    """With ``finite`` 1e999 is an error, without it is infinite."""
    assert [math.inf] == parse_json("[1e999]")
    assert [1e9] == parse_json("[1e9]", finite=True)
    with pytest.raises(ValueError, match=r"^1e999 is no JSON number$"):
        parse_json("[1e999]", finite=True)


def test_whole_numbers_can_be_parsed_by_another_function() -> None:
    """The function gets the digits."""
    assert ["-12"] == parse_json("[-12]", parse_int=str)


@pytest.mark.parametrize("text", ["", "{", "[1,]", "'x'"])
def test_text_that_is_not_json_is_refused(text: str) -> None:
    """The error is a ValueError."""
    with pytest.raises(ValueError, match="Expecting"):
        parse_json(text)


def test_json_that_is_nested_too_deeply_is_a_recursion_error() -> None:
    """The caller says what that means."""
    with pytest.raises(RecursionError):
        parse_json("[" * 100_000)
