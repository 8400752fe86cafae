"""The proxy beside a plain relay of bytes, in front of a constant target: ``python -m benchmarks.proxy``.

Each of them in turn is asked by one connection of wrk, for three rounds; the last lines are medians.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import uvloop

CONTENT = b'{"status":"OK","message":"","body":{"status":"Running","version":"1.50.1-4bb9a0e5"}}\n'
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(CONTENT) + CONTENT
ROUNDS = 3
SECONDS = 3


class ConstantTarget(asyncio.Protocol):
    """Answers every request with the same bytes."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(RESPONSE * data.count(b"\r\n\r\n"))


class PlainRelay(asyncio.Protocol):
    """One side of a connection whose bytes go to the other side; ``connect`` makes that for a client."""

    def __init__(self, connect: Callable[[PlainRelay], None] | None = None, other: PlainRelay | None = None) -> None:
        self.connect, self.other, self.early = connect, other, b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        if self.connect is not None:
            self.connect(self)
        elif self.other is not None:
            self.other.other = self
            transport.write(self.other.early)

    def data_received(self, data: bytes) -> None:
        if self.other is None:
            self.early += data
        else:
            self.other.transport.write(data)

    def connection_lost(self, error: Exception | None) -> None:
        if self.other is not None:
            self.other.transport.close()


async def serve(role: str, port: int, target: int) -> None:
    loop = asyncio.get_running_loop()
    tasks = set()

    def connect(client: PlainRelay) -> None:
        task = loop.create_task(loop.create_connection(lambda: PlainRelay(other=client), "127.0.0.1", target))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await loop.create_server(
        ConstantTarget if role == "target" else lambda: PlainRelay(connect), "127.0.0.1", port
    )
    await server.serve_forever()


def measure(port: int) -> tuple[float, float]:
    """Return requests per second, and the median latency in microseconds."""
    command = ["wrk", "-t1", "-c1", f"-d{SECONDS}", "--latency", f"http://127.0.0.1:{port}/api/v1/status"]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    number, unit = re.findall(r"50%\s+([\d.]+)(us|ms)", output)[0]
    rate = float(re.findall(r"Requests/sec:\s+([\d.]+)", output)[0])
    return rate, float(number) * (1000 if unit == "ms" else 1)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def main() -> None:
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed")
    target, relay, proxy = free_port(), free_port(), free_port()
    here = [sys.executable, "-m", "benchmarks.proxy"]
    mockanka = [sys.executable, "-m", "mockanka", "proxy", f"http://127.0.0.1:{target}", "--release", "1.50.1"]
    commands = [
        [*here, "target", str(target), "0"],
        [*here, "relay", str(relay), str(target)],
        [*mockanka, "--port", str(proxy)],
    ]
    processes = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for command in commands]
    try:
        time.sleep(3)
        results: dict[str, list[tuple[float, float]]] = {}
        for _ in range(ROUNDS):
            for name, port in (("direct", target), ("relay", relay), ("proxy", proxy)):
                results.setdefault(name, []).append(measure(port))
                print(f"{name:8} {results[name][-1][0]:8.0f} requests/s, median {results[name][-1][1]:6.0f} us")
    finally:
        for process in processes:
            process.terminate()
            process.wait()
    rates = {name: statistics.median(rate for rate, _ in rows) for name, rows in results.items()}
    latencies = {name: statistics.median(latency for _, latency in rows) for name, rows in results.items()}
    print(f"the proxy has {rates['proxy'] / rates['relay']:.2f} of the relay's rate")
    print(f"its median latency is {latencies['proxy'] - latencies['direct']:.0f} us above that without it")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        uvloop.run(serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
    else:
        main()
