"""A client's connection and the one to the target that belongs to it: bytes go on as they come, and are read aside."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from mockanka.contract.conformance import Violation
from mockanka.proxy.endpoints import End, Outbox
from mockanka.proxy.http1 import Head, Part, Requests
from mockanka.proxy.in_flight import Turn
from mockanka.proxy.recorder import Book
from mockanka.recording.exchanges import Broken

CONNECT_IN = 10.0
"""Seconds that the target has to take a connection."""
EARLY = 256 * 1024
"""Bytes that a client may send before the target has taken the connection."""
LINGER = 2.0
"""Seconds that a client has left to hear that the target cannot be reached."""
HEADER = "x-mockanka-violations"


class Desk(Protocol):
    """What a connection needs of the proxy."""

    book: Book
    base: str
    host: str
    port: int
    tls: ssl.SSLContext | None
    annotate: bool
    relays: set[Relay]

    def own(self, head: Head) -> Awaitable[bytes]: ...

    def no_target(self, why: str) -> bytes: ...

    def unread(self, why: str) -> bytes: ...


class Relay:
    """Passes on what one client and the target say to each other."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.near = End(self._client_came, self._asked, self._client_ended, self._client_lost)
        self.far = End(self._connected, self._answered, self._target_ended, self._target_lost)
        self.near.peer, self.far.peer = self.far, self.near
        self._requests = Requests()
        self._turns: deque[Turn] = deque()
        self._asking: Turn | None = None
        self._outbox = Outbox()
        self._early: list[bytes] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._connecting = self._unreachable = self._blind = False

    def stop(self) -> None:
        """End both connections now."""
        self._break_off(Broken.STOPPED)
        for task in self._tasks:
            task.cancel()
        self.near.abort()
        self.far.abort()

    # ---- the client ------------------------------------------------------------------------------------------------

    def _client_came(self) -> None:
        self._desk.relays.add(self)

    def _asked(self, data: bytes) -> None:
        if self._blind:
            self._pass_on(data)
            return
        for part in self._requests.feed(data):
            self._take_request(part)
            if part.unread and part.own:
                self._outbox.add(lambda why=part.unread: self.near.write(self._desk.unread(why)))  # type: ignore[misc]
                self._outbox.add(self.near.close)
            elif part.unread:
                self._go_blind(f"a request: {part.unread}")
        self._serve_own()

    def _take_request(self, part: Part) -> None:
        if part.head is not None:
            self._asking = Turn(part.head, part.own)
            if not self._unreachable:
                self._turns.append(self._asking)
        if not part.own:
            self._pass_on(part.raw)
        turn = self._asking
        if turn is not None:
            if not turn.own:
                turn.sent.add(part.body)
            if part.ends:
                turn.whole, self._asking = True, None
                if turn.answered:
                    self._submit(turn)

    def _pass_on(self, data: bytes) -> None:
        if self._unreachable or not data:
            return
        if self.far.closed:
            self.near.reset()  # as a system does that gets bytes for a connection it has closed
        elif self.far.transport is not None:
            self.far.write(data)
        else:
            self._early.append(data)
            if sum(map(len, self._early)) > EARLY:
                self.near.hold("connecting")
            if not self._connecting:
                self._connecting = True
                self._do(self._connect())

    async def _connect(self) -> None:
        desk, loop = self._desk, asyncio.get_running_loop()
        name = desk.host if desk.tls is not None else None
        try:
            async with asyncio.timeout(CONNECT_IN):
                await loop.create_connection(lambda: self.far, desk.host, desk.port, ssl=desk.tls, server_hostname=name)
        except TimeoutError:
            self._give_up(f"it takes no connection within {CONNECT_IN:g} s")
        except ssl.SSLError as wrong:
            self._give_up(f"TLS: {getattr(wrong, 'verify_message', '') or wrong.reason or wrong}")
        except OSError as wrong:
            self._give_up((wrong.strerror or str(wrong)).lower())

    def _connected(self) -> None:
        self.far.write(b"".join(self._early))
        self._early.clear()
        self.near.free("connecting")
        if self.near.closed:
            self.far.close()
        elif self.near.ended:
            self._client_ended()

    def _give_up(self, why: str) -> None:
        """Tell the client that there is no target, and leave it time to hear it."""
        self._unreachable = True
        self.near.free("connecting")
        for turn in [each for each in self._turns if not each.own]:
            turn.answered, turn.broken, turn.detail = True, Broken.UNREACHABLE, why
            if turn.whole:
                self._submit(turn)
        self._turns.clear()
        self._outbox.add(lambda: self.near.write(self._desk.no_target(why)))
        self._outbox.add(self.near.shut)
        asyncio.get_running_loop().call_later(LINGER, self.near.close)

    def _client_ended(self) -> None:
        self._pass_on(self._requests.rest())
        if self._connecting and self.far.transport is None and not self._unreachable:
            return
        if self.far.transport is None or self.far.ended or self.far.closed or self._unreachable:
            self._outbox.add(self.near.close)
            self.far.close()
        elif self.far.transport.can_write_eof() or not self._turns:
            self.far.shut()

    def _client_lost(self, wrong: Exception | None) -> None:
        self._break_off(Broken.LEFT)
        for task in self._tasks:
            task.cancel()
        if wrong is not None:
            self.far.reset()
        else:
            self.far.close()
        if self.far.transport is None or self.far.closed:
            self._desk.relays.discard(self)

    # ---- the target ------------------------------------------------------------------------------------------------

    def _answered(self, data: bytes) -> None:
        while data:
            turn = self._turns[0] if self._turns else None
            if turn is None or turn.reader is None:
                self._go_blind("an answer to no request")
                self._hand_over(data)
                return
            turn.begun = True
            part, data = turn.reader.feed(data)
            self._take_answer(turn, part)

    def _take_answer(self, turn: Turn, part: Part) -> None:
        if part.head is not None and (not part.early or part.unread):
            turn.answer, turn.waited = part.head, turn.stop_watch()
        turn.content.add(part.body)
        if self._desk.annotate and not part.early and turn.content.whole:
            turn.held += part.raw
        else:
            self._let_go(turn)
            self._hand_over(part.raw)
        if part.unread:
            turn.broken = Broken.SWITCHED if part.ends else Broken.UNREAD
            turn.detail = "" if part.ends else part.unread
            self._go_blind(f"an answer: {part.unread}")
        if part.ends or part.unread:
            self._finish(turn)
        if part.unread:
            self._break_off(turn.broken or Broken.UNREAD)

    def _finish(self, turn: Turn) -> None:
        """An answer is there as far as it will ever be."""
        self._turns.popleft()
        turn.answered, turn.took = True, turn.stop_watch()
        if turn.whole and turn.held and turn.broken is None:
            held, fill = bytes(turn.held), self._outbox.reserve()
            self.far.hold("judging")

            def say(found: Sequence[Violation] | None) -> None:
                fill(lambda: self.near.write(annotated(held, found or ())))
                if not self._outbox.waits:
                    self.far.free("judging")

            self._submit(turn, say)
        else:
            self._let_go(turn)
            if turn.whole:
                self._submit(turn)
        self._serve_own()
        if self.near.ended and not self._turns and self.far.transport and not self.far.transport.can_write_eof():
            self.far.shut()

    def _target_ended(self) -> None:
        self._last_words(Broken.CUT)
        self._outbox.add(self.near.shut)
        if self.near.ended:
            self._outbox.add(self.near.close)
            self.far.close()

    def _target_lost(self, wrong: Exception | None) -> None:
        if wrong is not None:
            self._last_words(Broken.RESET)
            self._outbox.add(self.near.reset)
        elif not self.far.ended:
            self._target_ended()
        if self.near.closed:
            self._desk.relays.discard(self)

    def _last_words(self, how: Broken) -> None:
        """The connection to the target ends: an answer may be whole by that, or never will be."""
        turn = self._turns[0] if self._turns else None
        if turn is not None and turn.reader is not None and turn.begun and how is Broken.CUT:
            part = turn.reader.end()
            if part.ends:
                self._take_answer(turn, part)
        if self.near.ended:
            how = Broken.LEFT
        self._break_off(how)

    # ---- both ------------------------------------------------------------------------------------------------------

    def _hand_over(self, data: bytes) -> None:
        if data:
            self._outbox.add(lambda: self.near.write(data))

    def _let_go(self, turn: Turn) -> None:
        """Hand over what was held back to be annotated, as it is."""
        self._hand_over(bytes(turn.held))
        turn.held.clear()

    def _break_off(self, how: Broken) -> None:
        """Record what will never be whole."""
        turns = [turn for turn in self._turns if not turn.own]
        self._turns.clear()
        if self._asking is not None and self._asking.answered:
            turns.append(self._asking)
        self._asking = None
        for turn in turns:
            if turn.broken is None and not turn.answered:
                silent = how in (Broken.CUT, Broken.RESET) and not turn.begun
                turn.broken, turn.took = Broken.SILENT if silent else how, turn.stop_watch()
            self._let_go(turn)
            self._submit(turn)

    def _submit(self, turn: Turn, then: Callable[[Sequence[Violation] | None], None] | None = None) -> None:
        book = self._desk.book
        base = self._desk.base
        book.submit(lambda: turn.recorded(base), turn.sent.size + turn.content.size, then)
        if book.full:
            self.near.hold("judging")
            book.when_room(lambda: self.near.free("judging"))

    def _go_blind(self, why: str) -> None:
        """Pass everything on from here, and read no more."""
        if not self._blind:
            self._blind = True
            self._desk.book.unreadable(why)
            self._pass_on(self._requests.rest())

    def _serve_own(self) -> None:
        while self._turns and self._turns[0].own:
            self._do(self._answer_own(self._turns.popleft().head, self._outbox.reserve()))

    async def _answer_own(self, head: Head, fill: Callable[[Callable[[], None]], None]) -> None:
        answer = await self._desk.own(head)
        fill(lambda: self.near.write(answer))
        wish = head.get("connection").lower()
        if "close" in wish or (head.version == "HTTP/1.0" and "keep-alive" not in wish):
            self._outbox.add(self.near.shut)

    def _do(self, what: Any) -> None:
        task = asyncio.get_running_loop().create_task(what)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def annotated(answer: bytes, violations: Sequence[Violation]) -> bytes:
    """An answer with a header that names what is wrong, behind its first line."""
    named = dict.fromkeys(f"{each.side} {each.check}" for each in violations if each.fails)
    if not named:
        return answer
    line, end, rest = answer.partition(b"\n")
    return b"%s%s%s: %s\r\n%s" % (line, end, HEADER.encode(), ", ".join(named).encode(), rest)
