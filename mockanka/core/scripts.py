"""What a script does when a VM runs it: the rules a scenario gives, and what comes back."""

from __future__ import annotations

import base64
import re
import string
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mockanka.core.durations import Duration, seconds
from mockanka.core.errors import BrokenScript, ScriptTooLong
from mockanka.core.faults import apply_rules
from mockanka.core.randomness import draw
from mockanka.units import MIB

if TYPE_CHECKING:
    from mockanka.core.controller import Controller
    from mockanka.core.instance_record import Instance

_ALPHABET = frozenset((string.ascii_letters + string.digits + "+/").encode())
_LINE_BREAKS = b"\r\n"
_PADDING = ord("=")
_SOUND = re.compile(rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")

MAX_SCRIPT_SIZE = 10_000_000
"""Bytes of a startup script. Guess: what the real controller takes is unknown."""
OUTPUT_KEPT = MIB
"""Bytes of a script's output that are kept, from 1.45 on: the last ones."""


@dataclass(frozen=True)
class ScriptRule:
    """Scripts that contain ``match`` end like this, after ``takes``. The first rule that matches decides."""

    match: str = ""
    return_code: int = 0
    stdout: str = ""
    stderr: str = ""
    takes: Duration = field(default=seconds(1))


@dataclass(frozen=True)
class ScriptResult:
    """What a script left behind (controller-facts A2.4, A20)."""

    return_code: int = 0
    did_timeout: bool = False
    stdout: str = ""
    stderr: str = ""


DEFAULT_RESULT = ScriptRule()


class CorruptScript(Exception):
    """A script that is not base64; ``offset`` is the first byte that cannot be."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"illegal base64 data at input byte {offset}")
        self.offset = offset


def decode(encoded: str) -> str:
    """The script's text. Raises CorruptScript with the offset Go's decoder names (controller-facts A20)."""
    return _bytes_of(encoded).decode("utf-8", "replace")


def _bytes_of(encoded: str) -> bytes:
    raw = encoded.encode("utf-8", "replace")
    offset = _corrupt_at(raw)
    if offset is not None:
        raise CorruptScript(offset)
    return base64.b64decode(raw.translate(None, _LINE_BREAKS))


def _corrupt_at(raw: bytes) -> int | None:
    """The offset that Go's standard decoder complains about, if it does; line breaks count, but are passed over.

    A character that does not belong is named itself, and so is what follows complete padding; input that ends too
    early is named where its last group of four begins, or at its end if only padding is missing.
    """
    if _SOUND.fullmatch(raw.translate(None, _LINE_BREAKS)):
        return None
    in_group = 0
    for offset, byte in enumerate(raw):
        if byte in _LINE_BREAKS:
            continue
        if byte in _ALPHABET:
            in_group = (in_group + 1) % 4
        elif byte == _PADDING and in_group >= 2:
            return _corrupt_padding(raw, offset + 1, complete=in_group == 3)
        else:
            return offset
    return len(raw) - in_group if in_group else None


def _corrupt_padding(raw: bytes, offset: int, complete: bool) -> int | None:
    """The same, for what follows the first padding character."""
    offset = _past_line_breaks(raw, offset)
    if not complete:
        if offset == len(raw):
            return offset
        if raw[offset] != _PADDING:
            return offset - 1
        offset = _past_line_breaks(raw, offset + 1)
    return offset if offset < len(raw) else None


def _past_line_breaks(raw: bytes, offset: int) -> int:
    while offset < len(raw) and raw[offset] in _LINE_BREAKS:
        offset += 1
    return offset


def rule_for(rules: tuple[ScriptRule, ...], text: str) -> ScriptRule:
    """The first rule whose ``match`` is in the script; without one, it succeeds at once enough."""
    return next((rule for rule in rules if rule.match in text), DEFAULT_RESULT)


def require_valid_script(encoded: str) -> None:
    """Raise BrokenScript unless the script is base64, ScriptTooLong if there is too much of it."""
    try:
        if len(_bytes_of(encoded)) > MAX_SCRIPT_SIZE:
            raise ScriptTooLong
    except CorruptScript as corrupt:
        raise BrokenScript(corrupt.offset) from None


def run_script(
    controller: Controller, one: Instance, encoded: str, limit: int | None = None, purpose: str = "script"
) -> tuple[ScriptResult, int]:
    """What a VM's script leaves, and how long it takes: as the scenario's rules say, or as a fault does.

    One that takes longer than ``limit`` nanoseconds is ended then, with -1 (controller-facts A2.4).
    """
    result, takes = _ended(controller, one, encoded, limit, purpose)
    if controller.release.has("script-output-cut"):
        result = replace(result, stdout=_last(result.stdout), stderr=_last(result.stderr))
    return result, takes


def _last(output: str) -> str:
    """Of an output that is too long its end."""
    return output if len(output) * 4 <= OUTPUT_KEPT else output.encode()[-OUTPUT_KEPT:].decode("utf-8", "ignore")


def _ended(
    controller: Controller, one: Instance, encoded: str, limit: int | None, purpose: str
) -> tuple[ScriptResult, int]:
    rule = rule_for(controller.scripts, decode(encoded))
    takes = rule.takes.sample(draw(controller.seed, one.id, purpose))
    do = apply_rules(controller, "script", one, controller.nodes.get(one.node_id or ""), one.ref).action
    if do.exit is not None:
        return ScriptResult(do.exit, stdout=do.stdout, stderr=do.stderr), takes
    if do.timeout:
        return ScriptResult(-1, True, do.stdout, do.stderr), takes if limit is None else limit
    if limit is not None and takes > limit:
        return ScriptResult(-1, True, rule.stdout, rule.stderr), limit
    return ScriptResult(rule.return_code, stdout=rule.stdout, stderr=rule.stderr), takes
