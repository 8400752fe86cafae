"""What a fault rule at the door does to an answer on its way: another answer, a late one, or a broken connection."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from mockanka.core.faults import FaultRule
from mockanka.core.randomness import draw

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

RESET_AT = 0.5
"""How much of a body goes out before its connection is reset, unless the rule says."""
PIECES = 20
"""Into how many pieces a body is cut that comes in dribs and drabs."""
PATIENCE = 1.0
"""Seconds until a connection that was cut must be gone."""


@dataclass
class Outgoing:
    """An answer before it goes out."""

    status: int
    headers: Headers
    content: bytes

    def with_type(self, content_type: str) -> Outgoing:
        kept = [pair for pair in self.headers if pair[0] != b"content-type"]
        return Outgoing(
            self.status, [(b"content-type", content_type.encode("latin-1", "replace")), *kept], self.content
        )

    def with_content(self, content: bytes) -> Outgoing:
        kept = [pair for pair in self.headers if pair[0] != b"content-length"]
        return Outgoing(self.status, [*kept, (b"content-length", b"%d" % len(content))], content)


def acts(rule: FaultRule) -> bool:
    """Whether the controller carries out the request: unless told, not when the answer is somebody else's."""
    do = rule.action
    if do.refuse is not None:
        return False
    if do.acts is not None:
        return do.acts
    return do.status is None and do.fail is None


def replaces(rule: FaultRule) -> bool:
    """Whether the client hears something else than the controller says, or nothing."""
    do = rule.action
    given = (do.status, do.fail, do.body, do.refuse, do.connection, do.cut)
    return any(each is not None for each in given)


def replaced(rule: FaultRule, real: Outgoing | None, failure: Callable[[str], Outgoing]) -> Outgoing:
    """The answer as the rule makes it; ``failure`` gives a FAIL with a message, as the release sends it."""
    do = rule.action
    if do.fail is not None:
        failed = failure(do.fail)
        return failed if do.status is None else Outgoing(do.status, failed.headers, failed.content)
    if do.status is not None:
        content = (do.body or "").encode()
        kind = do.content_type or ("application/json" if _looks_like_json(do.body) else "text/plain; charset=utf-8")
        return Outgoing(do.status, [], b"").with_content(content).with_type(kind)
    made = real or failure("the request was not carried out")
    if do.body is not None:
        made = made.with_content(do.body.encode())
    return made.with_type(do.content_type) if do.content_type is not None else made


def delay_of(rule: FaultRule, seed: int) -> int:
    """How late the answer comes, in nanoseconds of the controller's time."""
    if rule.action.delay is None:
        return 0
    return rule.action.delay.sample(draw(seed if rule.seed is None else rule.seed, rule.id, f"delay {rule.applied}"))


async def send_whole(send: Send, answer: Outgoing, date: bytes) -> None:
    headers = [*answer.headers, (b"date", date)]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.content})


async def send_broken(rule: FaultRule, gone: asyncio.Future[None], send: Send, answer: Outgoing, date: bytes) -> None:
    """Send as much of the answer as the rule lets through, and break the connection."""
    do = rule.action
    if do.connection == "close":
        await hang_up(gone, send)
        return
    part = _sent(rule, answer)
    await send({"type": "http.response.start", "status": answer.status, "headers": [*answer.headers, (b"date", date)]})
    if part:
        await send({"type": "http.response.body", "body": answer.content[:part], "more_body": True})
    if do.connection == "reset":
        await hang_up(gone, send, reset=True)
    elif part >= len(answer.content):
        await send({"type": "http.response.body", "body": b""})
    else:
        await hang_up(gone, send, flush=True)


def outcome_of(rule: FaultRule, answer: Outgoing) -> str:
    """What will become of the answer, in a word, if the client does not get it as it is."""
    do = rule.action
    if do.connection is not None:
        return "closed" if do.connection == "close" else "reset"
    return "cut" if do.cut is not None and _sent(rule, answer) < len(answer.content) else ""


def _sent(rule: FaultRule, answer: Outgoing) -> int:
    """How many bytes of the body go out before the connection breaks."""
    whole = len(answer.content)
    return (
        rule.action.cut.of(whole)
        if rule.action.cut is not None
        else int(whole * (RESET_AT if rule.action.at is None else rule.action.at))
    )


async def send_in_dribs(
    send: Send, answer: Outgoing, date: bytes, pause: Callable[[], Awaitable[None]], is_over: Callable[[], bool]
) -> bool:
    """Send the body in pieces, with a pause before each, unless it is over meanwhile; whether it all went out."""
    await send({"type": "http.response.start", "status": answer.status, "headers": [*answer.headers, (b"date", date)]})
    whole = len(answer.content)
    for number in range(PIECES):
        await pause()
        if is_over():
            return False
        piece = answer.content[whole * number // PIECES : whole * (number + 1) // PIECES]
        if piece:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
    return True


async def hang_up(gone: asyncio.Future[None], send: Send, reset: bool = False, flush: bool = False) -> None:
    """End the connection without what is still to come, and come back when it is gone.

    ``gone`` is done when it is. With ``reset`` the client is told by a TCP reset; with ``flush`` what was sent before
    still goes out.
    """
    transport = transport_of(send)
    if transport is None:
        return
    if reset:
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if flush:
        transport.close()
    else:
        transport.abort()
    await asyncio.wait([gone], timeout=PATIENCE)


def transport_of(send: Send) -> asyncio.Transport | None:
    """The connection behind an ASGI ``send``: uvicorn's is a method of an object that has it."""
    found: asyncio.Transport | None = getattr(getattr(send, "__self__", None), "transport", None)
    return found


def _looks_like_json(text: str | None) -> bool:
    return text is not None and text.lstrip()[:1] in ("{", "[")
