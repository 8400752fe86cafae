"""The door: ASGI, in front of the house. What the test harness adds, and all that waits, is here.

One event loop and one thread: what happens between two awaits nobody else sees the middle of, so the state
needs no lock.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email.utils import formatdate
from functools import partial
from typing import Any

from mockanka.api import envelope
from mockanka.api.request_fields import MAX_BODY
from mockanka.control import MAX_BODY as MAX_CONTROL_BODY
from mockanka.control import create_control
from mockanka.core.faults import FaultRule
from mockanka.server import response_faults, wsgi_bridge
from mockanka.server.event_stream import Listeners, left, wants_stream
from mockanka.server.response_faults import Outgoing
from mockanka.simulator.client_report import ids_of_start
from mockanka.simulator.journal import ANSWER_KEPT, JournalEntry, read_json
from mockanka.simulator.simulator import Simulator
from mockanka.units import SECOND

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

log = logging.getLogger("mockanka")

POLLED = "/api/v1/vm"
POLL_HEADERS = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
LONGEST_READ = 64 * MAX_BODY
"""Bytes of a body that is too long are still read, up to here, so that the client hears why it is refused."""
OLDER_KEPT = 256
"""Answers that are kept, one for each thing that was asked for, so that a fault can repeat them."""


class Disconnected(Exception):
    """The client left before it had sent everything."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request that is being answered: as it came, its place in the journal, and when it began, by the wall."""

    scope: Any
    body: bytes
    length: int
    entry: JournalEntry
    began: int


@dataclass(frozen=True)
class Wait:
    """What ends a wait at the door: a reset, or the end of the server, and the client who leaves."""

    stirred: asyncio.Event
    gone: asyncio.Future[None]

    def is_over(self) -> bool:
        return self.stirred.is_set() or self.gone.done()


class Gateway:
    """An ASGI application over a house."""

    def __init__(self, house: Simulator) -> None:
        self.house = house
        self.control = create_control(house)
        self.listeners = Listeners(house)
        self.refuse: Callable[[float, str], None] = lambda seconds, rule_id: None
        """What refuses connections for so many seconds, by that rule; the server says."""
        self._older: dict[tuple[str, bytes], Outgoing] = {}
        self._stirred = asyncio.Event()
        house.when_reset.append(self._begin_anew)
        self._date: tuple[int, bytes] = (-1, b"")

    def close(self) -> None:
        """Let go of everyone who listens or waits."""
        self.listeners.close()
        self._stirred.set()

    def _begin_anew(self) -> None:
        """What waits at the door belongs to what was before."""
        self._older.clear()
        self._stirred.set()
        self._stirred = asyncio.Event()

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path = scope["path"]
        try:
            if path.startswith("/_mock/") or path == "/_mock":
                await self._steer(scope, receive, send)
            elif path == POLLED and scope["method"] == "GET" and not self.house.controller.faults.has_response_rules:
                await self._poll(scope, send)
            else:
                await self._ask(scope, receive, send)
        except Exception:
            log.exception("a fault in mockanka itself; please report it")
            raise
        self.listeners.wake()

    async def _poll(self, scope: Any, send: Send) -> None:
        """Answer from the bytes at hand, or ask the house: a poll as it most often comes, and nothing strikes it."""
        house = self.house
        call = self._take(scope, b"", 0)
        raw = house.app.answers.at_hand(scope["query_string"])
        if raw is None:
            answer = self._carry_out(call)
        else:
            house.watch.polled(call.entry)
            answer = Outgoing(200, [*POLL_HEADERS, (b"content-length", b"%d" % len(raw))], raw)
        self._keep(call, answer)
        self._remember(call.entry, answer)
        await response_faults.send_whole(send, answer, self._now())

    async def _ask(self, scope: Any, receive: Receive, send: Send) -> None:
        """Pass the request on to the house, unless a fault is in its way."""
        try:
            body, length = await _read(receive, MAX_BODY)
        except Disconnected:
            return
        call = self._take(scope, body, length)
        rule = self._fault(call)
        if rule is not None:
            await self._spoil(rule, call, receive, send)
            return
        answer = self._carry_out(call)
        self._keep(call, answer)
        self._remember(call.entry, answer)
        await response_faults.send_whole(send, answer, self._now())

    def _take(self, scope: Any, body: bytes, length: int) -> Call:
        """Give a request its place in the journal, and let the controller live up to its time."""
        began, controller = time.perf_counter_ns(), self.house.controller
        entry = self.house.journal.open(scope["method"], scope["path"], scope["query_string"], body, length)
        controller.clock.tick()
        controller.advance()
        entry.at = controller.now
        return Call(scope, body, length, entry, began)

    def _carry_out(self, call: Call, heard: bool = True) -> Outgoing:
        """What the controller answers, looked at by who watches the client; whether the client will hear it."""
        house, entry = self.house, call.entry
        status, headers, content = wsgi_bridge.call(house.app, call.scope, call.body, call.length)
        if entry.path == POLLED and entry.method == "POST":
            entry.instances = ids_of_start(content)
        if entry.path == POLLED and entry.method == "GET":
            house.watch.polled(entry, heard)
        house.watch.asked(entry, house.app.remarks, call.body, status, content)
        return Outgoing(status, headers, content)

    def _keep(self, call: Call, answer: Outgoing) -> None:
        """Note the answer that goes out."""
        entry = call.entry
        entry.status = answer.status
        entry.raw_answer, entry.answer_length = answer.content[:ANSWER_KEPT], len(answer.content)
        entry.took = time.perf_counter_ns() - call.began

    def _remember(self, entry: JournalEntry, answer: Outgoing) -> None:
        """Keep what was last said to a GET, so that a fault can repeat it."""
        if entry.method == "GET":
            kept, asked = self._older, (entry.path, entry.raw_query)
            if asked not in kept and len(kept) >= OLDER_KEPT:
                del kept[next(iter(kept))]
            kept[asked] = answer

    # Faults.

    def _fault(self, call: Call) -> FaultRule | None:
        """The rule that strikes at a request, if one does."""
        controller, entry = self.house.controller, call.entry
        if not controller.faults.has_response_rules:
            return None

        def as_json() -> object:
            try:
                return read_json(call.body)
            except ValueError:
                return None

        rule = controller.faults.match_request(
            controller.seed,
            entry.method,
            entry.path,
            lambda: entry.query,
            as_json,
            can_be_stale=entry.method == "GET" and (entry.path, entry.raw_query) in self._older,
        )
        if rule is not None:
            entry.fault = rule.id
            controller.record("fault", rule.id, request=entry.number)
        return rule

    async def _spoil(self, rule: FaultRule, call: Call, receive: Receive, send: Send) -> None:
        """Answer as the rule says: what the controller does it does at once, whatever becomes of the answer."""
        do, house, entry = rule.action, self.house, call.entry
        older = self._older.get((entry.path, entry.raw_query)) if do.stale else None
        heard = older is None and not response_faults.replaces(rule)
        real = self._carry_out(call, heard) if response_faults.acts(rule) else None
        if real is None and entry.path == POLLED and entry.method == "GET":
            house.watch.polled(entry, heard=False)
        if do.refuse is not None:
            entry.outcome = "refused"
            self.refuse(self._wall_seconds(do.refuse), rule.id)
            gone = asyncio.ensure_future(left(receive))
            await response_faults.hang_up(gone, send)
            gone.cancel()
            return
        answer = older or response_faults.replaced(rule, real, self._failure)
        if real is not None and answer.content != real.content:
            self._lost(entry, "replaced" if older is None else "stale")
        wait = Wait(self._stirred, asyncio.ensure_future(left(receive)))
        try:
            await self._pass(response_faults.delay_of(rule, house.controller.seed), wait)
            if not wait.stirred.is_set():
                self._keep(call, answer)
                if heard and not wait.gone.done():
                    self._remember(entry, answer)
                await self._deliver(rule, answer, send, entry, wait)
            if wait.stirred.is_set():  # a reset meanwhile: what is still to be said is of another time
                await response_faults.hang_up(wait.gone, send)
        finally:
            wait.gone.cancel()

    async def _deliver(self, rule: FaultRule, answer: Outgoing, send: Send, entry: JournalEntry, wait: Wait) -> None:
        """Send the answer as the rule lets it through, and note what becomes of it.

        That is noted before anything goes out: the client may be back before its connection is gone.
        """
        do, gone = rule.action, wait.gone
        outcome = "client left" if gone.done() else response_faults.outcome_of(rule, answer)
        if outcome:
            self._lost(entry, outcome)
        if outcome == "closed":
            entry.status = None
        if gone.done():
            return
        if do.connection is not None or do.cut is not None:
            await response_faults.send_broken(rule, gone, send, answer, self._now())
        elif do.dribble is not None:
            pause = partial(self._pass, do.dribble // response_faults.PIECES, wait)
            whole = await response_faults.send_in_dribs(send, answer, self._now(), pause, wait.is_over)
            if not whole and not wait.stirred.is_set():
                self._lost(entry, "client left")
        else:
            await response_faults.send_whole(send, answer, self._now())

    def _lost(self, entry: JournalEntry, outcome: str) -> None:
        """The client does not get the answer as the controller made it."""
        entry.outcome = outcome
        self.house.watch.lost(entry)

    def _failure(self, message: str) -> Outgoing:
        headers = [(name.lower().encode(), value.encode()) for name, value in envelope.HEADERS]
        status = 400 if self.house.controller.release.has("failure-status-400") else 200
        return Outgoing(status, headers, b"").with_content(envelope.fail(message))

    def _wall_seconds(self, length: int) -> float:
        clock = self.house.controller.clock
        return length / SECOND / (clock.speed if clock.mode == "real" else 1.0)

    async def _pass(self, length: int, wait: Wait) -> None:
        """Let time pass: by waiting where the clock runs by itself, by moving it where it does not."""
        controller = self.house.controller
        if not length or wait.is_over():
            return
        if controller.clock.mode != "real":
            controller.clock.advance(length)
            controller.advance()
            await asyncio.sleep(0)
            return
        stirred = asyncio.ensure_future(wait.stirred.wait())
        waited: set[asyncio.Future[Any]] = {stirred, wait.gone}
        await asyncio.wait(waited, timeout=self._wall_seconds(length), return_when=asyncio.FIRST_COMPLETED)
        stirred.cancel()

    # The control API.

    async def _steer(self, scope: Any, receive: Receive, send: Send) -> None:
        """The control API: neither moves a stepping clock nor counts as a request."""
        if wants_stream(scope):
            await self.listeners.stream(scope, receive, send, self._now())
            return
        try:
            body, length = await _read(receive, MAX_CONTROL_BODY)
        except Disconnected:
            return
        status, headers, content = wsgi_bridge.call(self.control, scope, body, length)
        await response_faults.send_whole(send, Outgoing(status, headers, content), self._now())

    def _now(self) -> bytes:
        """The Date header, by the controller's clock: the same requests give the same bytes."""
        second = self.house.controller.now // SECOND
        if second != self._date[0]:
            self._date = (second, formatdate(second, usegmt=True).encode())
        return self._date[1]


async def _read(receive: Receive, most: int) -> tuple[bytes, int]:
    """The request's body, of which no more is kept than is ever looked at, and its whole length."""
    parts: list[bytes] = []
    length = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        part = message.get("body", b"")
        if length <= most:
            parts.append(part)
        length += len(part)
        if not message.get("more_body") or length > LONGEST_READ:
            return b"".join(parts), length
