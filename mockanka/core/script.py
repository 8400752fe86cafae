"""What a script does when a VM runs it: the rules a scenario gives, and what comes back."""

from __future__ import annotations

import base64
import string
from dataclasses import dataclass, field

from mockanka.core.timing import Duration, seconds

_ALPHABET = frozenset(string.ascii_letters + string.digits + "+/")


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
    packed = encoded.replace("\r", "").replace("\n", "")
    bare = packed.rstrip("=")
    for offset, character in enumerate(bare):
        if character not in _ALPHABET:
            raise CorruptScript(offset)
    if len(packed) % 4 or len(packed) - len(bare) > 2:
        raise CorruptScript(len(bare) if len(packed) > len(bare) else len(packed))
    return base64.b64decode(packed).decode("utf-8", "replace")


def rule_for(rules: tuple[ScriptRule, ...], text: str) -> ScriptRule:
    """The first rule whose ``match`` is in the script; without one, it succeeds at once enough."""
    return next((rule for rule in rules if rule.match in text), DEFAULT)
