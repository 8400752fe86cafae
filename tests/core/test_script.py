"""Scripts: how they are unpacked, and which rule says what comes back."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockanka.core.script import DEFAULT, CorruptScript, ScriptResult, ScriptRule, decode, rule_for
from mockanka.core.timing import seconds

# Offsets as Go's encoding/base64 names them: that of the byte that cannot be, counted with line breaks; for input
# that ends too early that of its last group of four; for what follows the padding that of its first byte.
CORRUPT = [
    ("Q!JD", 1),
    ("not base64", 3),
    ("QUJDRE*G", 6),
    ("QUJD\nQ!JD", 6),
    ("QUJD\u00e9123", 4),
    ("QUJD-_--", 4),
    ("QUJD QUJD", 4),
    ("Q", 0),
    ("QU", 0),
    ("QUJ", 0),
    ("QUJDR", 4),
    ("QUJDRE", 4),
    ("QUJDREV", 4),
    ("aGVsbG8", 4),
    ("QUJDRE\n", 5),
    ("QUJD\nRE", 5),
    ("QQ=", 3),
    ("QUJDQQ=", 7),
    ("QQ=Q", 2),
    ("=", 0),
    ("====", 0),
    ("Q===", 1),
    ("QUJDR===", 5),
    ("QUJD=", 4),
    ("QUJD==", 4),
    ("QUJD====", 4),
    ("QQ===", 4),
    ("QUI==", 4),
    ("QQ==QUJD", 4),
    ("QUI=QUJD", 4),
    ("QQ==\nQ", 5),
]
SOUND = [
    ("", ""),
    ("\n", ""),
    ("QUJD", "ABC"),
    ("QUI=", "AB"),
    ("QQ==", "A"),
    ("QU\nJD\r\n", "ABC"),
    ("QQ=\n=", "A"),
    ("QR==", "A"),
]


@pytest.mark.parametrize(("encoded", "text"), SOUND)
def test_what_go_takes_is_unpacked(encoded: str, text: str) -> None:
    """Line breaks and stray bits behind the last byte do no harm."""
    assert text == decode(encoded)


@pytest.mark.parametrize(("encoded", "offset"), CORRUPT)
def test_what_is_no_base64_is_refused_with_the_offset_that_go_names(encoded: str, offset: int) -> None:
    """The refusal has the words of base64.CorruptInputError and its byte offset."""
    with pytest.raises(CorruptScript, match=f"^illegal base64 data at input byte {offset}$"):
        decode(encoded)


@given(st.text())
def test_every_packed_text_is_unpacked(text: str) -> None:
    """What was packed comes out as it was."""
    packed = base64.b64encode(text.encode("utf-8")).decode("ascii")

    assert text == decode(packed)


@given(st.text("QU=!\n", max_size=12))
def test_whatever_comes_is_either_text_or_a_refusal(encoded: str) -> None:
    """No input does anything but be unpacked or be refused at an offset within it."""
    offset, decoded = None, None
    try:
        decoded = decode(encoded)
    except CorruptScript as corrupt:
        offset = int(str(corrupt).rpartition(" ")[2])

    if offset is None:
        assert base64.b64decode(encoded).decode("utf-8", "replace") == decoded
    else:
        assert 0 <= offset <= len(encoded)


def test_bytes_that_are_no_text_are_replaced() -> None:
    """A script need not be UTF-8."""
    assert "a\ufffd" == decode(base64.b64encode(b"a\xff").decode("ascii"))


def test_the_first_rule_that_matches_decides() -> None:
    """Rules are asked in the order in which the scenario gives them."""
    rules = (ScriptRule("nowhere", 1), ScriptRule("fail", 2), ScriptRule("", 3))

    assert 2 == rule_for(rules, "make it fail").return_code


def test_a_rule_without_match_matches_everything() -> None:
    """A blank match is in every script."""
    assert 3 == rule_for((ScriptRule("", 3),), "anything").return_code


def test_without_a_rule_a_script_succeeds_in_a_second() -> None:
    """What no rule speaks of returns 0 and says nothing."""
    expected = ScriptRule("", 0, "", "", seconds(1))

    assert expected == rule_for((ScriptRule("other"),), "anything") == DEFAULT


def test_a_result_is_success_unless_told_otherwise() -> None:
    """A result without anything said is that of a script that was quiet and succeeded."""
    expected = ScriptResult(return_code=0, did_timeout=False, stdout="", stderr="")

    assert expected == ScriptResult()
