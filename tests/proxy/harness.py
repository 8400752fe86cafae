"""Proxies in a thread, and connections through one of which a test holds both ends."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import uvloop

from mockanka.core.release import Release
from mockanka.proxy.frames import unpack_frames
from mockanka.proxy.mirror import Mirror
from mockanka.proxy.proxy import Proxy
from mockanka.proxy.recorder import Recorder
from mockanka.proxy.recorder_process import ObservedTraffic
from mockanka.proxy.target import TargetAddress, parse_target
from mockanka.recording.har import HarWriter
from mockanka.remote.client import ClientOptions
from mockanka.serving import url_of
from tests.server.http_client import TIMEOUT, open_socket, send_request

IS_MIRRORED = False
"""True if proxies forward bytes before they are read, as the command does; the fixture ``forwarding`` sets it."""
GET = b"GET /api/v1/vm HTTP/1.1\r\nHost: x\r\n\r\n"
OK_ENVELOPE = b'{"status":"OK","message":""}\n'


def response_bytes(content: bytes = OK_ENVELOPE, status: str = "200 OK", headers: str = "") -> bytes:
    """Return the bytes of a JSON response; ``headers`` are lines of further headers."""
    top = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{headers}content-length: {len(content)}\r\n\r\n"
    return top.encode() + content


class MirroredRecorder(Recorder):
    """A recorder that reads the copies of a mirror, in the same process."""

    def __init__(self, target: TargetAddress, *arguments: Any) -> None:
        super().__init__(target.base_url, *arguments)
        self._traffic = ObservedTraffic(target, self)
        self.waiting = 0
        """Bytes that the mirror is told to wait."""
        self.mirror = Mirror(self._take, lambda: self.waiting, arguments[1])

    def _take(self, data: bytes) -> None:
        for frame in unpack_frames(data):
            self._traffic.take(frame)

    async def report(self) -> dict[str, Any]:
        """Return the report, also on what the mirror has not sent yet."""
        self.mirror.flush()
        return {**await super().report(), "skipped": self.mirror.skipped_requests}

    async def close(self) -> dict[str, Any]:
        """Return the last report, with what was skipped."""
        return {**await super().close(), "skipped": self.mirror.skipped_requests}


class RunningProxy:
    """A proxy that runs in a thread until ``stop``."""

    def __init__(
        self,
        target_url: str,
        release: str,
        har: Path | None,
        annotate: bool,
        options: ClientOptions,
    ) -> None:
        self.log: list[str] = []
        listening = socket.create_server(("127.0.0.1", 0))
        self.url = url_of(listening)
        target = parse_target(target_url, options)
        writer = HarWriter(har, target.base_url) if har else None
        settings = (Release.parse(release), self.log.append, writer)
        self.recorder = MirroredRecorder(target, *settings) if IS_MIRRORED else Recorder(target.base_url, *settings)
        mirror = self.recorder.mirror if isinstance(self.recorder, MirroredRecorder) else None
        self.proxy = Proxy(target, self.recorder, annotate, self.log.append, mirror)
        self._listening = listening
        self._loop = uvloop.new_event_loop()
        self._stop = asyncio.Event()
        self._started: Future[None] = Future()
        self._last_report: Future[dict[str, Any]] = Future()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        self._started.result(TIMEOUT)

    def report(self) -> dict[str, Any]:
        """Return the present report."""
        report: dict[str, Any] = send_request(self.url, target="/_mock/report").json
        return report

    def findings(self) -> list[tuple[str, str]]:
        """Return side and check of the findings in the report."""
        return [(finding["side"], finding["check"]) for finding in self.report()["findings"]]

    def stop(self) -> dict[str, Any]:
        """Stop the proxy if it runs, and return the last report."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        return self._last_report.result(0)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            self._last_report.set_result(runner.run(self._serve()))

    async def _serve(self) -> dict[str, Any]:
        await self.proxy.start(self._listening)
        self._started.set_result(None)
        await self._stop.wait()
        return await self.proxy.stop()


@contextmanager
def run_proxy_thread(
    target_url: str,
    release: str = "1.50.1",
    har: Path | None = None,
    annotate: bool = False,
    options: ClientOptions | None = None,
) -> Iterator[RunningProxy]:
    """Run a proxy in front of a target."""
    proxy = RunningProxy(target_url, release, har, annotate, options or ClientOptions())
    try:
        yield proxy
    finally:
        proxy.stop()


@contextmanager
def listening_socket() -> Iterator[socket.socket]:
    """Listen on a port on which the test is the target."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        listening.settimeout(TIMEOUT)
        yield listening


@contextmanager
def connect_through_proxy(
    first: bytes, release: str = "1.50.1", har: Path | None = None, annotate: bool = False
) -> Iterator[tuple[socket.socket, socket.socket, RunningProxy]]:
    """Return the client's socket, the target's socket and the proxy between, after the client has sent some bytes."""
    with (
        listening_socket() as listening,
        run_proxy_thread(url_of(listening), release, har, annotate) as proxy,
        closing(open_socket(proxy.url)) as client,
    ):
        client.sendall(first)
        target, _ = listening.accept()
        target.settimeout(TIMEOUT)
        with closing(target):
            yield client, target, proxy


def receive_exactly(connection: socket.socket, size: int) -> bytes:
    """Return the next ``size`` bytes, or fewer if the connection ends before."""
    received = b""
    while len(received) < size:
        piece = connection.recv(size - len(received))
        if not piece:
            break
        received += piece
    return received


def reset(connection: socket.socket) -> None:
    """Reset a connection."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def send_until_blocked(connection: socket.socket, content: bytes) -> int:
    """Send until the other side takes no more, and return how many bytes it took. The socket needs a timeout."""
    sent = 0
    try:
        while sent < len(content):
            sent += connection.send(content[sent : sent + 1_000_000])
    except TimeoutError:
        pass
    return sent
