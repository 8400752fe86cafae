"""A client's connection and the connection to the target that belongs to it: bytes are forwarded, and read on the side.

The ends of connections are forwarded as well:

- An EOF of the client becomes an EOF to the target. A TLS connection, which cannot be half-closed, is closed after the
  last response instead.
- An EOF of the target becomes an EOF to the client, behind all responses. If the client has ended too, both connections
  are closed.
- A reset of one side becomes a reset of the other side.
- If the target cannot be reached, the client gets a response that says so, and then an EOF.

Whenever a connection ends, the requests in flight are recorded with the reason why they are incomplete.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from enum import Enum, auto

from mockanka.contract.conformance import Violation
from mockanka.proxy.endpoints import Endpoint, OrderedOutbox, PauseReason
from mockanka.proxy.http1 import MessageHead, MessagePart, RequestReader
from mockanka.proxy.in_flight import RequestInFlight, ResponseState
from mockanka.proxy.local_responses import LocalResponses
from mockanka.proxy.recorder import TrafficRecorder
from mockanka.proxy.target import TargetAddress
from mockanka.recording.exchanges import IncompleteReason

CONNECT_TIMEOUT = 10.0
"""Seconds that the target has to accept a connection."""
MAX_EARLY_BYTES = 256 * 1024
"""Bytes that are read from a client before the target has accepted the connection."""
UNREACHABLE_LINGER = 2.0
"""Seconds until the connection of a client without a target is closed: at once the response could be discarded."""
ANNOTATION_HEADER = "x-mockanka-violations"


class TargetState(Enum):
    """The state of the connection to the target; once it is connected, its endpoint knows how it ends."""

    NOT_CONNECTED = auto()
    """The client has sent nothing to forward."""
    CONNECTING = auto()
    CONNECTED = auto()
    UNREACHABLE = auto()


class Relay:
    """Forwards what one client and the target send to each other."""

    def __init__(
        self,
        address: TargetAddress,
        recorder: TrafficRecorder,
        local_responses: LocalResponses,
        annotate: bool,
        relays: set[Relay],
    ) -> None:
        """``relays`` contains the relay as long as one of its connections is open."""
        self._address, self._recorder, self._local_responses = address, recorder, local_responses
        self._annotate, self._relays = annotate, relays
        self.client = Endpoint(self._on_client, self._on_client_data, self._on_client_eof, self._on_client_lost)
        self.target = Endpoint(self._on_target, self._on_target_data, self._on_target_eof, self._on_target_lost)
        self.client.peer, self.target.peer = self.target, self.client
        self._target_state = TargetState.NOT_CONNECTED
        self._early_data: list[bytes] = []
        """Data that the client has sent before the target is connected."""
        self._to_client = OrderedOutbox()
        self._reads_http = True
        """True if requests and responses are still read; if not, bytes are only forwarded."""
        self._request_reader = RequestReader()
        self._receiving: RequestInFlight | None = None
        """The request that is not complete yet."""
        self._in_flight: deque[RequestInFlight] = deque()
        """The requests whose responses are not over, in order."""
        self._tasks: set[asyncio.Task[None]] = set()

    def clock(self) -> float:
        """Return the time of what is being taken, as ``time.perf_counter`` does."""
        return time.perf_counter()

    def stop(self) -> None:
        """End both connections now."""
        self._record_incomplete(IncompleteReason.PROXY_STOPPED)
        self._cancel_tasks()
        self.client.abort()
        self.target.abort()

    # ---- the client ------------------------------------------------------------------------------------------------

    def _on_client(self) -> None:
        self._relays.add(self)

    def _on_client_data(self, data: bytes) -> None:
        if not self._reads_http:
            self._send_to_target(data)
            return
        for part in self._request_reader.feed(data):
            self._take_request_part(part)
            if part.error and part.is_local:
                self._send_to_client(self._local_responses.unreadable_request(part.error))
                self._to_client.add(self.client.close)
            elif part.error:
                self._stop_reading(f"a request: {part.error}")
        self._respond_locally()

    def _take_request_part(self, part: MessagePart) -> None:
        if part.head is not None:
            self._receiving = RequestInFlight(part.head, part.is_local, self.clock)
            if self._target_state is not TargetState.UNREACHABLE:
                self._in_flight.append(self._receiving)
        if not part.is_local:
            self._send_to_target(part.raw)
        request = self._receiving
        if request is None:
            return
        if not request.is_local:
            request.request_body.add(part.body)
        if part.is_last:
            request.request_complete, self._receiving = True, None
            if request.response_state is ResponseState.OVER:
                self._submit(request)

    def _on_client_eof(self) -> None:
        self._send_to_target(self._request_reader.take_held())
        if self._target_state is TargetState.CONNECTING:
            return  # until the target is connected or unreachable
        if self._target_may_send:
            self._forward_client_eof()
        else:
            self._to_client.add(self.client.close)
            self.target.close()

    @property
    def _target_may_send(self) -> bool:
        is_connected = self._target_state is TargetState.CONNECTED and not self.target.closed
        return is_connected and not self.target.received_eof

    def _forward_client_eof(self) -> None:
        """Send an EOF to the target, unless that would close the connection before the last response."""
        if self.target.supports_half_close or not self._in_flight:
            self.target.send_eof()

    def _on_client_lost(self, error: Exception | None) -> None:
        self._record_incomplete(IncompleteReason.CLIENT_DISCONNECTED)
        self._cancel_tasks()
        if error is not None:
            self.target.reset()
        else:
            self.target.close()
        if not self.target.is_connected:
            self._relays.discard(self)

    # ---- connecting ------------------------------------------------------------------------------------------------

    def _send_to_target(self, data: bytes) -> None:
        if not data or self._target_state is TargetState.UNREACHABLE:
            return
        if self._target_state is not TargetState.CONNECTED:
            self._keep_early_data(data)
        elif self.target.closed:
            self.client.reset()  # as an operating system does if bytes arrive for a closed connection
        else:
            self.target.write(data)

    def _keep_early_data(self, data: bytes) -> None:
        self._early_data.append(data)
        if sum(map(len, self._early_data)) > MAX_EARLY_BYTES:
            self.client.pause_reading(PauseReason.CONNECTING)
        if self._target_state is TargetState.NOT_CONNECTED:
            self._target_state = TargetState.CONNECTING
            self._start_task(self._connect())

    async def _connect(self) -> None:
        address, loop = self._address, asyncio.get_running_loop()
        server_name = address.host if address.ssl_context is not None else None
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await loop.create_connection(
                    lambda: self.target,
                    address.host,
                    address.port,
                    ssl=address.ssl_context,
                    server_hostname=server_name,
                )
        except TimeoutError:
            self._refuse_client(f"no connection within {CONNECT_TIMEOUT:g} s")
        except ssl.SSLError as error:
            self._refuse_client(f"TLS: {getattr(error, 'verify_message', '') or error.reason or error}")
        except OSError as error:
            self._refuse_client((error.strerror or str(error)).lower())

    def _on_target(self) -> None:
        self._target_state = TargetState.CONNECTED
        self.target.write(b"".join(self._early_data))
        self._early_data.clear()
        self.client.resume_reading(PauseReason.CONNECTING)
        if self.client.closed:
            self.target.close()
        elif self.client.received_eof:
            self._on_client_eof()

    def _refuse_client(self, reason: str) -> None:
        """Send the client a response that says why the target is unreachable, and end the connection."""
        self._target_state = TargetState.UNREACHABLE
        self.client.resume_reading(PauseReason.CONNECTING)
        for request in [request for request in self._in_flight if not request.is_local]:
            request.response_state = ResponseState.OVER
            request.incomplete, request.incomplete_detail = IncompleteReason.TARGET_UNREACHABLE, reason
            if request.request_complete:
                self._submit(request)
        self._in_flight.clear()
        self._to_client.add(lambda: self.client.write(self._local_responses.target_unreachable(reason)))
        self._to_client.add(self.client.send_eof)
        asyncio.get_running_loop().call_later(UNREACHABLE_LINGER, self.client.close)

    # ---- the target ------------------------------------------------------------------------------------------------

    def _on_target_data(self, data: bytes) -> None:
        while data:
            request = self._in_flight[0] if self._in_flight else None
            if request is None or request.response_reader is None:
                self._stop_reading("a response without a request")
                self._send_to_client(data)
                return
            request.response_state = ResponseState.BEGUN
            part, data = request.response_reader.feed(data)
            self._take_response_part(request, part)

    def _take_response_part(self, request: RequestInFlight, part: MessagePart) -> None:
        if part.head is not None and (not part.is_informational or part.error):
            request.begin_response(part.head)
        request.response_body.add(part.body)
        if self._annotate and not part.is_informational and request.response_body.is_complete:
            request.withheld += part.raw
        else:
            self._send_withheld(request)
            self._send_to_client(part.raw)
        if part.error:
            if part.is_last:
                request.incomplete = IncompleteReason.PROTOCOL_SWITCHED
            else:
                request.incomplete, request.incomplete_detail = IncompleteReason.NOT_HTTP, part.error
            self._stop_reading(f"a response: {part.error}")
        if part.is_last or part.error:
            self._finish_response(request)
        if part.error:
            self._record_incomplete(request.incomplete or IncompleteReason.NOT_HTTP)

    def _finish_response(self, request: RequestInFlight) -> None:
        """Handle the end of the first response in flight, which may be incomplete."""
        self._in_flight.popleft()
        request.end_response()
        if request.request_complete and request.withheld and request.incomplete is None:
            self._annotate_once_checked(request)
        else:
            self._send_withheld(request)
            if request.request_complete:
                self._submit(request)
        self._respond_locally()
        if self.client.received_eof:
            self._forward_client_eof()

    def _on_target_eof(self) -> None:
        self._end_responses(IncompleteReason.RESPONSE_CUT)
        self._to_client.add(self.client.send_eof)
        if self.client.received_eof:
            self._to_client.add(self.client.close)
            self.target.close()

    def _on_target_lost(self, error: Exception | None) -> None:
        if error is not None:
            self._end_responses(IncompleteReason.RESPONSE_RESET)
            self._to_client.add(self.client.reset)
        elif not self.target.received_eof:
            self._on_target_eof()
        if self.client.closed:
            self._relays.discard(self)

    def _end_responses(self, reason: IncompleteReason) -> None:
        """Handle the end of the target's connection, which may complete the first response, and no other."""
        request = self._in_flight[0] if self._in_flight else None
        if request is not None and request.response_reader is not None:
            may_complete = reason is IncompleteReason.RESPONSE_CUT and request.response_state is ResponseState.BEGUN
            part = request.response_reader.feed_end() if may_complete else None
            if part is not None and part.is_last:
                self._take_response_part(request, part)
        self._record_incomplete(IncompleteReason.CLIENT_DISCONNECTED if self.client.received_eof else reason)

    # ---- both ------------------------------------------------------------------------------------------------------

    def _send_to_client(self, data: bytes) -> None:
        if data:
            self._to_client.add(lambda: self.client.write(data))

    def _send_withheld(self, request: RequestInFlight) -> None:
        """Send what is withheld without an annotation."""
        self._send_to_client(bytes(request.withheld))
        request.withheld.clear()

    def _annotate_once_checked(self, request: RequestInFlight) -> None:
        """Send the response when the exchange is checked. Until then nothing more is read from the target."""
        response, fill = bytes(request.withheld), self._to_client.reserve()
        self.target.pause_reading(PauseReason.CHECKING)

        def send(violations: Sequence[Violation] | None) -> None:
            fill(lambda: self.client.write(annotate_response(response, violations or ())))
            if not self._to_client.is_waiting:
                self.target.resume_reading(PauseReason.CHECKING)

        self._submit(request, send)

    def _record_incomplete(self, reason: IncompleteReason) -> None:
        """Record all requests in flight, whose responses will never be complete."""
        requests = [request for request in self._in_flight if not request.is_local]
        self._in_flight.clear()
        if self._receiving is not None and self._receiving.response_state is ResponseState.OVER:
            requests.append(self._receiving)
        self._receiving = None
        for request in requests:
            if request.incomplete is None and request.response_state is not ResponseState.OVER:
                by_target = reason in (IncompleteReason.RESPONSE_CUT, IncompleteReason.RESPONSE_RESET)
                without_response = by_target and request.response_state is ResponseState.PENDING
                request.fail(IncompleteReason.NO_RESPONSE if without_response else reason)
            self._send_withheld(request)
            self._submit(request)

    def _submit(
        self, request: RequestInFlight, on_checked: Callable[[Sequence[Violation] | None], None] | None = None
    ) -> None:
        base_url = self._address.base_url
        self._recorder.submit(lambda: request.to_recorded(base_url), request.received_size, on_checked)
        if self._recorder.is_full:
            self.client.pause_reading(PauseReason.CHECKING)
            self._recorder.when_room(lambda: self.client.resume_reading(PauseReason.CHECKING))

    def _stop_reading(self, reason: str) -> None:
        """Forward everything from here on without reading it."""
        if self._reads_http:
            self._reads_http = False
            self._recorder.add_unread_connection(reason)
            self._send_to_target(self._request_reader.take_held())

    def _respond_locally(self) -> None:
        """Respond to the local requests that are next."""
        while self._in_flight and self._in_flight[0].is_local:
            head, fill = self._in_flight.popleft().head, self._to_client.reserve()
            self._start_task(self._send_local_response(head, fill))

    async def _send_local_response(self, head: MessageHead, fill: Callable[[Callable[[], None]], None]) -> None:
        response = await self._local_responses.respond(head)
        fill(lambda: self.client.write(response))
        connection = head.get("connection").lower()
        if "close" in connection or (head.version == "HTTP/1.0" and "keep-alive" not in connection):
            self._to_client.add(self.client.send_eof)

    def _start_task(self, coroutine: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _cancel_tasks(self) -> None:
        for task in self._tasks:
            task.cancel()


def annotate_response(response: bytes, violations: Sequence[Violation]) -> bytes:
    """Return a response with a header behind its first line that names the violations; unchanged without any."""
    names = dict.fromkeys(f"{violation.side} {violation.check}" for violation in violations if violation.fails)
    if not names:
        return response
    line, line_feed, rest = response.partition(b"\n")
    return b"%s%s%s: %s\r\n%s" % (line, line_feed, ANNOTATION_HEADER.encode(), ", ".join(names).encode(), rest)
