"""The recorder as a process of its own, so that checks do not hold up the bytes that are forwarded."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import pickle
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mockanka.contract.conformance import Violation
from mockanka.core.release import Release
from mockanka.proxy.frames import Frame, FrameKind, pack_frame, read_frame
from mockanka.proxy.local_responses import LocalResponses
from mockanka.proxy.mirror import Mirror
from mockanka.proxy.recorder import CHECKING_TIMEOUT, MAX_QUEUED_BYTES, MAX_QUEUED_EXCHANGES, Recorder
from mockanka.proxy.relay import Relay, TargetState
from mockanka.proxy.target import ReleaseLookup, TargetAddress, parse_target
from mockanka.recording.exchanges import RecordedExchange
from mockanka.recording.har import HarWriter
from mockanka.remote.client import ClientOptions

LOWER_PRIORITY = 10
"""How much nicer than its parent the process is: on a busy machine bytes come before checks."""
LAST_REPORT_TIMEOUT = 4 * CHECKING_TIMEOUT
"""Seconds that the process has to complete the recording."""


@dataclass(frozen=True)
class RecorderSettings:
    """The settings of a recorder, as they are handed to its process."""

    target_url: str
    options: ClientOptions
    release: Release | None = None
    """None if it is requested from the target when the first exchange is checked."""
    har: Path | None = None
    keep_secrets: bool = False


@dataclass
class _Submission:
    size: int
    on_checked: Callable[[list[Violation] | None], None] | None


@dataclass
class RecorderProcess:
    """The recorder's process, as the proxy sees it. It has the methods of a Recorder that a relay needs."""

    settings: RecorderSettings
    log: Callable[[str], None]
    error: str = ""
    """Why the recording is incomplete; empty if it is complete."""
    mirror: Mirror = field(init=False)

    def __post_init__(self) -> None:
        self.mirror = Mirror(self._write, self._waiting, self.log)
        self._process: Any = None
        self._transport: asyncio.WriteTransport | None = None
        self._submissions: dict[int, _Submission] = {}
        self._queued_bytes = self._count = 0
        self._room_callbacks: list[Callable[[], None]] = []
        self._reports: list[asyncio.Future[dict[str, Any]]] = []
        self._last_report: dict[str, Any] = {
            "target": self.settings.target_url,
            "release": None,
            "exchanges": 0,
            "unjudged": 0,
            "unread": 0,
            "skipped": 0,
            "client": 0,
            "server": 0,
            "findings": [],
            "more": 0,
        }
        self._reading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the process. What is submitted before it is ready waits."""
        ours, theirs = socket.socketpair()
        context = multiprocessing.get_context("spawn")
        self._process = context.Process(target=run_recorder_process, args=(theirs, self.settings), daemon=True)
        self._process.start()
        theirs.close()
        reader, writer = await asyncio.open_connection(sock=ours, limit=2**20)
        self._transport = writer.transport
        # Frames are small, and the process takes them when it can: their number is limited by the mirror.
        writer.transport.set_write_buffer_limits(high=2**30)
        self._reading = asyncio.create_task(self._read(reader, writer))

    # ---- the methods of a Recorder ---------------------------------------------------------------------------------

    def submit(
        self,
        make_exchange: Callable[[], RecordedExchange],
        size: int,
        on_checked: Callable[[list[Violation] | None], None] | None = None,
    ) -> None:
        """Have an exchange of ``size`` bytes checked. ``on_checked`` is called with the violations, or with None."""
        self._count += 1
        submission = self._submissions[self._count] = _Submission(size, on_checked)
        self._queued_bytes += size
        if self._transport is None:
            self._finish(submission, None, self._count)
        else:
            self.mirror.add(FrameKind.EXCHANGE, self._count, pickle.dumps(make_exchange()))

    @property
    def is_full(self) -> bool:
        """True if so many exchanges wait that no more should be read."""
        return len(self._submissions) > MAX_QUEUED_EXCHANGES or self._queued_bytes > MAX_QUEUED_BYTES

    def when_room(self, callback: Callable[[], None]) -> None:
        """Call the callback once when the recorder is not full any more."""
        self._room_callbacks.append(callback)

    def add_unread_connection(self, reason: str) -> None:
        """Count a connection that is forwarded without being read from here on."""
        self.mirror.add(FrameKind.UNREAD, 0, reason.encode())

    async def report(self) -> dict[str, Any]:
        """Return the report on all exchanges up to now, or the last one that there was."""
        return await self._request_report(FrameKind.REPORT)

    async def close(self) -> dict[str, Any]:
        """Complete the recording, end the process, and return the report."""
        try:
            async with asyncio.timeout(LAST_REPORT_TIMEOUT):
                await self._request_report(FrameKind.CLOSE)
        except TimeoutError:
            self.error = (
                f"the checks were not done {LAST_REPORT_TIMEOUT:g} s after the end: report and recording are cut"
            )
            self.log(self.error)
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.close()
        if self._reading is not None:
            await self._reading
        await asyncio.get_running_loop().run_in_executor(None, self._process.join, CHECKING_TIMEOUT)
        if self._process.is_alive():
            self.error = self.error or "the process that checks did not end, and was killed"
            self._process.kill()
        return self._last_report

    # ---- frames ----------------------------------------------------------------------------------------------------

    async def _request_report(self, kind: FrameKind) -> dict[str, Any]:
        if self._transport is not None:
            future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
            self._reports.append(future)
            self.mirror.add(kind, 0)
            self.mirror.flush()
            await future
        return self._last_report

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def _waiting(self) -> int:
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (frame := await read_frame(reader)) is not None:
            self._take(frame)
        if self._transport is not None:
            self.error = "the process that checks has ended: traffic is forwarded without being checked or recorded"
            self.log(self.error)
            self._transport = None
        writer.close()
        for number, submission in list(self._submissions.items()):
            self._finish(submission, None, number)
        self._take_report({})

    def _take(self, frame: Frame) -> None:
        match frame.kind:
            case FrameKind.LOG:
                self.log(frame.content.decode())
            case FrameKind.CHECKED:
                self._finish(self._submissions[frame.number], pickle.loads(frame.content), frame.number)
            case FrameKind.REPORT | FrameKind.CLOSE:
                report = json.loads(frame.content)
                error = report.pop("error")
                self.error = self.error or error
                self._take_report(report)

    def _take_report(self, report: dict[str, Any]) -> None:
        self._last_report = {**self._last_report, **report, "skipped": self.mirror.skipped_requests}
        futures, self._reports = self._reports, []
        for future in futures:
            if not future.done():
                future.set_result(self._last_report)

    def _finish(self, submission: _Submission, violations: list[Violation] | None, number: int) -> None:
        del self._submissions[number]
        self._queued_bytes -= submission.size
        if submission.on_checked is not None:
            submission.on_checked(violations)
        if not self.is_full:
            callbacks, self._room_callbacks = self._room_callbacks, []
            for callback in callbacks:
                callback()


# ---- in the process ------------------------------------------------------------------------------------------------


def run_recorder_process(connection: socket.socket, settings: RecorderSettings) -> None:
    """Read and check what comes in frames until the other side ends."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # a terminal sends them to both, and the parent says when to end
    with suppress(OSError):
        os.nice(LOWER_PRIORITY)
    asyncio.run(_observe(connection, settings))


async def _observe(connection: socket.socket, settings: RecorderSettings) -> None:
    reader, writer = await asyncio.open_connection(sock=connection, limit=2**20)
    loop = asyncio.get_running_loop()

    def send(kind: FrameKind, number: int, content: bytes) -> None:
        with suppress(RuntimeError):  # the loop is closed already
            loop.call_soon_threadsafe(writer.write, pack_frame(kind, number, content))

    def log(text: str) -> None:
        send(FrameKind.LOG, 0, text.encode("utf-8", "replace"))

    target = parse_target(settings.target_url, settings.options)
    lookup = ReleaseLookup(target, settings.options, log)
    har = None if settings.har is None else HarWriter(settings.har, settings.target_url, settings.keep_secrets)
    release = settings.release or lookup.get_or_default
    recorder = Recorder(settings.target_url, release, log, har, settings.keep_secrets)
    traffic = ObservedTraffic(target, recorder)
    while (frame := await read_frame(reader)) is not None:
        if frame.kind is FrameKind.EXCHANGE:
            exchange, number = pickle.loads(frame.content), frame.number
            recorder.submit(
                lambda exchange=exchange: exchange,  # type: ignore[misc]
                len(exchange.exchange.request_content) + len(exchange.exchange.response_content),
                lambda found, number=number: send(FrameKind.CHECKED, number, pickle.dumps(found)),  # type: ignore[misc]
            )
        elif frame.kind is FrameKind.UNREAD:
            recorder.add_unread_connection(frame.content.decode())
        elif frame.kind is FrameKind.REPORT:
            send(FrameKind.REPORT, 0, json.dumps({**await recorder.report(), "error": recorder.error}).encode())
        elif frame.kind is FrameKind.CLOSE:
            break
        else:
            traffic.take(frame)
        if recorder.is_full:
            room = asyncio.Event()
            recorder.when_room(room.set)
            await room.wait()
    report = await recorder.close()
    send(FrameKind.CLOSE, 0, json.dumps({**report, "error": recorder.error}).encode())
    await asyncio.sleep(0)
    with suppress(ConnectionError):
        await writer.drain()
        writer.close()
        await writer.wait_closed()


class ObservedTraffic:
    """The connections whose frames come, each with a relay that reads and sends nothing."""

    def __init__(self, address: TargetAddress, recorder: Recorder) -> None:
        self._address, self._recorder = address, recorder
        self._local_responses = LocalResponses(address.base_url, recorder, lambda text: None)
        self._relays: dict[int, ObservedRelay] = {}

    def take(self, frame: Frame) -> None:
        """Have the relay of a connection take what happened there."""
        relay = self._relays.get(frame.number)
        if relay is None:
            if frame.kind in (FrameKind.ABANDONED, FrameKind.STOPPED):
                return
            relay = self._relays[frame.number] = ObservedRelay(
                self._address, self._recorder, self._local_responses, False, set()
            )
        relay.take(frame)
        if relay.is_over:
            del self._relays[frame.number]


class ObservedRelay(Relay):
    """A relay that reads copies of what another one forwards, at the times at which that did."""

    is_over = False
    _at = 0.0

    def clock(self) -> float:
        return self._at

    def take(self, frame: Frame) -> None:
        """Take what happened on one of the connections."""
        self._at = frame.at
        error = ConnectionResetError() if frame.content else None
        match frame.kind:
            case FrameKind.CLIENT_DATA:
                self.client.data_received(frame.content)
            case FrameKind.CLIENT_EOF:
                self.client.eof_received()
            case FrameKind.CLIENT_LOST:
                self.client.connection_lost(error)
                self.is_over = True
            case FrameKind.TARGET_CONNECTED:
                self._target_state = TargetState.CONNECTED
            case FrameKind.TARGET_UNREACHABLE:
                self._refuse_client(frame.content.decode())
            case FrameKind.TARGET_DATA:
                self.target.data_received(frame.content)
            case FrameKind.TARGET_EOF:
                self.target.eof_received()
            case FrameKind.TARGET_LOST:
                self.target.connection_lost(error)
            case FrameKind.STOPPED:
                self.stop()
                self.is_over = True
            case FrameKind.ABANDONED:
                self.is_over = True

    def _send_to_target(self, data: bytes) -> None:
        if data and self._target_state is TargetState.NOT_CONNECTED:
            self._target_state = TargetState.CONNECTING
