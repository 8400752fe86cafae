"""Scripts: how they are unpacked, and which rule says what comes back."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockanka.core import instances
from mockanka.core.durations import seconds
from mockanka.core.errors import BrokenScript, Refusal, ScriptTooLong
from mockanka.core.release import Release
from mockanka.core.scripts import (
    DEFAULT_RESULT,
    MAX_SCRIPT_SIZE,
    OUTPUT_KEPT,
    CorruptScript,
    ScriptResult,
    ScriptRule,
    decode,
    require_valid_script,
    rule_for,
)
from mockanka.units import SECOND
from tests.core.builders import build_controller, node_named, pass_time, start_instance, started_instance

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

    assert expected == rule_for((ScriptRule("other"),), "anything") == DEFAULT_RESULT


def test_a_result_is_success_unless_told_otherwise() -> None:
    """A result without anything said is that of a script that was quiet and succeeded."""
    expected = ScriptResult(return_code=0, did_timeout=False, stdout="", stderr="")

    assert expected == ScriptResult()


# How long a script and its output may be.

RUN = """
templates: [{name: mac, versions: [{tag: base, size: 1GB}]}]
nodes: [{name: alpha, cached: [mac]}]
"""


def packed(size: int) -> str:
    return base64.b64encode(b"x" * size).decode("ascii")


def test_a_script_of_10_mb_is_taken_and_no_longer_one() -> None:
    """Counted as it is unpacked."""
    require_valid_script(packed(MAX_SCRIPT_SIZE))
    with pytest.raises(ScriptTooLong, match=r"^startup script is larger than 10 MB$"):
        require_valid_script(packed(MAX_SCRIPT_SIZE + 1))

    assert 10_000_000 == MAX_SCRIPT_SIZE


@pytest.mark.parametrize("monitored", [False, True])
@pytest.mark.parametrize(
    ("script", "refusal"), [("not base64", BrokenScript(3)), (packed(MAX_SCRIPT_SIZE + 1), ScriptTooLong())]
)
def test_a_start_with_a_script_that_cannot_run_is_refused(script: str, refusal: Refusal, monitored: bool) -> None:
    """Monitored or not, nothing is started."""
    controller = build_controller(RUN)
    with pytest.raises(type(refusal), match=f"^{refusal}$"):
        start_instance(controller, startup_script=script, script_monitoring=monitored)

    assert {} == controller.instances


def ran(release: str, stdout: str, stderr: str = "") -> ScriptResult:
    """What a monitored startup script leaves that writes so much."""
    controller = build_controller(RUN, release=Release.parse(release))
    controller.scripts = (ScriptRule("", 0, stdout, stderr),)
    mine = started_instance(controller, startup_script="QUJD", script_monitoring=True)
    assert mine.script is not None
    return mine.script


@pytest.mark.parametrize(("release", "cut"), [("1.44.0", False), ("1.45.0", True)])
def test_of_a_long_output_the_end_is_kept(release: str, cut: bool) -> None:
    """From 1.45 on a megabyte of each of the two; before, all of it."""
    long = "".join(f"{number:07}\n" for number in range(OUTPUT_KEPT // 8)) + "the end"
    result = ran(release, long, long + "!")
    kept = OUTPUT_KEPT if cut else len(long) + 1

    assert (long[-kept:], (long + "!")[-kept:]) == (result.stdout, result.stderr)


def test_an_output_is_cut_by_bytes_and_stays_text() -> None:
    """A character of which half would be left is left out."""
    long = "ä" * OUTPUT_KEPT + "!"
    result = ran("1.45.0", long)

    assert "ä" * (OUTPUT_KEPT // 2 - 1) + "!" == result.stdout


def test_a_short_output_is_whole() -> None:
    """A megabyte to the byte is not too long."""
    exact = "x" * OUTPUT_KEPT

    assert (exact, "") == (ran("1.45.0", exact).stdout, ran("1.45.0", exact).stderr)


# What a failed script leaves of the VM (controller-facts C3).


@pytest.mark.parametrize(
    ("release", "handler", "status", "address", "occupied"),
    [
        ("1.24.0", 0, "stopped", False, False),
        ("1.24.0", 1, "running", True, True),
        ("1.24.0", 2, "deleted", False, False),
        ("1.49.0", 0, "stopped", True, False),
        ("1.49.0", 1, "running", True, True),
        ("1.49.0", 2, "deleted", True, False),
    ],
)
def test_the_fail_handler_decides_what_becomes_of_the_vm(
    release: str, handler: int, status: str, address: bool, occupied: bool
) -> None:
    """Stopped, kept or deleted; a kept one keeps its slot. Before 1.49 nothing leads to a VM that is not kept."""
    controller = build_controller(RUN, release=Release.parse(release))
    controller.scripts = (ScriptRule("", 3),)
    mine = start_instance(controller, startup_script="QUJD", script_monitoring=True, script_fail_handler=handler)
    pass_time(controller, 100)

    assert ("Error", "startup script exit code 3") == (mine.state, mine.message)
    assert mine.vm is not None
    assert (status, address, occupied) == (mine.vm.status, bool(mine.vm.ip), mine.holds_slot)


def test_a_kept_vm_is_terminated_by_its_node() -> None:
    """It holds its slot until then, and is Terminated, not only forgotten."""
    controller = build_controller(RUN)
    controller.scripts = (ScriptRule("", 3),)
    mine = start_instance(controller, startup_script="QUJD", script_monitoring=True, script_fail_handler=1)
    pass_time(controller, 100)
    instances.terminate_instance(controller, mine.id)
    pass_time(controller, 5)

    assert ("Terminated", {}) == (mine.state, node_named(controller).occupants)


@pytest.mark.parametrize(("limit", "code"), [(4, -1), (5, 0)])
def test_a_script_that_takes_too_long_is_ended(limit: int, code: int) -> None:
    """Its VM is up 20 s after the start, and so much later as the script takes, or may take."""
    controller = build_controller(RUN)
    controller.scripts = (ScriptRule("", 0, "", "", seconds(5)),)
    wanted = {"startup_script": "QUJD", "script_monitoring": True, "script_timeout": limit * SECOND}
    mine = start_instance(controller, **wanted)
    pass_time(controller, 21 + limit - 0.1)
    before = mine.state.value
    pass_time(controller, 0.1)

    assert mine.script is not None
    assert ("Scheduling", code, code == -1) == (before, mine.script.return_code, mine.script.did_timeout)
    assert ("Error" if code else "Started") == mine.state
