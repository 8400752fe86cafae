"""A request on its way through the proxy, and its response as it comes."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from urllib.parse import urlsplit

from mockanka.contract.exchange import Exchange
from mockanka.proxy.http1 import BoundedBody, MessageHead, ResponseReader, UndecodableBody, decode_body
from mockanka.recording.exchanges import IncompleteReason, RecordedExchange, join_headers

MAX_RECORDED_BODY = 64 * 1024 * 1024
"""The largest body in bytes that is checked and recorded; larger ones are only forwarded."""


class ResponseState(Enum):
    """How far a response has come."""

    PENDING = auto()
    """No byte of it has come."""
    BEGUN = auto()
    OVER = auto()
    """It is complete, or no more of it will come."""


class RequestInFlight:
    """One request and its response."""

    def __init__(self, head: MessageHead, is_local: bool, clock: Callable[[], float] = time.perf_counter) -> None:
        """``clock`` is ``time.perf_counter``, or what that returned when the bytes were forwarded."""
        self.head, self.is_local = head, is_local
        self.request_body, self.response_body = BoundedBody(MAX_RECORDED_BODY), BoundedBody(MAX_RECORDED_BODY)
        self.request_complete = False
        self.response_reader = ResponseReader(head) if not is_local else None
        self.response_head: MessageHead | None = None
        self.response_state = ResponseState.PENDING
        self.incomplete: IncompleteReason | None = None
        self.incomplete_detail = ""
        self.withheld = bytearray()
        """The bytes of the response that wait for the check of the exchange, to be annotated."""
        self.wait_seconds = self.total_seconds = 0.0
        self._clock, self._start = clock, clock()
        self._started_at = datetime.now(UTC) - timedelta(seconds=time.perf_counter() - self._start)

    @property
    def received_size(self) -> int:
        """Bytes of both bodies."""
        return self.request_body.size + self.response_body.size

    def begin_response(self, head: MessageHead) -> None:
        """Take the head of the final response."""
        self.response_head, self.wait_seconds = head, self._elapsed()

    def end_response(self) -> None:
        """Note that no more of the response will come."""
        self.response_state, self.total_seconds = ResponseState.OVER, self._elapsed()

    def fail(self, reason: IncompleteReason) -> None:
        """Note why the response will never be complete."""
        self.incomplete, self.total_seconds = reason, self._elapsed()

    def _elapsed(self) -> float:
        return self._clock() - self._start

    def to_recorded(self, base_url: str) -> RecordedExchange:
        """Return the exchange; ``base_url`` is the target's."""
        url, path, query = self._split_target(base_url)
        head = self.response_head or MessageHead("", [])
        incomplete, detail, content = self._decode(head)
        return RecordedExchange(
            Exchange(
                self.head.method,
                path,
                query,
                self.request_body.content,
                head.status,
                join_headers(head.headers),
                content,
                round(self.total_seconds, 6),
            ),
            started_at=self._started_at,
            url=url,
            request_version=self.head.version,
            request_headers=self.head.headers,
            response_headers=head.headers,
            response_version=head.version,
            reason_phrase=head.reason,
            wait_seconds=round(self.wait_seconds, 6),
            transferred_size=self.response_body.size,
            incomplete=incomplete,
            incomplete_detail=detail,
        )

    def _split_target(self, base_url: str) -> tuple[str, str, str]:
        """Return URL, path and query of the request, whose target is a path or a whole URL."""
        target = self.head.target
        is_url = re.match("[a-zA-Z][a-zA-Z0-9+.-]*://", target)
        url = target if is_url else base_url + "/" * (target[:1] != "/") + target
        try:
            parts = urlsplit(url)
            return url, parts.path or "/", parts.query
        except ValueError:
            path, _, query = target.partition("?")
            return url, path, query

    def _decode(self, head: MessageHead) -> tuple[IncompleteReason | None, str, bytes]:
        """Return why the exchange is incomplete, details, and the response's body."""
        content = self.response_body.content
        if not self.request_complete:
            return IncompleteReason.REQUEST_INCOMPLETE, "", content
        if not (self.request_body.is_complete and self.response_body.is_complete):
            detail = f"{self.request_body.size} bytes were sent, {self.response_body.size} came back"
            return IncompleteReason.BODY_TOO_LARGE, detail, content
        if self.incomplete is not None:
            return self.incomplete, self.incomplete_detail, content
        try:
            return None, self.incomplete_detail, decode_body(content, head.get("content-encoding"), MAX_RECORDED_BODY)
        except UndecodableBody as error:
            return IncompleteReason.BODY_UNDECODABLE, str(error), content
