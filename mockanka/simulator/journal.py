"""The journal: every request to the controller, as it came and as it was answered."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from sys import getsizeof
from typing import Any
from urllib.parse import parse_qsl

from mockanka.json_text import parse_json
from mockanka.redaction import redact_body, redact_query, redact_value
from mockanka.simulator.request_patterns import matches_pattern
from mockanka.units import MIB, SECOND, format_moment

VM_PATH = "/api/v1/vm"
RESTART_VM_PATH = "/api/v1/rpc/vm/restart"
MAX_ENTRIES = 10_000
"""Requests that are kept; the oldest go first."""
DEFAULT_JOURNAL_LIMIT = 64 * MIB
"""Bytes of memory for the requests that are kept, unless an option says otherwise; the oldest go first."""
MAX_ENTRY_BODY = 64 * 1024
"""Bytes of a request's body that are kept."""
MAX_ENTRY_RESPONSE = 4 * 1024
"""Bytes of a response's body that are kept."""
MAX_ENTRY_HEADERS = 8 * 1024
"""Bytes of the names and values of a message's headers that are kept; the last headers go first."""
ENTRY_SIZE = 700
"""Bytes of memory that an entry needs beside its texts; measured with tracemalloc, and rounded up."""
HEADER_SIZE = 130
"""Bytes of memory that a header needs beside its name and value; likewise."""
MAX_BRACKETS = 500
"""A body with more of them is shown as text: it may be nested too deeply to be written as JSON again."""


RawHeaders = Sequence[tuple[bytes, bytes]]
"""Headers as ASGI has them: names in lower case."""


@dataclass(slots=True)
class JournalEntry:
    """A request, and how it was answered.

    ``at`` is the controller's time when the request was carried out, which a fault may have answered later; ``wall`` is
    the wall's time when it came. Both are in nanoseconds since 1970, ``took`` in nanoseconds. ``status`` is None if no
    response was sent. ``fault`` is the id of the rule that fired; ``outcome`` is what became of the response if the
    client did not get it as the controller made it. ``instances`` are the ids of those that a POST vm started.
    ``peer`` is the client's host and port, and ``connection`` the number of its connection, counted from 1; None and 0
    if they are not known.
    """

    number: int
    at: int
    wall: int
    method: str
    path: str
    raw_query: bytes
    raw_body: bytes
    body_length: int
    status: int | None = None
    raw_response: bytes = b""
    response_length: int = 0
    took: int = 0
    fault: str = ""
    outcome: str = ""
    instances: tuple[str, ...] = ()
    raw_headers: RawHeaders = ()
    raw_response_headers: RawHeaders = ()
    peer: tuple[str, int] | None = None
    connection: int = 0
    keep_secrets: bool = False
    owns_headers: bool = True
    size: int = 0
    """Bytes of memory that the journal counts for the entry; 0 once it is no longer kept."""

    def measure(self) -> int:
        """Return the bytes of memory that the entry needs, about; headers that an earlier entry has are not counted."""
        texts = (self.path, self.raw_query, self.raw_body, self.raw_response)
        headers = (self.raw_headers if self.owns_headers else (), self.raw_response_headers)
        return ENTRY_SIZE + sum(map(getsizeof, texts)) + sum(map(_headers_size, headers))

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the request, names in lower case, without secrets unless these are kept."""
        return _decode_headers(self.raw_headers, self.keep_secrets)

    @property
    def response_headers(self) -> dict[str, str]:
        """The headers of the response, likewise; without its Date, which is ``at``."""
        return _decode_headers(self.raw_response_headers, self.keep_secrets)

    @property
    def user_agent(self) -> str:
        """The User-Agent of the client, empty if it sent none."""
        return self.headers.get("user-agent", "")

    @property
    def client(self) -> str:
        """The address of the client, ``127.0.0.1:50123``; empty if it is not known."""
        if self.peer is None:
            return ""
        host, port = self.peer[0], self.peer[1]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    @property
    def query(self) -> dict[str, str]:
        """The parameters of the query; of several with the same name the first, as the controller reads them."""
        parameters: dict[str, str] = {}
        for name, value in parse_qsl(self.raw_query.decode("latin-1"), keep_blank_values=True):
            parameters.setdefault(name, value)
        return parameters

    @property
    def body(self) -> Any:
        """The body of the request: the value of its JSON, else its text; None if it is empty."""
        return _content(self.body_text, is_whole=len(self.raw_body) == self.body_length)

    @property
    def body_text(self) -> str:
        """The body of the request as text, as far as it is kept."""
        return self.raw_body.decode("utf-8", "replace")

    @property
    def answer(self) -> Any:
        """The body of the response, likewise; the beginning of its text if it was too long to be kept."""
        text = self.raw_response.decode("utf-8", "replace")
        return _content(text, is_whole=len(self.raw_response) == self.response_length)

    @property
    def concerned_instances(self) -> tuple[str, ...]:
        """The ids of the instances that the request started, or that it names."""
        if self.instances or self.path not in (VM_PATH, "/api/v1/image", RESTART_VM_PATH):
            return self.instances
        body = self.body
        id = body.get("instance_id" if self.path == RESTART_VM_PATH else "id") if isinstance(body, dict) else None
        if self.path == VM_PATH:
            id = self.query.get("id") or id
        return (id,) if isinstance(id, str) and id else ()

    def as_json(self) -> dict[str, object]:
        """Return the entry as the control API shows it, without secrets unless these are kept."""
        return {
            "number": self.number,
            "at": format_moment(self.at),
            "wall": format_moment(self.wall),
            "method": self.method,
            "path": self.path,
            "query": self._shown_query(),
            "body": _content(self._shown_body(), is_whole=len(self.raw_body) == self.body_length),
            **({"body_length": self.body_length} if self.body_length > len(self.raw_body) else {}),
            "status": self.status,
            "answer": _content(self._shown_response(), is_whole=len(self.raw_response) == self.response_length),
            "seconds": self.took / SECOND,
            "fault": self.fault or None,
            "outcome": self.outcome or None,
            "instances": list(self.concerned_instances),
            "headers": self.headers,
            "response_headers": self.response_headers,
            "client": self.client or None,
            "user_agent": self.user_agent or None,
            "connection": self.connection or None,
        }

    def __str__(self) -> str:
        query = self.raw_query.decode("latin-1")
        query = f"?{query if self.keep_secrets else redact_query(query)}" if query else ""
        body = f" {self._short_body()}" if self.raw_body else ""
        status = self.status if self.status is not None else "no answer"
        result = "" if self.status is None else _summary(self.answer)
        marks = [mark for mark in (self.fault and f"fault {self.fault}", self.outcome) if mark]
        ending = f" [{', '.join(marks)}]" if marks else ""
        request = f"#{self.number} {format_moment(self.at)} {self.method} {self.path}{query}{body}"
        return f"{request} -> {status}{result}{ending}"

    def _shown_query(self) -> dict[str, str]:
        return {name: value and redact_value(name, value, self.keep_secrets) for name, value in self.query.items()}

    def _shown_body(self) -> str:
        return self._redact_body(self.body_text, self.raw_headers)

    def _shown_response(self) -> str:
        return self._redact_body(self.raw_response.decode("utf-8", "replace"), self.raw_response_headers)

    def _short_body(self, longest: int = 200) -> str:
        """Return the beginning of the body in a line."""
        text = " ".join(self.body_text.split())
        ending = "…" if len(text) > longest else ""
        return self._redact_body(text[:longest], self.raw_headers) + ending

    def _redact_body(self, text: str, headers: RawHeaders) -> str:
        if self.keep_secrets or not text:
            return text
        content_type = next((value for name, value in headers if name.lower() == b"content-type"), b"")
        return redact_body(text, content_type.decode("latin-1"))


class Journal:
    """The last requests, newest last: at most MAX_ENTRIES, in at most ``limit`` bytes of memory; one is always kept.

    With ``keep_secrets`` they are shown with their secrets. Each of ``before_drop`` is called with
    every entry that makes room for newer ones.
    """

    def __init__(
        self,
        keep_secrets: bool = False,
        limit: int = DEFAULT_JOURNAL_LIMIT,
        before_drop: Sequence[Callable[[JournalEntry], None]] = (),
    ) -> None:
        self._keep_secrets = keep_secrets
        self._limit = limit
        self._before_drop = before_drop
        self._last_headers: RawHeaders = ()
        """The headers of the last request; clients repeat them, and equal ones are kept once."""
        self._entries: deque[JournalEntry] = deque()
        self._cleared_until = 0
        """The number of the last request before the entries were last removed by ``clear``."""
        self._dropped_until = 0
        """The number of the last request that made room for newer ones."""
        self.size = 0
        """Bytes of memory that the entries need, about."""
        self.count = 0
        """How many requests there were; the newest has this number."""
        self.dropped = 0
        """How many are no longer kept because of newer ones."""

    def add(
        self,
        method: str,
        path: str,
        query: bytes,
        body: bytes,
        length: int,
        headers: RawHeaders = (),
        peer: tuple[str, int] | None = None,
        connection: int = 0,
    ) -> JournalEntry:
        """Add the entry of a request that has come; ``length`` is that of its body."""
        has_new_headers = headers != self._last_headers
        if has_new_headers:
            self._last_headers = limit_headers(headers)
        self.count += 1
        entry = JournalEntry(self.count, 0, time.time_ns(), method, path, query, body[:MAX_ENTRY_BODY], length)
        entry.raw_headers, entry.peer, entry.connection = self._last_headers, peer, connection
        entry.keep_secrets, entry.owns_headers = self._keep_secrets, has_new_headers
        self._entries.append(entry)
        self._count_size(entry)
        return entry

    def add_response(self, entry: JournalEntry, status: int, headers: RawHeaders, content: bytes, took: int) -> None:
        """Add to an entry how its request is answered, ``took`` nanoseconds after it came."""
        entry.status, entry.took = status, took
        entry.raw_response, entry.response_length = content[:MAX_ENTRY_RESPONSE], len(content)
        entry.raw_response_headers = headers
        if entry.size:
            self._count_size(entry)

    def dropped_since(self, number: int = 0) -> int:
        """Return how many requests after the one of that number, and after ``clear``, were dropped for newer ones."""
        return max(0, self._dropped_until - max(number, self._cleared_until))

    def _count_size(self, entry: JournalEntry) -> None:
        """Count the memory that an entry needs now, and drop the oldest entries if that is too much."""
        before, entry.size = entry.size, entry.measure()
        self.size += entry.size - before
        while len(self._entries) > MAX_ENTRIES or (self.size > self._limit and len(self._entries) > 1):
            oldest = self._entries.popleft()
            for callback in self._before_drop:
                callback(oldest)
            self.size -= oldest.size
            oldest.size = 0
            self.dropped += 1
            self._dropped_until = oldest.number

    def __iter__(self) -> Iterator[JournalEntry]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def select(
        self,
        method: str | None = None,
        path: str | None = None,
        status: int | None = None,
        since: int = 0,
        limit: int | None = None,
        pattern: Mapping[str, Any] | None = None,
    ) -> list[JournalEntry]:
        """Return the entries that match, oldest first.

        ``path`` may have ``*`` for anything; entries up to the number ``since`` are left out; of more than ``limit``
        the newest are taken. ``pattern`` has further conditions, as ``request_patterns`` has them.
        """
        matches = [
            entry
            for entry in self._entries
            if entry.number > since
            and (method is None or entry.method == method.upper())
            and (path is None or fnmatchcase(entry.path, path))
            and (status is None or entry.status == status)
            and (not pattern or matches_pattern(pattern, entry))
        ]
        return matches if limit is None else matches[-limit:] if limit else []

    def clear(self) -> None:
        """Remove all entries; the numbers go on."""
        for entry in self._entries:
            entry.size = 0
        self._entries.clear()
        self.size = 0
        self._cleared_until = self.count


def limit_headers(headers: RawHeaders) -> RawHeaders:
    """Return the first headers that have at most MAX_ENTRY_HEADERS bytes together."""
    length = 0
    for index, (name, value) in enumerate(headers):
        length += len(name) + len(value)
        if length > MAX_ENTRY_HEADERS:
            return headers[:index]
    return headers


def _headers_size(headers: RawHeaders) -> int:
    return sum(HEADER_SIZE + len(name) + len(value) for name, value in headers)


def _decode_headers(headers: RawHeaders, keep_secrets: bool) -> dict[str, str]:
    """Return headers by name; values of the same name are joined by commas."""
    values: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name = raw_name.decode("latin-1").lower()
        value = redact_value(name, raw_value.decode("latin-1"), keep_secrets)
        values[name] = f"{values[name]}, {value}" if name in values else value
    return values


def parse_body_or_none(raw: bytes) -> Any:
    """Return the value of a body's JSON as the controller reads it, or None if it is not JSON.

    Bytes that are not UTF-8 become U+FFFD.
    """
    try:
        return _parse_body(raw.decode("utf-8", "replace"))
    except ValueError:
        return None


def _parse_body(text: str) -> Any:
    try:
        return parse_json(text, finite=True)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _content(text: str, is_whole: bool) -> Any:
    """Return the value of a body that is JSON, else its text; None if it is empty."""
    if not text:
        return None
    if is_whole and text.count("[") + text.count("{") <= MAX_BRACKETS:
        try:
            return _parse_body(text)
        except ValueError:
            pass
    return text


def _summary(answer: Any) -> str:
    """Return what matters in an answer: why it failed, or the state of the instance that it shows."""
    if not isinstance(answer, dict):
        return ""
    if answer.get("status") == "FAIL":
        return f" FAIL {answer.get('message')!r}"
    body = answer.get("body")
    if not isinstance(body, dict) or "instance_state" not in body:
        return ""
    progress = body.get("progress")
    share = f" {progress:.0%}" if isinstance(progress, int | float) and 0 < progress < 1 else ""
    return f" {body['instance_state']}{share}"
