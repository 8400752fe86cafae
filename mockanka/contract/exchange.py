"""One request and its response, as they were on the wire."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
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
    in lower case. ``seconds`` is the time from the request to the end of the response. ``accept_encoding`` is the
    header of the request; None if it is unknown, or if there is none. ``is_reconnected`` says that the server had
    closed the connection of the request before, although its response did not announce that.
    """

    method: str
    path: str
    query: str = ""
    request_content: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    response_content: bytes = b""
    seconds: float = 0.0
    accept_encoding: str | None = field(default=None, compare=False)
    is_reconnected: bool = field(default=False, compare=False)

    @property
    def operation_key(self) -> tuple[str, str]:
        """Method and path, by which the contract finds the operation."""
        return self.method.upper(), self.path

    @property
    def content_type(self) -> str:
        """The media type of the response without its parameters; empty if it has none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def charset(self) -> str:
        """The charset in the content type of the response, in lower case; empty if it has none."""
        match = re.search(r";\s*charset\s*=\s*\"?([^\s;\"]*)", self.headers.get("content-type", ""), re.IGNORECASE)
        return match[1].lower() if match else ""

    @property
    def date(self) -> float | None:
        """The header ``Date`` of the response in seconds since 1970; None if it is missing or malformed."""
        try:
            return parsedate_to_datetime(self.headers.get("date", "")).timestamp()
        except (ValueError, TypeError, OverflowError):
            return None

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


def repeated_keys(content: bytes) -> list[str]:
    """Return the keys that an object of a JSON text has more than once, in their order; none if it is malformed."""
    repeated: list[str] = []

    def build_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) < len(pairs):
            repeated.extend(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        return value

    try:
        json.loads(content, object_pairs_hook=build_object)
    except (ValueError, RecursionError):
        return []
    return list(dict.fromkeys(repeated))


def lone_surrogates(content: bytes) -> list[str]:
    """Return the escapes in a JSON text of halves of a surrogate pair without the other half, such as ``\\ud800``."""
    if b"\\u" not in content:
        return []
    escapes = re.compile(rb"(?<!\\)(?:\\\\)*((?:\\u[0-9a-fA-F]{4})+)")
    pair = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
    half = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
    return [text.decode() for match in escapes.finditer(content) for text in half.findall(pair.sub(b"", match[1]))]


def parse_strict_json(content: bytes) -> Any:
    """Parse UTF-8 JSON. ValueError if it is malformed, contains NaN or Infinity, or is nested too deeply."""
    try:
        return parse_json(content.decode())
    except RecursionError:
        raise ValueError("nested too deeply") from None
