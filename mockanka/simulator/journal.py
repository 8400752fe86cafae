"""The journal: every request that went through the door, as it came and as it was answered."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import isfinite
from typing import Any, NoReturn
from urllib.parse import parse_qsl

from mockanka.units import SECOND, format_moment

RESTART = "/api/v1/rpc/vm/restart"
KEPT = 10_000
"""Requests that are kept; the oldest go first."""
BODY_KEPT = 64 * 1024
"""Bytes of a request's body that are kept."""
BRACKETS = 500
"""A body with more of them is shown as text: it may be nested deeper than anybody could write it again."""
ANSWER_KEPT = 4 * 1024
"""Bytes of an answer that are kept."""


@dataclass(slots=True)
class JournalEntry:
    """One request. ``at`` is the controller's time when it was carried out, ``wall`` the wall's when it came, both in
    nanoseconds; a fault may have answered it later than that.

    ``status`` is None if no answer went out; ``fault`` is the id of the rule that struck, ``outcome`` what became of
    the answer if it did not reach the client as it was made; ``instances`` are those that a POST vm started.
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
    raw_answer: bytes = b""
    answer_length: int = 0
    took: int = 0
    fault: str = ""
    outcome: str = ""
    instances: tuple[str, ...] = ()

    @property
    def query(self) -> dict[str, str]:
        """The query's parameters; of several with one name the first, as the controller reads them."""
        found: dict[str, str] = {}
        for name, value in parse_qsl(self.raw_query.decode("latin-1"), keep_blank_values=True):
            found.setdefault(name, value)
        return found

    @property
    def body(self) -> Any:
        """The request's body: what its JSON says, else its text; None if there was none."""
        return _content(self.raw_body, self.body_length)

    @property
    def answer(self) -> Any:
        """The answer's body, likewise; text that breaks off if it was too long to be kept."""
        return _content(self.raw_answer, self.answer_length)

    @property
    def touched(self) -> tuple[str, ...]:
        """The ids of the instances that the request is about."""
        if self.instances or self.path not in ("/api/v1/vm", "/api/v1/image", RESTART):
            return self.instances
        body = self.body
        named = body.get("instance_id" if self.path == RESTART else "id") if isinstance(body, dict) else None
        wanted = named if self.path != "/api/v1/vm" else self.query.get("id") or named
        return (wanted,) if isinstance(wanted, str) and wanted else ()

    def as_json(self) -> dict[str, object]:
        """The request as the control API shows it."""
        return {
            "number": self.number,
            "at": format_moment(self.at),
            "wall": format_moment(self.wall),
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "body": self.body,
            **({"body_length": self.body_length} if self.body_length > len(self.raw_body) else {}),
            "status": self.status,
            "answer": self.answer,
            "seconds": self.took / SECOND,
            "fault": self.fault or None,
            "outcome": self.outcome or None,
            "instances": list(self.touched),
        }

    def __str__(self) -> str:
        query = f"?{self.raw_query.decode('latin-1')}" if self.raw_query else ""
        body = f" {_short(self.raw_body)}" if self.raw_body else ""
        status = self.status if self.status is not None else "no answer"
        said = "" if self.status is None else _said(self.answer)
        marks = [mark for mark in (self.fault and f"fault {self.fault}", self.outcome) if mark]
        ending = f" [{', '.join(marks)}]" if marks else ""
        return (
            f"#{self.number} {format_moment(self.at)} {self.method} {self.path}{query}{body} -> {status}{said}{ending}"
        )


class Journal:
    """The last requests, newest last."""

    def __init__(self) -> None:
        self._entries: deque[JournalEntry] = deque(maxlen=KEPT)
        self.count = 0
        """How many there ever were; the newest has this number."""
        self.dropped = 0
        """How many had to go for newer ones."""

    def open(self, method: str, path: str, query: bytes, body: bytes, length: int) -> JournalEntry:
        """Give a request its place."""
        self.count += 1
        self.dropped += len(self._entries) == self._entries.maxlen
        entry = JournalEntry(self.count, 0, time.time_ns(), method, path, query, body[:BODY_KEPT], length)
        self._entries.append(entry)
        return entry

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
    ) -> list[JournalEntry]:
        """Those that fit, oldest first: ``path`` may have ``*``; ``since`` leaves out all up to that number; of more
        than ``limit`` the newest are taken."""
        found = [
            entry
            for entry in self._entries
            if entry.number > since
            and (method is None or entry.method == method.upper())
            and (path is None or fnmatchcase(entry.path, path))
            and (status is None or entry.status == status)
        ]
        return found if limit is None else found[-limit:] if limit else []

    def clear(self) -> None:
        """Forget all; numbers go on."""
        self._entries.clear()


def _said(answer: Any) -> str:
    """What an answer comes down to: why it failed, or how the instance is that it shows."""
    if not isinstance(answer, dict):
        return ""
    if answer.get("status") == "FAIL":
        return f" FAIL {answer.get('message')!r}"
    body = answer.get("body")
    if not isinstance(body, dict) or "instance_state" not in body:
        return ""
    progress = body.get("progress")
    part = f" {progress:.0%}" if isinstance(progress, int | float) and 0 < progress < 1 else ""
    return f" {body['instance_state']}{part}"


def read_json(raw: bytes) -> Any:
    """What a body says, read as the controller reads it, who takes U+FFFD for what is no UTF-8. ValueError: no JSON."""
    try:
        return json.loads(raw.decode("utf-8", "replace"), parse_constant=_refuse, parse_float=_finite)
    except RecursionError:
        raise ValueError("nested too deep") from None


def _content(raw: bytes, length: int) -> Any:
    if not raw:
        return None
    if len(raw) == length and raw.count(b"[") + raw.count(b"{") <= BRACKETS:
        try:
            return read_json(raw)
        except ValueError:
            pass
    return raw.decode("utf-8", "replace")


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _finite(text: str) -> float:
    number = float(text)
    return number if isfinite(number) else _refuse(text)


def _short(raw: bytes, most: int = 200) -> str:
    text = " ".join(raw.decode("utf-8", "replace").split())
    return text if len(text) <= most else f"{text[:most]}…"
