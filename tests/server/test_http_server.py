"""The server as users run it: a process, real HTTP, signals."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import requests

from mockanka.core import nodes, usb
from mockanka.scenario import Scenario
from mockanka.testing.anka import Anka
from tests.processes import serving
from tests.server.http_client import VM, open_socket, request_bytes, template_id

TEMPLATE = "d05c2c8b-1a50-4718-87ef-cc20aee0d4e7"
SECOND = 1.0


def vm(url: str) -> str:
    return f"{url}/api/v1/vm"


def test_the_ready_line_and_the_ready_file_have_the_url(tmp_path: Path) -> None:
    """Standard output has one line of JSON with URL and process id, and the ready file the same."""
    ready = tmp_path / "ready.json"
    with serving("--ready-file", str(ready)) as server:
        ready_line = json.loads(server.line)
        response = requests.get(f"{ready_line['url']}/_mock/health", timeout=5)

        assert ready_line == {"url": server.url, "pid": server.process.pid}
        assert json.loads(ready.read_text()) == ready_line
        assert response.status_code == 200
        assert server.stop() == (0, pytest.approx(0, abs=SECOND))
        assert server.process.stdout is not None
        assert server.process.stdout.read() == b""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_server_stops_within_a_second_whoever_is_connected(number: signal.Signals) -> None:
    """Neither an event stream, an idle connection nor half a request keeps it from ending with 0."""
    with serving() as server:
        idle = requests.Session()
        idle.get(vm(server.url), timeout=5)
        stream = requests.get(
            f"{server.url}/_mock/events", headers={"Accept": "text/event-stream"}, stream=True, timeout=5
        )
        half_head = socket.create_connection(("127.0.0.1", server.port))
        half_head.sendall(b"GET /api/v1/vm HTTP/1.1\r\nHos")
        half_body = socket.create_connection(("127.0.0.1", server.port))
        half_body.sendall(b'POST /api/v1/vm HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"vmid"')
        requests.get(vm(server.url), timeout=5)  # by now the others have arrived
        status, took = server.stop(number)
        for connection in (idle, stream, half_head, half_body):
            connection.close()

        assert status == 0
        assert took < SECOND


def test_an_event_stream_has_the_events_of_requests() -> None:
    """A client of the stream gets the event of a start that another connection asks for."""
    with serving("--clock", "manual") as server:
        stream = requests.get(
            f"{server.url}/_mock/events", headers={"Accept": "text/event-stream"}, stream=True, timeout=5
        )
        lines = stream.iter_lines()
        next(lines)
        started = requests.post(vm(server.url), json={"vmid": TEMPLATE}, timeout=5).json()["body"]
        event = next(json.loads(line[6:]) for line in lines if line.startswith(b"data: "))
        stream.close()

        assert (event["subject"], event["state"]) == (started[0], "Scheduling")


def test_the_same_seed_and_requests_give_the_same_bytes() -> None:
    """Two processes answer one conversation alike, headers included."""

    def talk(url: str) -> list[object]:
        responses: list[object] = []
        template = requests.get(f"{url}/api/v1/registry/vm", timeout=5).json()["body"][0]["id"]
        for _ in range(3):
            answer = requests.post(vm(url), json={"vmid": template, "count": 2}, timeout=5)
            responses.append((answer.content, sorted(answer.headers.items())))
            for path in ("vm", "node", "usb", "registry/vm", f"vm?id={answer.json()['body'][0]}"):
                polled = requests.get(f"{url}/api/v1/{path}", timeout=5)
                responses.append((polled.content, sorted(polled.headers.items())))
        return responses

    with serving("--clock", "step", "--seed", "9") as first, serving("--clock", "step", "--seed", "9") as second:
        assert talk(first.url) == talk(second.url)


def test_sixteen_threads_starting_and_terminating_leave_a_sound_state() -> None:
    """After many requests at once every id is unique and every invariant holds."""
    with serving("fleet", "--clock", "step", "--step", "1s") as server:
        registry = requests.get(f"{server.url}/api/v1/registry/vm", timeout=5).json()["body"]
        templates = [template["id"] for template in registry]
        together = threading.Barrier(16)

        def build(number: int) -> list[str]:
            with requests.Session() as session:
                together.wait(10)
                started: list[str] = []
                for turn in range(12):
                    body = {"vmid": templates[(number + turn) % 2], "count": 2, "external_id": f"thread-{number}"}
                    started += session.post(vm(server.url), json=body, timeout=10).json()["body"]
                    assert session.get(vm(server.url), params={"id": started[-1]}, timeout=10).json()["status"] == "OK"
                    terminated = session.delete(vm(server.url), json={"id": started[turn]}, timeout=10).json()
                    assert terminated == {"status": "OK", "message": ""}
                return started

        with ThreadPoolExecutor(16) as pool:
            ids = [id for started in pool.map(build, range(16)) for id in started]
        state = requests.get(f"{server.url}/_mock/scenario", timeout=10).json()
        settled = requests.post(f"{server.url}/_mock/clock/advance", json={"until": "idle"}, timeout=10)
        listed = requests.get(vm(server.url), timeout=10).json()["body"]

    controller = Scenario.from_data(state).controller()
    for node in controller.nodes.values():
        occupants = [
            instance
            for instance in controller.instances.values()
            if instance.node_id == node.id and instance.holds_slot
        ]
        running = [instance for instance in occupants if instance.running_vm]

        assert len(occupants) <= node.capacity
        assert set(node.occupants) == {instance.id for instance in occupants}
        assert nodes.running_load(controller, node).vm_count == len(running)
        assert len(usb.find_claimed_devices(controller, node)) == sum(
            instance.usb is not None for instance in occupants
        )
    assert len(set(ids)) == len(ids) == 16 * 12 * 2
    assert settled.status_code == 200
    # Each thread's first twelve are terminated; of the others 200 have a slot and the rest waits or has come up.
    alive = [item["vm"]["instance_state"] for item in listed if item["vm"]["instance_state"] == "Started"]
    assert len(alive) == 16 * 12


def test_odd_bytes_in_a_path_are_the_plain_404() -> None:
    """Bytes that HTTP does not allow in a path get the 404 of any unknown path."""
    with serving() as server:
        for path in (b"/api/\xff\xfe", b"/api/v1/vm/\xc3\xa9", b"/api/%00", b"/%ED%A0%80"):
            with socket.create_connection(("127.0.0.1", server.port), timeout=5) as raw:
                raw.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                answer = b"".join(iter(lambda: raw.recv(4096), b""))

            assert answer.startswith(b"HTTP/1.1 404 Not Found\r\n"), path
            assert answer.endswith(b"\r\n\r\n404 page not found\n"), path


def test_a_body_of_50_mb_is_refused_in_the_envelope() -> None:
    """The client gets a FAIL that says why, and nothing changes."""
    with serving("--clock", "manual") as server:
        before = requests.get(f"{server.url}/_mock/scenario", timeout=5).json()
        answer = requests.post(vm(server.url), data=b" " * 50_000_000, timeout=20)
        after = requests.get(f"{server.url}/_mock/scenario", timeout=5).json()

        assert answer.json()["status"] == "FAIL"
        assert "50000000 bytes" in answer.json()["message"]
        assert before == after


def test_a_real_clock_moves_by_itself() -> None:
    """With a fast real clock an instance starts while a client polls, without any request to the control API."""
    with serving("--speed", "600") as server:
        id = requests.post(vm(server.url), json={"vmid": TEMPLATE}, timeout=5).json()["body"][0]
        seen = []
        for _ in range(2000):
            state = requests.get(vm(server.url), params={"id": id}, timeout=5).json()["body"]["instance_state"]
            if not seen or seen[-1] != state:
                seen.append(state)
            if state == "Started":
                break

        assert seen == ["Scheduling", "Started"]


def test_options_may_come_from_the_environment() -> None:
    """MOCKANKA_SCENARIO, _CLOCK and _SEED do what the arguments do."""
    env = {"MOCKANKA_SCENARIO": "busy", "MOCKANKA_CLOCK": "manual", "MOCKANKA_SEED": "3", "MOCKANKA_PORT": "0"}
    with serving(env=env) as by_env, serving("busy", "--clock", "manual", "--seed", "3") as by_arguments:
        assert requests.get(vm(by_env.url), timeout=5).content == requests.get(vm(by_arguments.url), timeout=5).content


def test_the_server_listens_on_ipv6_when_asked_to() -> None:
    """An IPv6 address is bound, and shown in brackets."""
    if not socket.has_ipv6 or not os.path.exists("/proc/net/if_inet6"):
        pytest.skip("this machine has no IPv6")
    with serving("--host", "::1") as server:
        assert server.url.startswith("http://[::1]:")
        assert requests.get(f"{server.url}/_mock/health", timeout=5).status_code == 200


def test_a_request_that_offers_an_upgrade_keeps_its_body(anka: Anka) -> None:
    """The offer is ignored, as Java's client makes it."""
    body = json.dumps({"vmid": template_id(anka.url)}).encode()
    upgrade = b"\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk"
    with closing(open_socket(anka.url)) as connection:
        connection.sendall(request_bytes("POST", VM, body).replace(b"\r\nHost: x", b"\r\nHost: x" + upgrade))
        response = connection.recv(65536)

    assert b'{"status":"OK"' in response
    assert [VM] == [request.path for request in anka.requests.where(method="POST")]


def test_the_server_writes_no_log_records_into_the_suite(anka: Anka, caplog: pytest.LogCaptureFixture) -> None:
    """Neither requests nor malformed ones are logged, at any level."""
    with caplog.at_level(1):
        requests.get(vm(anka.url), timeout=5)
        requests.get(f"{anka.url}/nowhere", timeout=5)
        with closing(open_socket(anka.url)) as connection:
            connection.sendall(b"no request\r\n\r\n")
            assert connection.recv(65536).startswith(b"HTTP/1.1 400")

    assert [] == [record.name for record in caplog.records if not record.name.startswith("urllib3")]


def test_the_loggers_of_uvicorn_are_left_to_the_suite(anka: Anka, caplog: pytest.LogCaptureFixture) -> None:
    """A suite that has servers of its own sees their records."""
    assert anka.url
    with caplog.at_level(logging.INFO):
        for name in ("uvicorn.error", "uvicorn.access"):
            assert logging.getLogger(name).propagate
            logging.getLogger(name).info("its own")

    assert ["uvicorn.error", "uvicorn.access"] == [record.name for record in caplog.records]
