"""Text from outside as messages show it."""

import pytest

from mockanka.shown_text import cut, escape


def test_a_long_text_keeps_its_beginning_and_its_end() -> None:
    """A message names the value first and what would be right last; the middle is left out."""
    text = cut(f"{'x' * 1_000_000} is no duration: write it like 20s")

    assert 1000 == len(text)
    assert text.startswith("xxx")
    assert "xx ... xx" in text
    assert text.endswith("x is no duration: write it like 20s")


@pytest.mark.parametrize("length", [999, 1000])
def test_a_short_text_stays(length: int) -> None:
    """The limit itself is not too long."""
    assert "x" * length == cut("x" * length)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("größer 大", "größer 大"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\nb\tc\x7f\x9b", "a\\nb\\tc\\x7f\\x9b"),
        ("\u202eabc\u2028", "\\u202eabc\\u2028"),
        ("\ud800", "\\ud800"),
    ],
)
def test_what_a_terminal_would_obey_is_escaped(text: str, shown: str) -> None:
    """Control characters, line breaks, marks of direction and halves of surrogate pairs become text."""
    assert shown == escape(text)
