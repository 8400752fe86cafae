"""A controller that means harm costs check and snapshot little time and memory, and they say what is wrong."""

from __future__ import annotations

import gzip
import resource
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import pytest
from click.testing import CliRunner

from mockanka.cli.main import main
from tests.remote.servers import COMPLETE_RESPONSE

MAX_SECONDS = 30.0
MAX_MEMORY = 1000 * 1024
"""Growth of the process in kB."""
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
START = b'{"status":"OK","message":"","body":'
Attack = Callable[[socket.socket], None]


@contextmanager
def hostile_controller(attack: Attack) -> Iterator[str]:
    """Run a controller that responds to the status as any, and to all else as the attack does; yield its URL."""

    def serve(connection: socket.socket) -> None:
        with connection:
            try:
                request = connection.recv(65536)
                if request.startswith(b"GET /api/v1/status"):
                    connection.sendall(COMPLETE_RESPONSE)
                else:
                    attack(connection)
            except OSError:
                pass  # the client has had enough

    def accept() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def sending(content: bytes, headers: bytes = b"") -> Attack:
    """Return an attack with one complete response."""
    response = HEAD + headers + b"Content-Length: %d\r\n\r\n" % len(content) + content
    return lambda connection: connection.sendall(response)


def repeating(start: bytes, part: bytes, pause: float = 0.0) -> Attack:
    """Return an attack that never ends."""

    def attack(connection: socket.socket) -> None:
        connection.sendall(start)
        while True:
            connection.sendall(part)
            time.sleep(pause)

    return attack


@cache
def packed(times: int) -> bytes:
    """Return a quarter of a gigabyte of spaces, compressed some times."""
    if times > 1:
        return gzip.compress(packed(times - 1))
    compressor = zlib.compressobj(1, wbits=zlib.MAX_WBITS | 16)
    parts = [compressor.compress(START), *(compressor.compress(b" " * 2**20) for _ in range(256)), compressor.flush()]
    return b"".join(parts)


ATTACKS: dict[str, Callable[[], Attack]] = {
    "endless body": lambda: repeating(HEAD + b"\r\n" + START, b" " * 2**20),
    "endless chunks": lambda: repeating(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n[\r\n" * 10_000),
    "endless head": lambda: repeating(HEAD, b"X-Header: " + b"x" * 1000 + b"\r\n"),
    "endless header line": lambda: repeating(HEAD + b"X-Header: ", b"x" * 2**20),
    "endless status line": lambda: repeating(b"HTTP/1.1 200 ", b"O" * 2**20),
    "endless interim responses": lambda: repeating(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
    "slow body": lambda: repeating(HEAD + b"Content-Length: 1000000\r\n\r\n" + START, b" ", 0.05),
    "slow head": lambda: repeating(HEAD, b"X: y\r\n", 0.05),
    "packed": lambda: sending(packed(1), b"Content-Encoding: gzip\r\n"),
    "packed twice": lambda: sending(packed(2), b"Content-Encoding: gzip, gzip\r\n"),
    "not packed": lambda: sending(START, b"Content-Encoding: gzip\r\n"),
    "redirect to itself": lambda: (
        lambda connection: connection.sendall(
            b"HTTP/1.1 302 Found\r\nLocation: /api/v1/vm\r\nContent-Length: 0\r\n\r\n"
        )
    ),
    "deep": lambda: sending(START + b"[" * 2**22),
    "many values": lambda: sending(START + b"[" + b"[]," * 2**22 + b"1]}"),
    "many wrong values": lambda: sending(START + b"[" + b"1," * 2**19 + b"1]}"),
    "many keys": lambda: sending(START + b"{" + b",".join(b'"%d":1' % number for number in range(2**17)) + b"}}"),
    "a long number": lambda: sending(START + b"9" * 2**22 + b"}"),
    "a long text": lambda: sending(START + b'"' + b"\\u001b" * 2**20 + b'"}'),
    "a long message": lambda: sending(b'{"status":"FAIL","message":"' + b"\\u001b" * 2**20 + b'"}'),
}


@pytest.mark.parametrize("command", ["check", "snapshot"])
@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_ends_in_a_short_message(name: str, command: str) -> None:
    """Within the time and the memory of a run; the output is short, and can be printed."""
    started, memory = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    options = ["--interval", "1ms", "--no-generated"] if command == "check" else []
    with hostile_controller(ATTACKS[name]()) as url:
        result = CliRunner().invoke(main, [command, url, "--timeout", "200ms", "--limit", "2s", *options])

    assert result.exit_code in (0, 1, 2), result.output
    assert command == "snapshot" or result.exit_code > 0
    assert all(line.isprintable() for line in result.output.splitlines())
    assert 0 < len(result.output) < 50_000
    assert "defect of mockanka" not in result.output
    assert time.monotonic() - started < MAX_SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < MAX_MEMORY
