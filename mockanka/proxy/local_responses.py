"""Responses of the proxy itself: to requests under ``/_mock``, and if there is no target."""

from __future__ import annotations

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from mockanka import __version__
from mockanka.proxy.http1 import MessageHead
from mockanka.proxy.recorder import TrafficRecorder

LOCAL_LINKS = {"health": "/_mock/health", "report": "/_mock/report"}


class LocalResponses:
    """Makes the responses, as bytes of HTTP/1.1."""

    def __init__(self, base_url: str, recorder: TrafficRecorder, log: Callable[[str], None]) -> None:
        self._base_url, self._recorder, self._log = base_url, recorder, log

    async def respond(self, head: MessageHead) -> bytes:
        """Return the response to a request under ``/_mock``."""
        path = head.target.partition("?")[0]
        if path not in ("/_mock", "/_mock/", *LOCAL_LINKS.values()):
            return _problem(head, 404, f"there is no {path} at this proxy; GET /_mock/ lists what there is")
        if head.method not in ("GET", "HEAD"):
            return _problem(head, 405, f"{path} takes GET, not {head.method}", "allow: GET\r\n")
        return _response(head, 200, await self._body(path))

    async def _body(self, path: str) -> dict[str, Any]:
        if path == LOCAL_LINKS["health"]:
            return {"status": "ok"}
        if path == LOCAL_LINKS["report"]:
            return await self._recorder.report()
        return {"mockanka": __version__, "target": self._base_url, "links": LOCAL_LINKS}

    def target_unreachable(self, reason: str) -> bytes:
        """Return the response to a request that cannot be forwarded, and log the reason."""
        text = f"cannot reach {self._base_url}: {reason}"
        self._log(text)
        return _problem(None, 502, text, "connection: close\r\n")

    def unreadable_request(self, reason: str) -> bytes:
        """Return the response to a request under ``/_mock`` that is not HTTP/1.1."""
        return _problem(None, 400, f"the request cannot be read: {reason}", "connection: close\r\n")


def _problem(head: MessageHead | None, status: int, detail: str, headers: str = "") -> bytes:
    title = HTTPStatus(status).phrase
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return _response(head, status, body, "application/problem+json", headers)


def _response(
    head: MessageHead | None, status: int, body: object, content_type: str = "application/json", headers: str = ""
) -> bytes:
    content = (json.dumps(body, separators=(",", ":")) + "\n").encode()
    lines = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: {content_type}\r\n{headers}"
    without_body = head is not None and head.method == "HEAD"
    return f"{lines}content-length: {len(content)}\r\n\r\n".encode() + (b"" if without_body else content)
