"""Mirroring: bytes are forwarded first and read from copies, and skipped while checks fall behind."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mockanka.proxy import mirror
from mockanka.proxy.frames import FrameKind, pack_frame, unpack_frames
from mockanka.recording.har import read_har
from mockanka.testing.anka import Anka
from tests.processes import log_of, serving
from tests.proxy import harness
from tests.proxy.harness import GET, connect_through_proxy, receive_exactly, response_bytes, run_proxy_thread
from tests.server.http_client import STATUS, VM, open_socket, receive_all, request_bytes, send_request

LOCAL = request_bytes(target="/_mock/health")


@pytest.fixture(autouse=True)
def mirrored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxies of these tests forward bytes first."""
    monkeypatch.setattr(harness, "IS_MIRRORED", True)


def exchange(client: Any, target: Any, request: bytes = GET) -> None:
    """Send a request through the proxy, and a response back."""
    client.sendall(request)
    assert request == receive_exactly(target, len(request))
    target.sendall(response_bytes())
    assert response_bytes() == receive_exactly(client, len(response_bytes()))


def test_requests_are_skipped_while_checks_are_behind() -> None:
    """They are forwarded and counted; the connection is read again from the next request after that."""
    with connect_through_proxy(GET) as (client, target, proxy):
        receive_exactly(target, len(GET))
        target.sendall(response_bytes())
        receive_exactly(client, len(response_bytes()))
        proxy.recorder.waiting = mirror.MAX_WAITING + 1
        for _ in range(3):
            exchange(client, target)
        proxy.recorder.waiting = mirror.MIN_WAITING + 1
        exchange(client, target)
        proxy.recorder.waiting = 0
        for _ in range(2):
            exchange(client, target)
        report = proxy.stop()

    assert (3, 0) == (report["exchanges"], report["unread"])
    assert 4 == report["skipped"]
    assert ["checks fall behind: from here on requests are skipped; the report counts them as skipped"] == [
        line for line in proxy.log if "behind" in line
    ]


def test_a_request_to_the_proxy_is_answered_on_a_mirrored_connection() -> None:
    """It may follow other requests; from then on the connection is read while it is forwarded."""
    with connect_through_proxy(GET) as (client, target, proxy):
        receive_exactly(target, len(GET))
        target.sendall(response_bytes())
        receive_exactly(client, len(response_bytes()))
        client.sendall(LOCAL)
        answer = receive_exactly(client, 5)
        client.recv(65536)
        exchange(client, target)
        report = proxy.stop()

    assert b"HTTP/" == answer
    assert (2, 0) == (report["exchanges"], report["unread"])


@pytest.mark.parametrize("chunk", [1, 3, 7, 1000])
def test_a_recording_is_the_same_as_without_a_mirror(
    anka: Anka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    """Requests, responses, violations and reasons are, in whatever pieces the bytes come; times and dates differ."""
    raw = request_bytes("POST", VM, b'{"count": "x"}') + request_bytes(target=STATUS) + request_bytes(target="/nowhere")
    raw = raw.replace(b"/nowhere HTTP/1.1\r\n", b"/nowhere HTTP/1.1\r\nConnection: close\r\n")
    recordings = []
    for is_mirrored in (False, True):
        monkeypatch.setattr(harness, "IS_MIRRORED", is_mirrored)
        file = tmp_path / f"{is_mirrored}.har"
        with run_proxy_thread(anka.url, har=file) as proxy, closing(open_socket(proxy.url)) as connection:
            for place in range(0, len(raw), chunk):
                connection.sendall(raw[place : place + chunk])
            receive_all(connection)
            proxy.stop()
        entries = json.loads(file.read_text())["log"]["entries"]
        for entry in entries:
            for key in ("startedDateTime", "time", "timings"):
                del entry[key]
        recordings.append(entries)

    assert 3 == len(recordings[0])
    assert recordings[0] == recordings[1]


def test_times_are_those_of_forwarding(tmp_path: Path) -> None:
    """An exchange lasts from its first byte to its last, whenever its copy is read."""
    file = tmp_path / "x.har"
    with connect_through_proxy(GET, har=file) as (client, target, proxy):
        receive_exactly(target, len(GET))
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.recv(1)
        target.sendall(response_bytes())
        client.settimeout(10)
        receive_exactly(client, len(response_bytes()))
        proxy.stop()
    (recorded,) = read_har(file).exchanges

    assert 0.25 < recorded.wait_seconds <= recorded.exchange.seconds < 5


def children(pid: int) -> Iterator[int]:
    """Yield the processes whose parent is ``pid``, and that run the recorder."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            command = (folder / "cmdline").read_text()
        except OSError:
            continue
        if parent == pid and "spawn_main" in command:
            yield int(folder.name)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are found in /proc")
def test_traffic_is_forwarded_when_the_process_that_checks_has_ended(anka: Anka) -> None:
    """The proxy says so, and ends with status 2."""
    with serving(anka.url, verb="proxy") as proxy:
        first = send_request(proxy.url)
        for pid in children(proxy.process.pid):
            os.kill(pid, signal.SIGKILL)
        after = [send_request(proxy.url) for _ in range(3)]
        report = send_request(proxy.url, target="/_mock/report").json
        status, _ = proxy.stop()
        log = log_of(proxy)

    assert [200] * 4 == [response.status for response in (first, *after)]
    assert report["target"] == anka.url
    assert 2 == status
    assert re.search("the process that checks has ended: traffic is forwarded without being checked or recorded", log)


def test_frames_are_read_as_they_were_packed() -> None:
    """Any number of them may stand in a row."""
    frames = [(FrameKind.CLIENT_DATA, 7, b"abc", 1.5), (FrameKind.CLIENT_LOST, 2**32 - 1, b"", 0.0)]

    assert frames == [
        (frame.kind, frame.number, frame.content, frame.at)
        for frame in unpack_frames(b"".join(pack_frame(*frame) for frame in frames))
    ]
