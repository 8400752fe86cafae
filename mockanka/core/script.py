"""What a script does when a VM runs it: the rules a scenario gives, and what comes back."""

from __future__ import annotations

import base64
import string
from dataclasses import dataclass, field

from mockanka.core.timing import Duration, seconds

_ALPHABET = frozenset((string.ascii_letters + string.digits + "+/").encode())
_LINE_BREAKS = b"\r\n"
_PADDING = ord("=")


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


DEFAULT = ScriptRule()


class CorruptScript(Exception):
    """A script that is not base64; ``offset`` is the first byte that cannot be."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"illegal base64 data at input byte {offset}")


def decode(encoded: str) -> str:
    """The script's text. Raises CorruptScript with the offset Go's decoder names (controller-facts A20)."""
    raw = encoded.encode("utf-8", "replace")
    offset = _corrupt_at(raw)
    if offset is not None:
        raise CorruptScript(offset)
    return base64.b64decode(raw.translate(None, _LINE_BREAKS)).decode("utf-8", "replace")


def _corrupt_at(raw: bytes) -> int | None:
    """The offset that Go's standard decoder complains about, if it does; line breaks count, but are passed over.

    A character that does not belong is named itself, and so is what follows complete padding; input that ends too
    early is named where its last group of four begins, or at its end if only padding is missing.
    """
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
    return next((rule for rule in rules if rule.match in text), DEFAULT)
