"""How fast the harness is: run it by hand, ``python -m tests.benchmark``. Nothing here is a test."""

from __future__ import annotations

import http.client
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import mockanka


def milliseconds(what: Callable[[], object], rounds: int) -> str:
    """The median of a few rounds, and the fastest."""
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        what()
        taken.append((time.perf_counter() - began) * 1000)
    return shown(taken)


def shown(taken: list[float]) -> str:
    return f"median {statistics.median(taken):8.3f} ms   fastest {min(taken):8.3f} ms"


def up_and_down() -> tuple[str, str]:
    """A server's start, and its end."""
    servers: list[mockanka.Anka] = []
    up = milliseconds(lambda: servers.append(mockanka.serve("default")), 15)
    return up, milliseconds(lambda: servers.pop().stop(), 15)


def wait_out_a_pull(anka: mockanka.Anka, connection: http.client.HTTPConnection) -> None:
    """A test that waits out a pull of half an hour."""
    anka.reset()
    anka.faults.add(match={"event": "pull"}, do={"bandwidth": "124Mbit/s"})
    template = anka.templates["14.5-arm64"].id
    ask(connection, "POST", "/api/v1/vm", f'{{"vmid": "{template}"}}')
    (id,) = anka.instances
    pulling = anka.wait(id).timeline[1]
    assert pulling.end is not None
    assert pulling.end - pulling.start > timedelta(minutes=30)


def ask(connection: http.client.HTTPConnection, method: str, path: str, body: str | None = None) -> bytes:
    connection.request(method, path, body)
    return connection.getresponse().read()


def collect_only(rounds: int = 15) -> tuple[str, str]:
    """pytest --collect-only with the plugin and without, and nobody else's: whole processes, by turns."""
    taken: dict[bool, list[float]] = {True: [], False: []}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "test_nothing.py").write_text("def test_nothing(): pass\n")
        command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", folder]
        for turn in range(2 * rounds):
            plugin = ["-p", "mockanka.testing.pytest_plugin"] if turn % 2 else []
            began = time.perf_counter()
            environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
            subprocess.run([*command, *plugin], capture_output=True, check=True, cwd=folder, env=environment)
            taken[bool(plugin)].append((time.perf_counter() - began) * 1000)
    return shown(taken[True]), shown(taken[False])


def main() -> None:
    up, down = up_and_down()
    print(f"server up                  {up}")
    print(f"server stopped             {down}")
    with mockanka.serve("default", clock="manual") as anka:
        connection = http.client.HTTPConnection("127.0.0.1", int(anka.url.rpartition(":")[2]))
        (id,) = anka.instances
        print(f"reset of default           {milliseconds(anka.reset, 500)}")
        (id,) = anka.instances
        print(f"poll of one                {milliseconds(lambda: ask(connection, 'GET', f'/api/v1/vm?id={id}'), 3000)}")
        print(f"through Flask              {milliseconds(lambda: ask(connection, 'GET', '/api/v1/usb'), 2000)}")
    with mockanka.serve("cold-cache", clock="manual") as anka:
        connection = http.client.HTTPConnection("127.0.0.1", int(anka.url.rpartition(":")[2]))
        print(f"test with a 30 min pull    {milliseconds(lambda: wait_out_a_pull(anka, connection), 50)}")
    with_it, without = collect_only()
    print(f"collect-only, with plugin  {with_it}")
    print(f"collect-only, without      {without}")


if __name__ == "__main__":
    main()
