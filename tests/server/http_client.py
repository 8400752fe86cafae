"""An HTTP client for tests: whole requests, or bytes on a socket."""

from __future__ import annotations

import http.client
import json
import multiprocessing
import os
import socket
import stat
import subprocess
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from mockanka.testing.anka import Anka

VM = "/api/v1/vm"
STATUS = "/api/v1/status"
TIMEOUT = 5.0


class Response(NamedTuple):
    """A response: the HTTP status, the content type and the body."""

    status: int
    type: str | None
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def connect(url: str) -> closing[http.client.HTTPConnection]:
    """Return a connection that is made with the first request."""
    return closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=TIMEOUT))


def read_response(connection: http.client.HTTPConnection) -> Response:
    """Return the response to the request that was sent."""
    with connection.getresponse() as response:
        return Response(response.status, response.headers["Content-Type"], response.read())


def send_request(url: str, method: str = "GET", target: str = VM, body: object = None) -> Response:
    """Send a request on a connection of its own, its body as JSON, and return the response."""
    with connect(url) as connection:
        connection.request(method, target, None if body is None else json.dumps(body))
        return read_response(connection)


def open_socket(url: str) -> socket.socket:
    """Return a connected socket."""
    host, port = urlsplit(url).hostname, urlsplit(url).port
    return socket.create_connection((host or "", port or 0), timeout=TIMEOUT)


def request_bytes(method: str = "GET", target: str = VM, body: bytes = b"") -> bytes:
    """Return the bytes of a request."""
    return f"{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def receive_all(connection: socket.socket) -> tuple[bytes, bool]:
    """Return all bytes that come until the connection ends, and whether a reset ended it."""
    received = b""
    while True:
        try:
            part = connection.recv(65536)
        except ConnectionResetError:
            return received, True
        if not part:
            return received, False
        received += part


def template_id(url: str) -> str:
    """Return the id of the first template."""
    return str(send_request(url, target="/api/v1/registry/vm").json["body"][0]["id"])


def start_instance(url: str, **fields: object) -> Response:
    """Start an instance of the first template."""
    return send_request(url, "POST", VM, {"vmid": template_id(url), **fields})


def count_instances(url: str) -> int:
    """Return the number of instances that are listed."""
    return len(send_request(url).json["body"])


def wait_until(condition: Callable[[], bool]) -> float:
    """Wait for a condition, and return the seconds that it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < TIMEOUT
        time.sleep(0.002)
    return time.monotonic() - began


def refuses_connections(url: str) -> bool:
    """Return whether a connection is refused."""
    try:
        with closing(open_socket(url)):
            return False
    except ConnectionRefusedError:
        return True


def seconds_taken(action: Callable[[], object]) -> float:
    """Return how many seconds an action takes."""
    began = time.monotonic()
    action()
    return time.monotonic() - began


def clock_seconds(anka: Anka, action: Callable[[], object]) -> float:
    """Return by how many seconds an action moves the controller's clock."""
    began = anka.clock.now
    action()
    return (anka.clock.now - began).total_seconds()


@contextmanager
def forked_process() -> Iterator[None]:
    """Let a fork of this process live meanwhile."""
    process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # from Python 3.12 on: this process has threads
        process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


@contextmanager
def subprocess_with_open_files() -> Iterator[None]:
    """Let another program live meanwhile, which has every file of this process that programs can inherit."""
    with subprocess.Popen(["sleep", "60"], close_fds=False) as process:
        try:
            yield
        finally:
            process.kill()


@contextmanager
def copies_of_sockets() -> Iterator[None]:
    """Hold a copy of every socket of this process meanwhile, as a process has that got them in any way."""
    copies = []
    for number in map(int, os.listdir("/dev/fd")):
        with suppress(OSError):  # the folder itself was open too
            if stat.S_ISSOCK(os.fstat(number).st_mode):
                copies.append(os.dup(number))
    try:
        yield
    finally:
        for copy in copies:
            os.close(copy)


def call_in_fork(function: Callable[[], object]) -> Any:
    """Call a function in a fork of this process, and return what it returns or the exception that it raises."""
    receiving, sending = multiprocessing.Pipe(duplex=False)

    def call() -> None:
        try:
            result = function()
        except Exception as error:
            result = error
        sending.send(result)

    process = multiprocessing.get_context("fork").Process(target=call)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # from Python 3.12 on: this process has threads
        process.start()
    try:
        assert receiving.poll(TIMEOUT), "the fork hangs"
        return receiving.recv()
    finally:
        process.kill()
        process.join()
        receiving.close()
        sending.close()
