"""The ASGI application in front of a simulator: what the test harness adds to the controller, and all that waits.

There is one event loop and one thread. Nobody sees the middle of what happens between two awaits, so the state needs
no lock.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

from mockanka.api import envelope
from mockanka.api.request_fields import MAX_BODY
from mockanka.control import MAX_CONTROL_BODY, PROBLEM_TYPE, create_control, encode_problem
from mockanka.core.faults import MatchableRequest
from mockanka.core.operations import methods_by_path
from mockanka.server.earlier_responses import EarlierResponses
from mockanka.server.event_stream import EventStreams, wants_event_stream
from mockanka.server.http_messages import (
    Disconnected,
    NotedSend,
    Receive,
    Response,
    Send,
    decode_headers,
    read_body,
    send_parts,
    send_response,
)
from mockanka.server.response_faults import ClientConnection, RefuseConnections, ResponseFault, make_response_fault
from mockanka.server.wsgi_bridge import call_wsgi, start_wsgi
from mockanka.serving import WorkInterrupted
from mockanka.simulator.client_monitor import ids_of_start
from mockanka.simulator.journal import VM_PATH, JournalEntry, parse_body_or_none
from mockanka.simulator.simulator import Simulator
from mockanka.units import SECOND

POLL_HEADERS = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
_NO_STATE: dict[str, int] = {}
MAX_READ = 64 * MAX_BODY
"""Bytes of a body that are read, though not kept, so that the client gets the refusal of a body that is too long."""


def _refuse_nobody(seconds: float, rule_id: str, silently: bool) -> None:
    """Do nothing: an application without a server has no connections to refuse."""


def _accept_anyway() -> None:
    """Do nothing: an application without a server refuses no connections."""


def _envelope_headers() -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in envelope.HEADERS]


def _connection_of(scope: Any) -> int:
    """Return the number of a request's connection; 0 without a server."""
    number: int = scope.get("state", _NO_STATE).get("connection", 0)
    return number


@dataclass(slots=True)
class Call:
    """A request to the controller that is being answered.

    ``length`` is the length of its body, of which ``body`` may be only the beginning. ``began`` is when it came, by
    ``time.perf_counter_ns``. ``is_plain_poll`` says that it is a GET of instances and no fault is possible.
    """

    scope: Any
    body: bytes
    length: int
    entry: JournalEntry
    began: int
    is_plain_poll: bool

    @property
    def is_poll(self) -> bool:
        """True if it is a GET of instances."""
        return self.entry.path == VM_PATH and self.entry.method == "GET"


class Gateway:
    """An ASGI application that serves a simulator's controller, and its control API under /_mock.

    ``refuse_connections`` carries out the response fault of that kind, which only a server can.
    """

    def __init__(
        self,
        simulator: Simulator,
        refuse_connections: RefuseConnections = _refuse_nobody,
        accept_connections: Callable[[], None] = _accept_anyway,
    ) -> None:
        self.simulator = simulator
        self.control_app = create_control(simulator)
        self.event_streams = EventStreams(simulator)
        self._refuse_connections = refuse_connections
        self._accept_connections = accept_connections
        self._refuses_while_down = False
        self._earlier_responses = EarlierResponses()
        self._interruption = asyncio.Event()
        self._date: tuple[int, bytes] = (-1, b"")
        self._connections = simulator.client_monitor.connections
        simulator.after_reset.append(self._forget)

    def close(self) -> None:
        """End every event stream and every response that waits."""
        self.event_streams.close()
        self._interruption.set()

    def note_opened(self, connection: int) -> None:
        """Note that the connection of that number was opened."""
        self._connections.open(connection)

    def note_closed(self, connection: int) -> None:
        """Note that the connection of that number was closed."""
        self._connections.close(connection)

    def note_changes(self) -> None:
        """Tell listeners what has happened, and accept connections again if the controller is up again."""
        self.event_streams.notify()
        if self._refuses_while_down and self.simulator.controller.down_until is None:
            self._refuses_while_down = False
            self._accept_connections()

    def _forget(self) -> None:
        """Interrupt responses that wait, and forget the last ones: they are from before the reset."""
        self._earlier_responses.clear()
        self._interruption.set()
        self._interruption = asyncio.Event()

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path = scope["path"]
        is_control = path.startswith("/_mock/") or path == "/_mock"
        noted_send = NotedSend(send)
        try:
            if is_control:
                await self._control(scope, receive, noted_send)
            else:
                await self._simulate(scope, receive, noted_send)
        except WorkInterrupted:  # what is interrupted is done with: the server is stopping
            if not noted_send.has_begun:
                await self._send_failure(send, is_control, HTTPStatus.SERVICE_UNAVAILABLE, "the server is stopping")
        except Exception:
            logging.getLogger("mockanka").exception("a fault in mockanka itself; please report it")
            if noted_send.has_begun:
                raise  # the server closes the connection, by which the client knows that the response is not whole
            await self._send_failure(send, is_control, HTTPStatus.INTERNAL_SERVER_ERROR, envelope.INTERNAL_ERROR)
        try:
            self.note_changes()
        except Exception:  # the response has been sent
            logging.getLogger("mockanka").exception("a fault in mockanka itself; please report it")

    async def _send_failure(self, send: Send, is_control: bool, status: HTTPStatus, message: str) -> None:
        """Send the response to a request that cannot be answered, in the format of its API."""
        if is_control:
            content = encode_problem(status, status.phrase, message)
            headers = [(b"content-type", PROBLEM_TYPE.encode())]
        else:
            content, headers = envelope.encode_failure(message), _envelope_headers()
        await send_response(send, Response(status, headers, b"").with_content(content), self._date_header())

    async def _simulate(self, scope: Any, receive: Receive, send: Send) -> None:
        """Answer a request to the controller."""
        polls = self._is_plain_poll(scope)
        try:
            body, length = (b"", 0) if polls else await read_body(receive, MAX_BODY, MAX_READ)
        except Disconnected:
            return
        call = self._enter_journal(scope, body, length, polls)
        self._connections.record_request(call.entry.connection, call.entry)
        try:
            await self._answer(call, receive, send)
        except Exception:
            if call.entry.status is None and not call.entry.outcome:
                with suppress(Exception):  # what failed may be the journal
                    failure = self._failure(envelope.INTERNAL_ERROR)
                    failure.status = HTTPStatus.INTERNAL_SERVER_ERROR
                    self._record_response(call, failure)
            raise
        self._connections.record_response(call.entry.connection, self.simulator.journal.count)

    async def _answer(self, call: Call, receive: Receive, send: Send) -> None:
        """Carry out a request that is in the journal, and send the response."""
        self._move_clock(call)
        if self.simulator.controller.down_until is not None:
            await self._refuse(call, receive, send)
            return
        fault = None if call.is_plain_poll else self._find_fault(call)
        response = self._act(call, fault)
        if fault is not None:
            await self._send_with_fault(fault, call, response, receive, send)
        elif response is not None:
            self._record_response(call, response)
            self._remember(call, response)
            await send_response(send, response, self._date_header())

    async def _refuse(self, call: Call, receive: Receive, send: Send) -> None:
        """Break off a connection while the controller is down.

        By a real clock new ones are refused from then on. Another clock may move only by the next request, or by one to
        the control API, so that these must be able to come.
        """
        controller = self.simulator.controller
        self._record_outcome(call, "refused")
        client = self._make_client(receive, send)
        try:
            if controller.clock.mode == "real" and controller.down_until is not None:
                self._refuses_while_down = True
                client.refuse_connections(controller.down_until - controller.now, "")
            await client.abort()
        finally:
            client.release()

    def _make_client(self, receive: Receive, send: Send) -> ClientConnection:
        controller = self.simulator.controller
        return ClientConnection(
            controller, receive, send, self._date_header, self._interruption, self._refuse_connections
        )

    def _is_plain_poll(self, scope: Any) -> bool:
        """Return whether a request is a GET of instances and no fault is possible. Its body is never looked at."""
        may_have_fault = self.simulator.controller.faults.has_response_rules
        return not may_have_fault and scope["path"] == VM_PATH and scope["method"] == "GET"

    def _enter_journal(self, scope: Any, body: bytes, length: int, is_plain_poll: bool) -> Call:
        began = time.perf_counter_ns()
        entry = self.simulator.journal.add(
            scope["method"],
            scope["path"],
            scope["query_string"],
            body,
            length,
            scope["headers"],
            scope.get("client"),
            _connection_of(scope),
        )
        return Call(scope, body, length, entry, began, is_plain_poll)

    def _move_clock(self, call: Call) -> None:
        """Move a clock that steps, and let the controller do all that is due by now."""
        controller = self.simulator.controller
        controller.clock.tick()
        controller.advance()
        call.entry.at = controller.now

    def _find_fault(self, call: Call) -> ResponseFault | None:
        """Return the fault of the first rule that fires, or None."""
        controller, entry = self.simulator.controller, call.entry
        if not controller.faults.has_response_rules:
            return None
        request = MatchableRequest(
            entry.method,
            entry.path,
            lambda: entry.query,
            lambda: decode_headers(call.scope["headers"]),
            lambda: parse_body_or_none(call.body),
        )
        rule = controller.faults.match_request(
            controller.seed, request, lambda age: self._find_earlier_response(call, age) is not None
        )
        if rule is None:
            return None
        entry.fault = rule.id
        controller.record("fault", rule.id, request=entry.number)
        earlier = self._find_earlier_response(call, rule.action.stale_age) if rule.action.stale else None
        fault = make_response_fault(rule, controller.seed, earlier)
        # A path that no operation has gets the body alone, not the status of the 404 that the controller would send.
        is_simulated = entry.path in methods_by_path(controller.release)
        return fault if is_simulated or rule.action.body is None else replace(fault, acts=False)

    def _find_earlier_response(self, call: Call, age: int) -> Response | None:
        """Return the response that the same GET had so many nanoseconds ago, or the last one; None without one."""
        entry = call.entry
        if entry.method != "GET":
            return None
        return self._earlier_responses.find((entry.path, entry.raw_query), entry.at, age)

    def _act(self, call: Call, fault: ResponseFault | None) -> Response | None:
        """Return what the controller answers, or None if a fault has it not carry out the request."""
        simulator, entry = self.simulator, call.entry
        if call.is_plain_poll:
            raw = simulator.app.instance_cache.find_response(entry.raw_query)
            if raw is not None:
                simulator.client_monitor.record_poll(entry)
                simulator.count_poll(entry.query.get("id"))
                return Response(200, [*POLL_HEADERS, (b"content-length", b"%d" % len(raw))], raw)
        acts, is_faithful = fault is None or fault.acts, fault is None or fault.is_faithful
        response = call_wsgi(simulator.app, call.scope, call.body, call.length) if acts else None
        if call.is_poll:
            simulator.client_monitor.record_poll(entry, answered=acts and is_faithful)
            if acts:
                simulator.count_poll(entry.query.get("id") or None)
        if response is not None:
            if entry.path == VM_PATH and entry.method == "POST":
                entry.instances = ids_of_start(response.content)
            remarks = simulator.app.remarks
            simulator.client_monitor.record_request(entry, remarks, call.body, response.status, response.content)
        return response

    async def _send_with_fault(
        self, fault: ResponseFault, call: Call, own: Response | None, receive: Receive, send: Send
    ) -> None:
        """Send what the fault makes of the controller's own response; after a reset nothing more is sent."""
        response = fault.response(own, self._failure)
        if own is not None and own.content != response.content:
            self._record_outcome(call, fault.outcome_if_replaced, is_lost=not fault.is_faithful)
        if own is not None and fault.keeps_own_response:
            self._remember(call, own)
        client = self._make_client(receive, send)
        try:
            await client.wait(fault.delay)
            await client.wait_wall_time(fault.wall_delay)
            if not client.is_interrupted:
                await self._deliver(fault, call, response, client)
            if client.is_interrupted:
                await client.abort()
        finally:
            client.release()

    async def _deliver(self, fault: ResponseFault, call: Call, response: Response, client: ClientConnection) -> None:
        """Send a response as the fault does it, and note what becomes of it.

        That is noted before anything is sent: the client may be back before its connection is gone.
        """
        if fault.has_response:
            self._record_response(call, response)
        if client.is_gone:
            self._record_outcome(call, "client left")
            return
        if fault.is_faithful:
            self._remember(call, response)
        self._record_outcome(call, fault.outcome(response))
        try:
            await fault.send(response, client)
        except Disconnected:
            self._record_outcome(call, "client left")

    def _record_response(self, call: Call, response: Response) -> None:
        took = time.perf_counter_ns() - call.began
        self.simulator.journal.add_response(call.entry, response.status, response.headers, response.content, took)

    def _record_outcome(self, call: Call, outcome: str, is_lost: bool = True) -> None:
        """Note that the client does not get the response as the controller made it, if there is an outcome.

        ``is_lost`` says that the client does not get to know what the controller answered.
        """
        if outcome:
            call.entry.outcome = outcome
            if is_lost:
                self.simulator.client_monitor.record_lost_response(call.entry)
        if outcome == "closed":
            call.entry.status = None
            call.entry.raw_response_headers = ()

    def _remember(self, call: Call, response: Response) -> None:
        """Keep a response to a GET, so that a fault can repeat it."""
        entry = call.entry
        if entry.method == "GET":
            age = self.simulator.controller.faults.longest_stale_age
            self._earlier_responses.add((entry.path, entry.raw_query), entry.at, response, age)

    def _failure(self, message: str) -> Response:
        status = envelope.failure_status(self.simulator.controller.release)
        return Response(status, _envelope_headers(), b"").with_content(envelope.encode_failure(message))

    async def _control(self, scope: Any, receive: Receive, send: Send) -> None:
        """Answer a request to the control API, which neither moves a stepping clock nor enters the journal."""
        self._connections.record_request(_connection_of(scope))
        if wants_event_stream(scope):
            await self.event_streams.serve(scope, receive, send, self._date_header())
            return
        try:
            body, length = await read_body(receive, MAX_CONTROL_BODY, MAX_READ)
        except Disconnected:
            return
        response, parts = start_wsgi(self.control_app, scope, body, length)
        await send_parts(send, response, parts, self._date_header())

    def _date_header(self) -> bytes:
        """Return the Date by the controller's clock: the same requests get the same bytes."""
        second = self.simulator.controller.now // SECOND
        if second != self._date[0]:
            self._date = (second, formatdate(second, usegmt=True).encode())
        return self._date[1]
