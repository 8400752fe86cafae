"""One request and its answer, as they were on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl

from mockanka.json_text import parse_json

JSON = "application/json"

Headers = list[tuple[str, str]]
"""Names and values in the order of the wire."""


@dataclass(frozen=True)
class Exchange:
    """A request and its answer; the names of the answer's headers are in lower case."""

    method: str
    path: str
    query: str = ""
    sent: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""
    seconds: float = 0.0

    @property
    def key(self) -> tuple[str, str]:
        """What an operation is found by."""
        return self.method.upper(), self.path

    @property
    def kind(self) -> str:
        """The content type of the answer without its parameters; empty if it has none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @cached_property
    def parameters(self) -> dict[str, str]:
        """The query as Go reads it: of several the first counts, and an empty one counts as absent."""
        first: dict[str, str] = {}
        for name, value in parse_qsl(self.query, keep_blank_values=True):
            first.setdefault(name, value)
        return {name: value for name, value in first.items() if value}

    @cached_property
    def envelope(self) -> dict[str, Any] | None:
        """The answer as JSON; None if it is no object."""
        try:
            loaded = read_json(self.content)
        except ValueError:
            return None
        return loaded if isinstance(loaded, dict) else None

    @property
    def unreadable(self) -> str:
        """Why the answer is no JSON object; empty if it is one."""
        try:
            loaded = read_json(self.content)
        except ValueError as wrong:
            return str(wrong)
        return "" if isinstance(loaded, dict) else f"it is of another type: {type(loaded).__name__}"

    @property
    def succeeded(self) -> bool:
        """Whether the envelope says OK."""
        return self.envelope is not None and self.envelope.get("status") == "OK"

    @property
    def body(self) -> Any:
        """What a success hands back; None if nothing, or if it is no success."""
        return self.envelope.get("body") if self.envelope is not None and self.succeeded else None

    @property
    def message(self) -> str:
        """The message of the envelope; empty if there is none."""
        said = (self.envelope or {}).get("message")
        return said if isinstance(said, str) else ""


def read_json(content: bytes) -> Any:
    """JSON that is strict: ValueError also for what is no UTF-8, for NaN, and for what is nested without end."""
    try:
        return parse_json(content.decode())
    except RecursionError:
        raise ValueError("nested too deeply") from None
