"""One request on its way through the proxy, and its answer as it comes."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from urllib.parse import urlsplit

from mockanka.contract.exchange import Exchange
from mockanka.proxy.http1 import Answer, CannotDecode, Head, Kept, decoded
from mockanka.recording.exchanges import Broken, Recorded
from mockanka.recording.har import joined

MAX_BODY = 64 * 1024 * 1024
"""Bytes of a body that are kept to be judged; more are passed on, and that is all."""


class Turn:
    """One request, and its answer as it comes."""

    def __init__(self, head: Head, own: bool) -> None:
        self.head, self.own = head, own
        self.at, self.began = datetime.now(UTC), time.perf_counter()
        self.sent, self.content = Kept(MAX_BODY), Kept(MAX_BODY)
        self.whole = False
        """All of the request came."""
        self.reader = Answer(head) if not own else None
        self.answer: Head | None = None
        self.answered = self.begun = False
        self.broken: Broken | None = None
        self.detail = ""
        self.held = bytearray()
        self.waited = self.took = 0.0

    def stop_watch(self) -> float:
        return time.perf_counter() - self.began

    def recorded(self, base: str) -> Recorded:
        target = self.head.target
        url = target if re.match("[a-zA-Z][a-zA-Z0-9+.-]*://", target) else base + "/" * (target[:1] != "/") + target
        try:
            path, query = urlsplit(url).path or "/", urlsplit(url).query
        except ValueError:
            path, _, query = target.partition("?")
        answer = self.answer or Head("", [])
        broken, detail, content = self.broken, self.detail, self.content.content
        if not self.whole:
            broken, detail = Broken.UNSENT, ""
        elif not (self.sent.whole and self.content.whole):
            broken, detail = Broken.LARGE, f"{self.sent.size} bytes were sent, {self.content.size} came back"
        elif broken is None:
            try:
                content = decoded(content, answer.get("content-encoding"), MAX_BODY)
            except CannotDecode as wrong:
                broken, detail = Broken.ENCODED, str(wrong)
        return Recorded(
            Exchange(
                self.head.method,
                path,
                query,
                self.sent.content,
                answer.status,
                joined(answer.headers),
                content,
                round(self.took, 6),
            ),
            at=self.at,
            url=url,
            version=self.head.version,
            asked=self.head.headers,
            answered=answer.headers,
            answer_version=answer.version,
            reason=answer.reason,
            waited=round(self.waited, 6),
            size=self.content.size,
            broken=broken,
            detail=detail,
        )
