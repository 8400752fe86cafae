"""Strict JSON: what the standard library takes beyond it is refused."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockanka.json_text import encode_surrogates, may_have_surrogates, parse_json, replace_surrogates, write_ascii_json


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


TEXTS = st.text(st.sampled_from('a\\"u\n\ud800\udbff\udc00\udfff\ufffd\U0001f600'), max_size=8)
"""Texts that may have halves of surrogate pairs beside what can be taken for them."""
VALUES = st.recursive(
    TEXTS | st.integers(), lambda value: st.lists(value) | st.dictionaries(TEXTS, value), max_leaves=5
)


def utf16_halves(text: str) -> str:
    """Return a text with U+FFFD for each half of a surrogate pair; two of them side by side are no pair here."""
    return "".join("\ufffd" if 0xD800 <= ord(character) < 0xE000 else character for character in text)


@given(TEXTS)
def test_halves_of_surrogate_pairs_are_sent_as_the_replacement_character(text: str) -> None:
    """Everything else is as it was."""
    assert utf16_halves(text) == encode_surrogates(text).decode() == replace_surrogates(text)


@given(VALUES)
def test_json_of_ascii_has_no_halves_of_surrogate_pairs(value: object) -> None:
    """The text reads as the value but for these halves, of which two may make a pair, and can be encoded."""
    text = write_ascii_json(value)
    paired = json.loads(json.dumps(value))

    assert text.isascii()
    assert json.dumps(json.loads(text), ensure_ascii=False).encode()
    assert replace_surrogates(paired) == json.loads(text)


@given(VALUES)
def test_text_that_has_halves_of_surrogate_pairs_is_noticed(value: object) -> None:
    """Text of which that is not said is read without them."""
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False)):
        if not may_have_surrogates(text):
            assert json.loads(text) == replace_surrogates(json.loads(text))
