"""Response faults: a class for each kind, which knows what response its client gets and how that is sent.

A new kind is a subclass of ResponseFault and a case in ``make_response_fault``; which keys may go with it in a rule
stands in ``mockanka.core.faults.RESPONSE_FAULTS``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, ClassVar

from mockanka.api.envelope import encode_json
from mockanka.core.controller import Controller
from mockanka.core.durations import WallTime
from mockanka.core.faults import Amount, FaultAction, FaultRule
from mockanka.core.randomness import draw
from mockanka.json_text import parse_json
from mockanka.server.http_messages import (
    Disconnected,
    NotedSend,
    Receive,
    Response,
    Send,
    send_response,
    send_start,
    wait_for_disconnect,
)
from mockanka.serving import reset_connection
from mockanka.units import SECOND

RESET_AT = 0.5
"""The share of a body that is sent before its connection is reset, unless the rule has ``at``."""
DRIBBLE_PIECES = 20
"""The number of pieces in which a body dribbles."""
CLOSING_TIME = 1.0
"""Seconds that a broken connection may take to be gone."""

REPLACED_OUTCOMES = frozenset({"replaced", "changed", "stale"})
"""Outcomes of responses that are still sent, though not as the controller made them."""

RefuseConnections = Callable[[float, str, bool], None]
"""Refuses new connections and breaks off those that exist, for so many seconds of wall time, by the rule of that id.

With True attempts to connect are not refused but get no answer.
"""


class ClientConnection:
    """The connection of a client that waits for a response which a fault may delay, change or break off."""

    def __init__(
        self,
        controller: Controller,
        receive: Receive,
        send: Send,
        date: Callable[[], bytes],
        interruption: asyncio.Event,
        refuse_connections: RefuseConnections,
    ) -> None:
        self._controller = controller
        self._send = send
        self._date = date
        self._interruption = interruption
        self._refuse_connections = refuse_connections
        self._disconnect = asyncio.ensure_future(wait_for_disconnect(receive))

    @property
    def is_gone(self) -> bool:
        """True if the client has closed the connection."""
        return self._disconnect.done()

    @property
    def is_interrupted(self) -> bool:
        """True if the controller was reset, or the server is stopping: the response is of another time."""
        return self._interruption.is_set()

    def release(self) -> None:
        """Watch the connection no more."""
        self._disconnect.cancel()

    async def wait(self, length: int) -> None:
        """Let so many nanoseconds of the controller's time pass, or less if the client leaves or a reset interrupts.

        A real clock is waited for; another one is moved.
        """
        if not length or self.is_interrupted or self.is_gone:
            return
        clock = self._controller.clock
        if clock.mode != "real":
            clock.advance(length)
            self._controller.advance()
            await asyncio.sleep(0)
            return
        await self._wait_seconds(self._wall_seconds(length))

    async def wait_wall_time(self, length: int) -> None:
        """Let so many nanoseconds of real time pass, or less if the client leaves or a reset interrupts."""
        if length and not self.is_interrupted and not self.is_gone:
            await self._wait_seconds(length / SECOND)

    async def _wait_seconds(self, seconds: float) -> None:
        interrupted = asyncio.ensure_future(self._interruption.wait())
        ends: set[asyncio.Future[Any]] = {interrupted, self._disconnect}
        await asyncio.wait(ends, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        interrupted.cancel()

    async def send_response(self, response: Response) -> None:
        """Send a whole response."""
        await send_response(self._send, response, self._date())

    async def send_start(self, response: Response) -> None:
        """Send the status line and the headers."""
        await send_start(self._send, response, self._date())

    async def send_part(self, content: bytes) -> None:
        """Send a part of the body, if it is not empty."""
        if content:
            await self._send({"type": "http.response.body", "body": content, "more_body": True})

    async def send_end(self) -> None:
        """Say that the body is complete."""
        await self._send({"type": "http.response.body", "body": b""})

    async def close(self) -> None:
        """Close the connection once what was sent so far is out."""
        if (transport := self._transport) is not None:
            transport.close()
            await self._closed()

    async def abort(self) -> None:
        """Close the connection at once."""
        if (transport := self._transport) is not None:
            transport.abort()
            await self._closed()

    async def reset(self) -> None:
        """End the connection by a TCP reset."""
        if (transport := self._transport) is not None:
            reset_connection(transport)
            await self._closed()

    def refuse_connections(self, length: int, rule_id: str, silently: bool = False) -> None:
        """Have the server refuse connections, or not answer them, for so many nanoseconds of the controller's time."""
        self._refuse_connections(self._wall_seconds(length), rule_id, silently)

    async def _closed(self) -> None:
        await asyncio.wait([self._disconnect], timeout=CLOSING_TIME)

    @property
    def _transport(self) -> asyncio.Transport | None:
        """The transport behind ASGI's ``send``, which in uvicorn is a method of an object that has it."""
        send = self._send.send if isinstance(self._send, NotedSend) else self._send
        transport: asyncio.Transport | None = getattr(getattr(send, "__self__", None), "transport", None)
        return transport

    def _wall_seconds(self, length: int) -> float:
        clock = self._controller.clock
        return length / SECOND / (clock.speed if clock.mode == "real" else 1.0)


Failure = Callable[[str], Response]
"""Makes a FAIL with a message, as the release sends it."""


@dataclass(frozen=True, kw_only=True)
class ResponseFault:
    """Effect of a rule on the response to one request. The base class sends the controller's own response.

    ``delay`` is how late the response is sent, in nanoseconds of the controller's time, and ``wall_delay`` how much
    later, in nanoseconds of real time. ``acts`` says whether the
    controller carries out the request.
    """

    delay: int = 0
    wall_delay: int = 0
    acts: bool = True

    has_response: ClassVar[bool] = True
    """True if there is a response, if only one that is not sent whole."""
    is_faithful: ClassVar[bool] = True
    """True if the client gets to know what the controller answers."""
    outcome_if_replaced: ClassVar[str] = "replaced"
    """The outcome if the controller carries out the request and the client gets another body."""

    @property
    def keeps_own_response(self) -> bool:
        """True if a later fault may repeat what the controller has answered, although the client does not get it."""
        return False

    def response(self, own: Response | None, failure: Failure) -> Response:
        """Return the response as it would be if all of it were sent.

        ``own`` is what the controller answers; None if it does not carry out the request.
        """
        return own or failure("the request was not carried out")

    def outcome(self, response: Response) -> str:
        """Return in a word what becomes of the response, or "" if all of it is sent."""
        return ""

    async def send(self, response: Response, client: ClientConnection) -> None:
        """Send the response. Raises Disconnected if the client leaves meanwhile and that can be known."""
        await client.send_response(response)


@dataclass(frozen=True, kw_only=True)
class Refuse(ResponseFault):
    """Connections are refused for a time, in nanoseconds of the controller's; the request gets no response."""

    rule_id: str
    length: int
    acts: bool = False

    has_response = False
    is_faithful = False

    def outcome(self, response: Response) -> str:
        return "refused"

    async def send(self, response: Response, client: ClientConnection) -> None:
        client.refuse_connections(self.length, self.rule_id)
        await client.abort()


@dataclass(frozen=True, kw_only=True)
class BeUnreachable(Refuse):
    """Attempts to connect get no answer for a time, so that they time out; the request gets no response."""

    async def send(self, response: Response, client: ClientConnection) -> None:
        client.refuse_connections(self.length, self.rule_id, silently=True)
        await client.abort()


class CloseConnection(ResponseFault):
    """The connection is closed, and nothing is sent."""

    is_faithful = False

    def outcome(self, response: Response) -> str:
        return "closed"

    async def send(self, response: Response, client: ClientConnection) -> None:
        await client.abort()


@dataclass(frozen=True, kw_only=True)
class ResetConnection(ResponseFault):
    """The connection is reset after a share of the body, 0 to 1."""

    at: float

    is_faithful = False

    def outcome(self, response: Response) -> str:
        return "reset"

    async def send(self, response: Response, client: ClientConnection) -> None:
        await client.send_start(response)
        await client.send_part(response.content[: int(len(response.content) * self.at)])
        await client.reset()


@dataclass(frozen=True, kw_only=True)
class Cut(ResponseFault):
    """The connection is closed after a part of the body; behind the end nothing is cut."""

    amount: Amount

    is_faithful = False

    def outcome(self, response: Response) -> str:
        return "cut" if self._length(response) < len(response.content) else ""

    async def send(self, response: Response, client: ClientConnection) -> None:
        length = self._length(response)
        await client.send_start(response)
        await client.send_part(response.content[:length])
        if length < len(response.content):
            await client.close()
        else:
            await client.send_end()

    def _length(self, response: Response) -> int:
        return self.amount.of(len(response.content))


@dataclass(frozen=True, kw_only=True)
class Fail(ResponseFault):
    """The response is a FAIL with a message; its HTTP status is the release's unless there is another."""

    message: str
    status: int | None = None
    acts: bool = False

    is_faithful = False

    def response(self, own: Response | None, failure: Failure) -> Response:
        failed = failure(self.message)
        return failed if self.status is None else Response(self.status, failed.headers, failed.content)


@dataclass(frozen=True, kw_only=True)
class ReplaceStatus(ResponseFault):
    """The response has an HTTP status and a body of its own, as one of a gateway has.

    Without a content type it is JSON if the body looks like that, else plain text.
    """

    status: int
    body: str | None = None
    content_type: str | None = None
    acts: bool = False

    is_faithful = False

    def response(self, own: Response | None, failure: Failure) -> Response:
        text = self.body or ""
        looks_like_json = text.lstrip()[:1] in ("{", "[")
        guessed = "application/json" if looks_like_json else "text/plain; charset=utf-8"
        response = Response(self.status, [], b"").with_content(text.encode())
        return response.with_content_type(self.content_type or guessed)


@dataclass(frozen=True, kw_only=True)
class ReplaceBody(ResponseFault):
    """The response has another body, and another content type if there is one."""

    body: str
    content_type: str | None = None

    is_faithful = False

    def response(self, own: Response | None, failure: Failure) -> Response:
        # Without a response of the controller it is a success, as JSON.
        response = own or Response(200, [(b"content-type", b"application/json")], b"")
        response = response.with_content(self.body.encode())
        return response if self.content_type is None else response.with_content_type(self.content_type)


@dataclass(frozen=True, kw_only=True)
class ChangeBody(ResponseFault):
    """The response is the controller's own, but for some keys of its body or of an item of its list.

    ``item`` selects an item by its place in a list, or an object by the values that it has; None is all of them.
    ``without`` are keys that are left out: a name wherever the key stands, a path with dots only there. ``new_values``
    set at paths with dots, and ``merge_patch`` is a patch of RFC 7396.
    """

    without: tuple[str, ...] = ()
    new_values: Mapping[str, object]
    merge_patch: Mapping[str, object]
    item: int | Mapping[str, object] | None

    outcome_if_replaced = "changed"

    def response(self, own: Response | None, failure: Failure) -> Response:
        response = super().response(own, failure)
        try:
            data = parse_json(response.content)
        except (ValueError, RecursionError):
            return response
        if not isinstance(data, dict) or not isinstance(data.get("body"), dict | list):
            return response
        if isinstance(data["body"], dict):
            if self.item is None or (not isinstance(self.item, int) and _has_values(data["body"], self.item)):
                data["body"] = self._change(data["body"])
        else:
            chosen = self._choose(data["body"])
            data["body"] = [self._change(item) if n in chosen else item for n, item in enumerate(data["body"])]
        return response.with_content(encode_json(data) + b"\n")

    def _choose(self, items: list[Any]) -> set[int]:
        """Return the places of the items that are changed: all objects, the one at a place, or the first that fits."""
        objects = [place for place, item in enumerate(items) if isinstance(item, dict)]
        if self.item is None:
            return {*objects}
        if isinstance(self.item, int):
            return {self.item} & {*objects}
        wanted = self.item
        return {*islice((place for place in objects if _has_values(items[place], wanted)), 1)}

    def _change(self, item: dict[str, Any]) -> Any:
        changed = merge_json(item, self.merge_patch) if self.merge_patch else item
        for path, value in self.new_values.items():
            changed = _with_value(changed, path.split("."), value)
        for path in self.without:
            changed = _without_path(changed, path.split(".")) if "." in path else _without_key(changed, path)
        return changed


def merge_json(target: Any, patch: Any) -> Any:
    """Return a JSON value with a merge patch applied (RFC 7396)."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_json(merged.get(key), value)
    return merged


def _has_values(item: dict[str, Any], values: Mapping[str, object]) -> bool:
    return all(_find(item, path) == value for path, value in values.items())


def _find(value: Any, path: str) -> Any:
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _with_value(value: Any, path: list[str], new: object) -> Any:
    if not path:
        return new
    inner = value if isinstance(value, dict) else {}
    return {**inner, path[0]: _with_value(inner.get(path[0]), path[1:], new)}


def _without_path(value: Any, path: list[str]) -> Any:
    if not isinstance(value, dict) or path[0] not in value:
        return value
    if len(path) == 1:
        return {key: part for key, part in value.items() if key != path[0]}
    return {**value, path[0]: _without_path(value[path[0]], path[1:])}


def _without_key(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return {key: _without_key(part, name) for key, part in value.items() if key != name}
    return [_without_key(part, name) for part in value] if isinstance(value, list) else value


@dataclass(frozen=True, kw_only=True)
class ReplaceContentType(ResponseFault):
    """The response has another content type."""

    content_type: str

    def response(self, own: Response | None, failure: Failure) -> Response:
        return super().response(own, failure).with_content_type(self.content_type)


@dataclass(frozen=True, kw_only=True)
class Dribble(ResponseFault):
    """The body is sent in pieces, spread over a length of time in nanoseconds of the controller's."""

    length: int

    async def send(self, response: Response, client: ClientConnection) -> None:
        content, whole = response.content, len(response.content)
        await client.send_start(response)
        for number in range(DRIBBLE_PIECES):
            await client.wait(self.length // DRIBBLE_PIECES)
            if client.is_interrupted:
                return
            if client.is_gone:
                raise Disconnected
            await client.send_part(content[whole * number // DRIBBLE_PIECES : whole * (number + 1) // DRIBBLE_PIECES])
        await client.send_end()


@dataclass(frozen=True, kw_only=True)
class Stale(ResponseFault):
    """The client gets a response that the same GET had before."""

    last: Response
    by_age: bool = False

    is_faithful = False
    outcome_if_replaced = "stale"

    @property
    def keeps_own_response(self) -> bool:
        return self.by_age

    def response(self, own: Response | None, failure: Failure) -> Response:
        return self.last


def make_response_fault(rule: FaultRule, seed: int, last: Response | None) -> ResponseFault:
    """Make the fault of a rule that has matched a request.

    Delays are drawn by the seed of the controller, unless the rule has its own. ``last`` is the response that the same
    GET had before, for a rule that repeats one.
    """
    do = rule.action
    wall_delay = do.delay.length if isinstance(do.delay, WallTime) else 0
    common: dict[str, Any] = {"delay": _draw_delay(rule, seed), "wall_delay": wall_delay}
    if do.acts is not None:
        common["acts"] = do.acts
    match do:
        case FaultAction(refuse=int(length)):
            return Refuse(rule_id=rule.id, length=length)
        case FaultAction(unreachable=int(length)):
            return BeUnreachable(rule_id=rule.id, length=length)
        case FaultAction(connection="close"):
            return CloseConnection(**common)
        case FaultAction(connection="reset"):
            return ResetConnection(at=RESET_AT if do.at is None else do.at, **common)
        case FaultAction(cut=Amount() as amount):
            return Cut(amount=amount, **common)
        case FaultAction(fail=str(message)):
            return Fail(message=message, status=do.status, **common)
        case FaultAction(status=int(status)):
            return ReplaceStatus(status=status, body=do.body, content_type=do.content_type, **common)
        case FaultAction(body=str(body)):
            return ReplaceBody(body=body, content_type=do.content_type, **common)
        case FaultAction(content_type=str(content_type)):
            return ReplaceContentType(content_type=content_type, **common)
        case FaultAction(dribble=int(length)):
            return Dribble(length=length, **common)
        case FaultAction() if do.stale and last is not None:
            return Stale(last=last, by_age=do.stale_age > 0, **common)
    if do.without or do.new_values or do.merge_patch:
        return ChangeBody(
            without=do.without,
            new_values=do.new_values or {},
            merge_patch=do.merge_patch or {},
            item=do.item,
            **common,
        )
    return ResponseFault(**common)


def _draw_delay(rule: FaultRule, seed: int) -> int:
    if rule.action.delay is None or isinstance(rule.action.delay, WallTime):
        return 0
    return rule.action.delay.sample(draw(seed if rule.seed is None else rule.seed, rule.id, f"delay {rule.applied}"))
