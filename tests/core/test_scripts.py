"""Scripts: how they are decoded, and which rule decides their result."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockanka.core import instances
from mockanka.core.durations import fixed_seconds
from mockanka.core.errors import InvalidScript, Refusal, ScriptTooLarge
from mockanka.core.release import Release
from mockanka.core.scripts import (
    DEFAULT_SCRIPT_RULE,
    MAX_OUTPUT_SIZE,
    MAX_SCRIPT_SIZE,
    InvalidBase64,
    ScriptResult,
    ScriptRule,
    decode_script,
    find_script_rule,
    require_valid_script,
)
from mockanka.units import SECOND
from tests.core.builders import build_controller, node_named, pass_time, start_instance, started_instance

# Offsets as Go's encoding/base64 names them: that of the invalid byte, with line breaks counted; for input that ends
# too early, that of its last group of four; for bytes after the padding, that of the first.
INVALID = [
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
VALID = [
    ("", ""),
    ("\n", ""),
    ("QUJD", "ABC"),
    ("QUI=", "AB"),
    ("QQ==", "A"),
    ("QU\nJD\r\n", "ABC"),
    ("QQ=\n=", "A"),
    ("QR==", "A"),
]


@pytest.mark.parametrize(("encoded", "text"), VALID)
def test_base64_that_go_accepts_is_decoded(encoded: str, text: str) -> None:
    """Line breaks and surplus bits after the last byte are ignored."""
    assert text == decode_script(encoded)


@pytest.mark.parametrize(("encoded", "offset"), INVALID)
def test_invalid_base64_is_refused_with_the_offset_that_go_names(encoded: str, offset: int) -> None:
    """The error has the text of base64.CorruptInputError."""
    with pytest.raises(InvalidBase64, match=f"^illegal base64 data at input byte {offset}$"):
        decode_script(encoded)


@given(st.text())
def test_encoded_text_is_decoded(text: str) -> None:
    """Any text is the same after encoding and decoding."""
    encoded = base64.b64encode(text.encode("utf-8")).decode("ascii")

    assert text == decode_script(encoded)


@given(st.text("QU=!\n", max_size=12))
def test_any_input_is_decoded_or_refused(encoded: str) -> None:
    """Input that is refused has an offset within it; other input is decoded as by the standard library."""
    offset, decoded = None, None
    try:
        decoded = decode_script(encoded)
    except InvalidBase64 as corrupt:
        offset = int(str(corrupt).rpartition(" ")[2])

    if offset is None:
        assert base64.b64decode(encoded).decode("utf-8", "replace") == decoded
    else:
        assert 0 <= offset <= len(encoded)


def test_bytes_that_are_not_utf_8_are_replaced() -> None:
    """A script may have any bytes."""
    assert "a\ufffd" == decode_script(base64.b64encode(b"a\xff").decode("ascii"))


def test_the_first_rule_that_matches_applies() -> None:
    """Rules apply in the order of the scenario."""
    rules = (ScriptRule("nowhere", 1), ScriptRule("fail", 2), ScriptRule("", 3))

    assert 2 == find_script_rule(rules, "make it fail").return_code


def test_a_rule_without_match_matches_everything() -> None:
    """An empty match is in every script."""
    assert 3 == find_script_rule((ScriptRule("", 3),), "anything").return_code


def test_a_script_without_a_rule_succeeds_in_a_second() -> None:
    """It returns 0 without output."""
    expected = ScriptRule("", 0, "", "", fixed_seconds(1))

    assert expected == find_script_rule((ScriptRule("other"),), "anything") == DEFAULT_SCRIPT_RULE


def test_a_result_is_success_by_default() -> None:
    """It has return code 0 and no output."""
    expected = ScriptResult(return_code=0, did_timeout=False, stdout="", stderr="")

    assert expected == ScriptResult()


# Sizes of scripts and outputs.

RUN = """
templates: [{name: mac, versions: [{tag: base, size: 1GB}]}]
nodes: [{name: alpha, cached: [mac]}]
"""


def encode_script(size: int) -> str:
    """Return a script of so many bytes, encoded."""
    return base64.b64encode(b"x" * size).decode("ascii")


def test_a_script_may_have_10_mb() -> None:
    """The size of the decoded script counts, and a larger script is refused."""
    require_valid_script(encode_script(MAX_SCRIPT_SIZE))
    with pytest.raises(ScriptTooLarge, match=r"^startup script is larger than 10 MB$"):
        require_valid_script(encode_script(MAX_SCRIPT_SIZE + 1))

    assert 10_000_000 == MAX_SCRIPT_SIZE


@pytest.mark.parametrize("monitored", [False, True])
@pytest.mark.parametrize(
    ("script", "refusal"), [("not base64", InvalidScript(3)), (encode_script(MAX_SCRIPT_SIZE + 1), ScriptTooLarge())]
)
def test_a_start_with_a_script_that_cannot_run_is_refused(script: str, refusal: Refusal, monitored: bool) -> None:
    """No instance is created, whether the script is monitored or not."""
    controller = build_controller(RUN)
    with pytest.raises(type(refusal), match=f"^{refusal}$"):
        start_instance(controller, startup_script=script, script_monitoring=monitored)

    assert {} == controller.instances


def run_monitored_script(release: str, stdout: str, stderr: str = "") -> ScriptResult:
    """Return the result of a monitored startup script with these outputs."""
    controller = build_controller(RUN, release=Release.parse(release))
    controller.scripts = (ScriptRule("", 0, stdout, stderr),)
    instance = started_instance(controller, startup_script="QUJD", script_monitoring=True)
    assert instance.script is not None
    return instance.script


@pytest.mark.parametrize(("release", "cut"), [("1.44.0", False), ("1.45.0", True)])
def test_the_end_of_a_long_output_is_kept(release: str, cut: bool) -> None:
    """From 1.45 on a megabyte of stdout and of stderr is kept; before, all of it."""
    long = "".join(f"{number:07}\n" for number in range(MAX_OUTPUT_SIZE // 8)) + "the end"
    result = run_monitored_script(release, long, long + "!")
    kept = MAX_OUTPUT_SIZE if cut else len(long) + 1

    assert (long[-kept:], (long + "!")[-kept:]) == (result.stdout, result.stderr)


def test_an_output_is_cut_between_characters() -> None:
    """A character that would be cut in two is left out."""
    long = "ä" * MAX_OUTPUT_SIZE + "!"
    result = run_monitored_script("1.45.0", long)

    assert "ä" * (MAX_OUTPUT_SIZE // 2 - 1) + "!" == result.stdout


def test_an_output_of_a_megabyte_is_kept() -> None:
    """It is not too long."""
    exact = "x" * MAX_OUTPUT_SIZE

    assert (exact, "") == (run_monitored_script("1.45.0", exact).stdout, run_monitored_script("1.45.0", exact).stderr)


# The VM after its script has failed (controller-facts C3).


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
def test_the_fail_handler_decides_about_the_vm(
    release: str, handler: int, status: str, address: bool, occupied: bool
) -> None:
    """It is stopped, kept or deleted, and keeps its slot only if it is kept. Before 1.49 another VM has no address."""
    controller = build_controller(RUN, release=Release.parse(release))
    controller.scripts = (ScriptRule("", 3),)
    instance = start_instance(controller, startup_script="QUJD", script_monitoring=True, script_fail_handler=handler)
    pass_time(controller, 100)

    assert ("Error", "startup script exit code 3") == (instance.state, instance.message)
    assert instance.vm is not None
    assert (status, address, occupied) == (instance.vm.status, bool(instance.vm.ip), instance.holds_slot)


def test_an_instance_with_a_kept_vm_is_terminated_by_its_node() -> None:
    """It has its slot until then."""
    controller = build_controller(RUN)
    controller.scripts = (ScriptRule("", 3),)
    instance = start_instance(controller, startup_script="QUJD", script_monitoring=True, script_fail_handler=1)
    pass_time(controller, 100)
    instances.terminate_instance(controller, instance.id)
    pass_time(controller, 5)

    assert ("Terminated", {}) == (instance.state, node_named(controller).occupants)


@pytest.mark.parametrize(("limit", "code"), [(4, -1), (5, 0)])
def test_a_script_is_ended_by_its_timeout(limit: int, code: int) -> None:
    """The instance is Scheduling until the script ends, after the 20 s in which its VM boots."""
    controller = build_controller(RUN)
    controller.scripts = (ScriptRule("", 0, "", "", fixed_seconds(5)),)
    wanted = {"startup_script": "QUJD", "script_monitoring": True, "script_timeout": limit * SECOND}
    instance = start_instance(controller, **wanted)
    pass_time(controller, 21 + limit - 0.1)
    before = instance.state.value
    pass_time(controller, 0.1)

    assert instance.script is not None
    assert ("Scheduling", code, code == -1) == (before, instance.script.return_code, instance.script.did_timeout)
    assert ("Error" if code else "Started") == instance.state
