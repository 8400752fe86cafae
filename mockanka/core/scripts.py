"""Scripts that run in a VM: how they are decoded, and the rules of the scenario that say how they end."""

from __future__ import annotations

import base64
import re
import string
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mockanka.core.durations import Duration, fixed_seconds
from mockanka.core.errors import InvalidScript, ScriptTooLarge
from mockanka.core.faults import apply_rules
from mockanka.core.randomness import draw
from mockanka.units import MIB

if TYPE_CHECKING:
    from mockanka.core.controller import Controller
    from mockanka.core.instance_record import Instance

_ALPHABET = frozenset((string.ascii_letters + string.digits + "+/").encode())
_GROUP = 4
"""Characters of base64 that encode three bytes."""
_LINE_BREAKS = b"\r\n"
_PADDING = ord("=")
_VALID_BASE64 = re.compile(rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")

MAX_SCRIPT_SIZE = 10_000_000
"""Bytes of a decoded startup script. Guess: the limit of the real controller is unknown."""
MAX_OUTPUT_SIZE = MIB
"""Bytes at the end of stdout and of stderr that are kept, from 1.45 on."""
MAX_UTF8_SIZE = 4
"""Bytes that a character takes at most."""
TIMEOUT_RETURN_CODE = -1
"""Return code of a script that was ended by its timeout (controller-facts A2.4)."""


@dataclass(frozen=True)
class ScriptRule:
    """Result of the scripts that contain ``match``, and how long they take. The first rule that matches applies."""

    match: str = ""
    return_code: int = 0
    stdout: str = ""
    stderr: str = ""
    takes: Duration = field(default=fixed_seconds(1))


@dataclass(frozen=True)
class ScriptResult:
    """Result of a script (controller-facts A2.4, A20)."""

    return_code: int = 0
    did_timeout: bool = False
    stdout: str = ""
    stderr: str = ""


DEFAULT_SCRIPT_RULE = ScriptRule()
"""Applies to scripts that no rule matches: they succeed in a second, without output."""


class InvalidBase64(Exception):
    """Script that is not base64; ``offset`` is the first byte that is invalid."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"illegal base64 data at input byte {offset}")
        self.offset = offset


def decode_script(encoded: str) -> str:
    """Return the text of a script; bytes that are not UTF-8 are replaced. Raises InvalidBase64."""
    return _decode_base64(encoded).decode("utf-8", "replace")


def _decode_base64(encoded: str) -> bytes:
    raw = encoded.encode("utf-8", "replace")
    offset = _find_invalid_byte(raw)
    if offset is not None:
        raise InvalidBase64(offset)
    return base64.b64decode(raw.translate(None, _LINE_BREAKS))


def _find_invalid_byte(raw: bytes) -> int | None:
    """Return the offset that Go's standard decoder names in its error (controller-facts A20), or None without error.

    Line breaks are skipped, but count. The offset is that of a character outside the alphabet, or that follows complete
    padding. If the input ends too early, it is the begin of the last group of four characters, or the end of the input
    if only padding is missing.
    """
    if _VALID_BASE64.fullmatch(raw.translate(None, _LINE_BREAKS)):
        return None
    in_group = 0
    for offset, byte in enumerate(raw):
        if byte in _LINE_BREAKS:
            continue
        if byte in _ALPHABET:
            in_group = (in_group + 1) % _GROUP
        elif byte == _PADDING and in_group >= 2:
            return _find_invalid_padding(raw, offset + 1, needs_second=in_group == 2)
        else:
            return offset
    return len(raw) - in_group if in_group else None


def _find_invalid_padding(raw: bytes, offset: int, needs_second: bool) -> int | None:
    """Return the offset of the error after the first padding character, which ends before ``offset``, or None."""
    offset = _skip_line_breaks(raw, offset)
    if needs_second:
        if offset == len(raw):
            return offset
        if raw[offset] != _PADDING:
            return offset - 1
        offset = _skip_line_breaks(raw, offset + 1)
    return offset if offset < len(raw) else None


def _skip_line_breaks(raw: bytes, offset: int) -> int:
    while offset < len(raw) and raw[offset] in _LINE_BREAKS:
        offset += 1
    return offset


def find_script_rule(rules: tuple[ScriptRule, ...], text: str) -> ScriptRule:
    """Return the first rule whose ``match`` is in the text of a script, or DEFAULT_SCRIPT_RULE."""
    return next((rule for rule in rules if rule.match in text), DEFAULT_SCRIPT_RULE)


def require_valid_script(encoded: str) -> None:
    """Raise InvalidScript unless the script is base64, and ScriptTooLarge if it exceeds MAX_SCRIPT_SIZE."""
    try:
        if len(_decode_base64(encoded)) > MAX_SCRIPT_SIZE:
            raise ScriptTooLarge
    except InvalidBase64 as invalid:
        raise InvalidScript(invalid.offset) from None


def run_script(
    controller: Controller, instance: Instance, encoded: str, timeout: int | None = None, purpose: str = "script"
) -> tuple[ScriptResult, int]:
    """Return the result of a script in the VM of an instance, and the nanoseconds that it takes.

    A fault decides, or else a rule of the scenario. A script that takes longer than ``timeout`` nanoseconds is ended
    then. ``purpose`` tells scripts of an instance apart, so that they may take different times. Raises InvalidBase64.
    """
    result, length = _find_result(controller, instance, encoded, timeout, purpose)
    if controller.release.has("script-output-cut"):
        result = replace(result, stdout=_cut_output(result.stdout), stderr=_cut_output(result.stderr))
    return result, length


def _find_result(
    controller: Controller, instance: Instance, encoded: str, timeout: int | None, purpose: str
) -> tuple[ScriptResult, int]:
    rule = find_script_rule(controller.scripts, decode_script(encoded))
    length = rule.takes.sample(draw(controller.seed, instance.id, purpose))
    node = controller.nodes.get(instance.node_id or "")
    action = apply_rules(controller, "script", instance, node, instance.ref).action
    if action.exit is not None:
        return ScriptResult(action.exit, stdout=action.stdout, stderr=action.stderr), length
    if action.timeout:
        result = ScriptResult(TIMEOUT_RETURN_CODE, True, action.stdout, action.stderr)
        return result, length if timeout is None else timeout
    if timeout is not None and length > timeout:
        return ScriptResult(TIMEOUT_RETURN_CODE, True, rule.stdout, rule.stderr), timeout
    return ScriptResult(rule.return_code, stdout=rule.stdout, stderr=rule.stderr), length


def _cut_output(output: str) -> str:
    """Return the last MAX_OUTPUT_SIZE bytes of an output, without a character that would be cut in two."""
    if len(output) * MAX_UTF8_SIZE <= MAX_OUTPUT_SIZE:  # short for certain, and most are
        return output
    return output.encode()[-MAX_OUTPUT_SIZE:].decode("utf-8", "ignore")
