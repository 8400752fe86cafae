"""Signals while a large scenario is built: the process ends soon, as it does at any other time."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from tests.processes import serving

LARGE = "templates: [{name: t, versions: [{tag: v, size: 1}]}]\ninstances:\n" + "- {template: t, count: 10000}\n" * 60
"""Half a minute of work."""
LIMITS = ("--max-instances", "1000000")
SOON = 8.0


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, 2)])
def test_a_signal_while_the_first_scenario_is_built_ends_the_process(
    tmp_path: Path, number: signal.Signals, status: int
) -> None:
    file = tmp_path / "large.yaml"
    file.write_text(LARGE)
    command = [sys.executable, "-m", "mockanka", "serve", str(file), "--port", "0", *LIMITS]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            time.sleep(2)
            assert process.poll() is None
            process.send_signal(number)
            began = time.monotonic()
            assert status == process.wait(30)
            assert time.monotonic() - began < SOON
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_during_a_put_of_a_large_state_stops_the_server(tmp_path: Path, number: signal.Signals) -> None:
    """The request is answered as one that cannot be carried out; the ready file is removed as by any stop."""
    ready_file = tmp_path / "ready"
    with serving(*LIMITS, "--ready-file", str(ready_file)) as server:
        answers: list[httpx.Response] = []

        def put() -> None:
            answers.append(httpx.put(f"{server.url}/_mock/scenario", content=LARGE, timeout=60))

        thread = threading.Thread(target=put)
        thread.start()
        time.sleep(1)
        status, seconds = server.stop(number)
        thread.join()

    assert (0, False) == (status, ready_file.exists())
    assert seconds < SOON
    (answer,) = answers
    assert (503, "the server is stopping") == (answer.status_code, answer.json()["detail"])


def test_a_signal_stops_a_server_that_is_idle_at_once() -> None:
    with serving() as server, socket.create_connection(("127.0.0.1", server.port)):
        status, seconds = server.stop()
    assert 0 == status
    assert seconds < 2
