"""A benchmark of the Python interface; run it by hand with ``python -m tests.benchmark``. It has no tests."""

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


def measure(call: Callable[[], object], rounds: int) -> str:
    """Return the median and the fastest time of some calls."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        call()
        times.append((time.perf_counter() - began) * 1000)
    return describe(times)


def describe(times: list[float]) -> str:
    """Return the median and the fastest of some times in milliseconds."""
    return f"median {statistics.median(times):8.3f} ms   fastest {min(times):8.3f} ms"


def measure_start_and_stop() -> tuple[str, str]:
    """Return the times of starting and of stopping a server."""
    servers: list[mockanka.Anka] = []
    up = measure(lambda: servers.append(mockanka.serve("default")), 15)
    return up, measure(lambda: servers.pop().stop(), 15)


def wait_for_a_pull(anka: mockanka.Anka, connection: http.client.HTTPConnection) -> None:
    """Do what a test does that waits for a pull of half an hour."""
    anka.reset()
    anka.faults.add(match={"event": "pull"}, do={"bandwidth": "124Mbit/s"})
    template = anka.templates["14.5-arm64"].id
    ask(connection, "POST", "/api/v1/vm", f'{{"vmid": "{template}"}}')
    (id,) = anka.instances
    pulling = anka.wait(id).timeline[1]
    assert pulling.end is not None
    assert pulling.end - pulling.start > timedelta(minutes=30)


def ask(connection: http.client.HTTPConnection, method: str, path: str, body: str | None = None) -> bytes:
    """Send a request, and return the body of the response."""
    connection.request(method, path, body)
    return connection.getresponse().read()


def measure_collect_only(rounds: int = 15) -> tuple[str, str]:
    """Return the times of ``pytest --collect-only`` with the plugin and without any plugin.

    Each run is a process of its own; runs with and without alternate.
    """
    times: dict[bool, list[float]] = {True: [], False: []}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "test_nothing.py").write_text("def test_nothing(): pass\n")
        command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", folder]
        for run in range(2 * rounds):
            plugin = ["-p", "mockanka.testing.pytest_plugin"] if run % 2 else []
            began = time.perf_counter()
            environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
            subprocess.run([*command, *plugin], capture_output=True, check=True, cwd=folder, env=environment)
            times[bool(plugin)].append((time.perf_counter() - began) * 1000)
    return describe(times[True]), describe(times[False])


def main() -> None:
    """Print all times."""
    start, stop = measure_start_and_stop()
    print(f"server start               {start}")
    print(f"server stop                {stop}")
    with mockanka.serve("default", clock="manual") as anka:
        connection = http.client.HTTPConnection("127.0.0.1", int(anka.url.rpartition(":")[2]))
        (id,) = anka.instances
        print(f"reset of default           {measure(anka.reset, 500)}")
        (id,) = anka.instances
        print(f"poll of an instance        {measure(lambda: ask(connection, 'GET', f'/api/v1/vm?id={id}'), 3000)}")
        print(f"through Flask              {measure(lambda: ask(connection, 'GET', '/api/v1/usb'), 2000)}")
    with mockanka.serve("cold-cache", clock="manual") as anka:
        connection = http.client.HTTPConnection("127.0.0.1", int(anka.url.rpartition(":")[2]))
        print(f"test with a 30 min pull    {measure(lambda: wait_for_a_pull(anka, connection), 50)}")
    with_plugin, without_plugin = measure_collect_only()
    print(f"collect-only, with plugin  {with_plugin}")
    print(f"collect-only, without      {without_plugin}")


if __name__ == "__main__":
    main()
