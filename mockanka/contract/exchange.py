"""One request and its response, as they were on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl

from mockanka.json_text import parse_json

JSON_TYPE = "application/json"

Headers = list[tuple[str, str]]
"""Names and values in the order of the wire."""


@dataclass(frozen=True)
class Exchange:
    """A request and its response.

    ``query`` is without its question mark. ``status`` and ``headers`` are the response's; the names of the headers are
    in lower case. ``seconds`` is the time from the request to the end of the response.
    """

    method: str
    path: str
    query: str = ""
    request_content: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    response_content: bytes = b""
    seconds: float = 0.0

    @property
    def operation_key(self) -> tuple[str, str]:
        """Method and path, by which the contract finds the operation."""
        return self.method.upper(), self.path

    @property
    def content_type(self) -> str:
        """The media type of the response without its parameters; empty if it has none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @cached_property
    def parameters(self) -> dict[str, str]:
        """The query as Go reads it: the first of several values counts, and an empty value counts as absent."""
        first: dict[str, str] = {}
        for name, value in parse_qsl(self.query, keep_blank_values=True):
            first.setdefault(name, value)
        return {name: value for name, value in first.items() if value}

    @cached_property
    def envelope(self) -> dict[str, Any] | None:
        """The response as JSON; None if it is not an object."""
        try:
            value = parse_strict_json(self.response_content)
        except ValueError:
            return None
        return value if isinstance(value, dict) else None

    @property
    def json_error(self) -> str:
        """Why the response is not a JSON object; empty if it is one."""
        try:
            value = parse_strict_json(self.response_content)
        except ValueError as error:
            return str(error)
        return "" if isinstance(value, dict) else f"it is of another type: {type(value).__name__}"

    @property
    def succeeded(self) -> bool:
        """True if the status in the envelope is OK."""
        return self.envelope is not None and self.envelope.get("status") == "OK"

    @property
    def body(self) -> Any:
        """The body in the envelope of a success; None if there is none, or if the request failed."""
        return self.envelope.get("body") if self.envelope is not None and self.succeeded else None

    @property
    def message(self) -> str:
        """The message in the envelope; empty if there is none."""
        message = (self.envelope or {}).get("message")
        return message if isinstance(message, str) else ""


def parse_strict_json(content: bytes) -> Any:
    """Parse UTF-8 JSON. ValueError if it is malformed, contains NaN or Infinity, or is nested too deeply."""
    try:
        return parse_json(content.decode())
    except RecursionError:
        raise ValueError("nested too deeply") from None
