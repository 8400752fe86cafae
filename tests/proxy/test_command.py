"""`mockanka proxy`, run as a process: what it prints, refuses, writes, and how it ends."""

from __future__ import annotations

import json
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import mockanka
from mockanka.core.release import Release
from mockanka.recording.har import judge_recording, load
from mockanka.serving import url_of
from mockanka.testing.anka import Anka
from tests.cli.test_commands import call
from tests.pages import blocks
from tests.processes import PATIENCE, Serving, serving
from tests.remote.servers import CERTIFICATE
from tests.server.http_client import STATUS, VM
from tests.server.http_client import Response as Answer
from tests.server.http_client import open_socket as raw
from tests.server.http_client import receive_all as hear
from tests.server.http_client import request_bytes as head
from tests.server.http_client import send_request as ask


@pytest.fixture
def anka() -> Iterator[Anka]:
    with mockanka.serve("default", clock="manual", release="1.24.0") as served:
        yield served


def said(proxy: Serving) -> str:
    """All that an ended proxy said on standard error."""
    assert proxy.process.stderr is not None
    return proxy.process.stderr.read().decode()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_passes_on_until_it_is_told_to_stop(anka: Anka, tmp_path: Path, number: signal.Signals) -> None:
    """One line says where; a signal ends it with 0, also while clients are connected, and the recording is whole."""
    har, ready = tmp_path / "x.har", tmp_path / "ready"
    with serving(anka.url, "--har", str(har), "--ready-file", str(ready), verb="proxy") as proxy:
        line = ready.read_text()
        with closing(raw(proxy.url)) as idle:
            answers = [ask(proxy.url, target=STATUS), ask(proxy.url, target="/nowhere")]
            idle.sendall(head("POST", VM, b"{}")[:-1])
            status, seconds = proxy.stop(number)
            heard = hear(idle)[0]
        told = said(proxy)
    judged = list(judge_recording(load(har)))

    assert (proxy.line, {"url": proxy.url, "pid": proxy.process.pid}) == (line, json.loads(line))
    assert (0, b"", False) == (status, heard, ready.exists())
    assert seconds < PATIENCE / 4
    assert [200, 404] == [each.status for each in answers]
    assert [[], ["operation"]] == [[one.check for one in each.violations] for each in judged][:2]
    assert Release.parse("1.24.0") == load(har).release
    assert f"mockanka: passes on to {anka.url}, release 1.24.0\n" in told
    assert "mockanka: client (must) in GET /nowhere: operation: GET /nowhere is not an operation\n" in told
    assert "violations of the client: 1, of the controller: 0\n" in told


def test_the_release_is_asked_for_once_unless_it_is_given(anka: Anka) -> None:
    """One status before any client, and none with --release."""
    with serving(anka.url, verb="proxy") as proxy:
        ask(proxy.url)
        asked = ask(proxy.url, target="/_mock/report").json["release"]
    first = [each.path for each in anka.requests]
    with serving(anka.url, "--release", "1.8.0", verb="proxy") as proxy:
        ask(proxy.url)
        given = ask(proxy.url, target="/_mock/report").json["release"]

    assert ("1.24.0", "1.8.0") == (asked, given)
    assert [STATUS, VM] == first
    assert [STATUS, VM, VM] == [each.path for each in anka.requests]


def test_a_target_that_is_down_may_come_up_later() -> None:
    """Until then clients hear 502; the release is asked for once there is somebody to ask."""
    with closing(socket.create_server(("127.0.0.1", 0))) as port:
        url = url_of(port)
    with serving(url, verb="proxy") as proxy:
        before = ask(proxy.url)
        with mockanka.serve("default", clock="manual", release="1.8.0", port=int(url.rpartition(":")[2])):
            after = ask(proxy.url, target=f"{VM}?id=unknown")
            report = ask(proxy.url, target="/_mock/report").json
        proxy.stop()
        told = said(proxy)

    assert (502, 200) == (before.status, after.status)
    assert f"cannot reach {url}: connection refused" == before.json["detail"]
    assert "its release is asked for later" in told
    assert "1.8.0" == report["release"]
    assert ["no-answer"] == [each["check"] for each in report["findings"]]


def test_the_header_is_added_when_asked(anka: Anka) -> None:
    """--annotate is handed on."""
    with serving(anka.url, "--annotate", verb="proxy") as proxy, closing(raw(proxy.url)) as connection:
        connection.sendall(head(target="/nowhere").replace(b"Host", b"Connection: close\r\nHost"))

        assert b"x-mockanka-violations: client operation\r\n" in hear(connection)[0]


@pytest.mark.parametrize("options", [[], ["--keep-secrets"]])
def test_secrets_stay_out_of_the_recording(anka: Anka, tmp_path: Path, options: list[str]) -> None:
    """--keep-secrets is handed on."""
    har = tmp_path / "x.har"
    with serving(anka.url, "--har", str(har), *options, verb="proxy") as proxy:
        with closing(raw(proxy.url)) as connection:
            connection.sendall(head().replace(b"Host", b"Connection: close\r\nAuthorization: Basic cm9vdDp4\r\nHost"))
            hear(connection)
        proxy.stop()

    assert bool(options) == ("cm9vdDp4" in har.read_text())
    assert bool(options) != ("redacted" in har.read_text())


def test_the_page_shows_a_report_as_it_is() -> None:
    """The example in the page on contracts is what the proxy says, the target's address aside."""
    (shown,) = (each for each in blocks("docs/contract.md", "json") if "unread" in each)
    with mockanka.serve("default", clock="manual") as anka, serving(anka.url, verb="proxy") as proxy:
        ask(proxy.url, target=STATUS)
        ask(proxy.url, "POST", VM, {"count": 1})
        report = ask(proxy.url, target="/_mock/report").json

    assert json.loads(shown) == report | {"target": "http://127.0.0.1:8090"}


REFUSED: list[tuple[list[str], str]] = [
    (["nonsense"], "'nonsense' is not the URL of a controller: write it like http://anka.example:8090"),
    (["ftp://a"], "'ftp://a' is not the URL of a controller: write it like http://anka.example:8090"),
    (["http://a:x"], "'http://a:x' is not a URL (Invalid port: 'x'): write it like http://anka.example:8090"),
    (
        ["http://127.0.0.1:1/anka"],
        "'http://127.0.0.1:1/anka' has a path, but requests go on as they come: leave it out, "
        "and give it to the client",
    ),
    (
        ["http://me:secret@127.0.0.1"],
        "the URL of 127.0.0.1 has a user in it, which would be shown: give it to the client, "
        "for requests go on as they come",
    ),
    (["http://no-such-host.invalid"], "the host no-such-host.invalid does not resolve: is its name right?"),
    (["https://127.0.0.1:1", "--ca", "/nowhere"], "--ca: there is no file /nowhere"),
    (["https://127.0.0.1:1", "--key", str(CERTIFICATE)], "--key needs --cert"),
    (["http://127.0.0.1:1", "--har", "/nowhere/x.har"], "--har: there is no folder /nowhere"),
    (["http://127.0.0.1:1", "--ready-file", "/nowhere/x"], "--ready-file: there is no folder /nowhere"),
]


@pytest.mark.parametrize(("arguments", "why"), REFUSED, ids=[" ".join(each) for each, _ in REFUSED])
def test_what_cannot_be_is_refused_in_one_line(arguments: list[str], why: str) -> None:
    """It names what is wrong and what to do, and ends with 2."""
    done = call("proxy", *arguments, "--port", "0")

    assert (2, f"{why}\n") == (done.exit_code, done.output)


def test_a_port_that_is_taken_is_refused() -> None:
    """As serve refuses it."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        done = call("proxy", "http://127.0.0.1:1", "--release", "1.8.0", "--port", str(port))

    why = f"cannot listen on 127.0.0.1 port {port}: Address already in use; --port 0 takes a free one\n"
    assert (2, why) == (done.exit_code, done.output)


def test_a_target_that_is_no_controller_is_refused(anka: Anka) -> None:
    """A web server whose status is no envelope; a release that is given makes the question unnecessary."""
    anka.faults.add(match={"path": STATUS}, do={"status": 200, "body": "<html>"})
    done = call("proxy", anka.url, "--port", "0")

    assert 2 == done.exit_code
    assert "the web server there is not a controller" in done.output


def test_a_recording_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    """A folder stands where the file is to be written first."""
    (tmp_path / ".x.har.part").mkdir()
    done = call("proxy", "http://127.0.0.1:1", "--release", "1.8.0", "--port", "0", "--har", str(tmp_path / "x.har"))

    assert (2, f"--har: {tmp_path / 'x.har'} cannot be written: Is a directory\n") == (done.exit_code, done.output)


def test_what_can_only_fail_at_the_end_ends_with_two(anka: Anka, tmp_path: Path) -> None:
    """A recording that cannot get its name is told of, and traffic passes all the same."""
    har = tmp_path / "x.har"
    with serving(anka.url, "--har", str(har), verb="proxy") as proxy:
        answer: Answer = ask(proxy.url)
        har.mkdir()
        (har / "x").touch()
        status, _ = proxy.stop()
        told = said(proxy)

    assert (200, 2) == (answer.status, status)
    assert re.search(rf"the recording {re.escape(str(har))} cannot be written: ", told)


def test_every_option_of_the_proxy_comes_from_the_environment_too(anka: Anka, tmp_path: Path) -> None:
    """MOCKANKA_PORT for --port, and so on."""
    har = tmp_path / "x.har"
    env = {
        "MOCKANKA_HAR": str(har),
        "MOCKANKA_RELEASE": "1.43.0",
        "MOCKANKA_PORT": "0",
        "MOCKANKA_TARGET_URL": anka.url,
    }
    with serving(verb="proxy", env=env) as proxy:
        ask(proxy.url)
        proxy.stop()

    assert (1, Release.parse("1.43.0")) == (len(load(har).entries), load(har).release)
