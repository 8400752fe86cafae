"""The command ``mockanka proxy`` as a process: its output, its files, its errors, and its end."""

from __future__ import annotations

import json
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import mockanka
from mockanka.contract.conformance import contract_of
from mockanka.core.release import Release
from mockanka.recording.exchanges import find_violations
from mockanka.recording.har import read_har
from mockanka.serving import url_of
from mockanka.testing.anka import Anka
from tests.cli.invoke import call
from tests.pages import blocks
from tests.processes import PATIENCE, log_of, serving
from tests.remote.servers import CERTIFICATE
from tests.server.http_client import STATUS, VM, open_socket, receive_all, request_bytes, send_request


@pytest.fixture
def anka() -> Iterator[Anka]:
    """The default scenario at an older release."""
    with mockanka.serve("default", clock="manual", release="1.24.0") as anka:
        yield anka


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_serves_until_a_signal(anka: Anka, tmp_path: Path, number: signal.Signals) -> None:
    """A signal ends it with 0, also while clients are connected, and the recording is complete."""
    har, ready = tmp_path / "x.har", tmp_path / "ready"
    with serving(anka.url, "--har", str(har), "--ready-file", str(ready), verb="proxy") as proxy:
        ready_line = ready.read_text()
        with closing(open_socket(proxy.url)) as connection:
            responses = [send_request(proxy.url, target=STATUS), send_request(proxy.url, target="/nowhere")]
            connection.sendall(request_bytes("POST", VM, b"{}")[:-1])
            status, seconds = proxy.stop(number)
            received = receive_all(connection)[0]
        log = log_of(proxy)
    recording = read_har(har)
    contract = contract_of(Release.parse("1.24.0"))
    violations = [find_violations(exchange, contract) for exchange in recording.exchanges]

    assert (proxy.line, {"url": proxy.url, "pid": proxy.process.pid}) == (ready_line, json.loads(ready_line))
    assert (0, b"", False) == (status, received, ready.exists())
    assert seconds < PATIENCE / 4
    assert [200, 404] == [response.status for response in responses]
    assert [[], ["operation"]] == [[violation.check for violation in found] for found in violations][:2]
    assert Release.parse("1.24.0") == recording.release
    assert f"mockanka: passes on to {anka.url}, release 1.24.0\n" in log
    assert "mockanka: client (must) in GET /nowhere: operation: GET /nowhere is not an operation\n" in log
    assert "violations of the client: 1, of the controller: 0\n" in log


def test_the_release_is_requested_once_unless_it_is_given(anka: Anka) -> None:
    """The proxy sends one request for the status before any client does, and none with --release."""
    with serving(anka.url, verb="proxy") as proxy:
        send_request(proxy.url)
        requested = send_request(proxy.url, target="/_mock/report").json["release"]
    first_paths = [request.path for request in anka.requests]
    with serving(anka.url, "--release", "1.8.0", verb="proxy") as proxy:
        send_request(proxy.url)
        given = send_request(proxy.url, target="/_mock/report").json["release"]

    assert ("1.24.0", "1.8.0") == (requested, given)
    assert [STATUS, VM] == first_paths
    assert [STATUS, VM, VM] == [request.path for request in anka.requests]


def test_a_target_may_start_after_the_proxy() -> None:
    """Until then clients get a 502; the release is requested when there is an exchange to check."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        url = url_of(listening)
    with serving(url, verb="proxy") as proxy:
        before = send_request(proxy.url)
        with mockanka.serve("default", clock="manual", release="1.8.0", port=int(url.rpartition(":")[2])):
            after = send_request(proxy.url, target=f"{VM}?id=unknown")
            report = send_request(proxy.url, target="/_mock/report").json
        proxy.stop()
        log = log_of(proxy)

    assert (502, 200) == (before.status, after.status)
    assert f"cannot reach {url}: connection refused" == before.json["detail"]
    assert "its release is requested later" in log
    assert "1.8.0" == report["release"]
    assert ["no-answer"] == [finding["check"] for finding in report["findings"]]


def test_responses_are_annotated_with_the_option(anka: Anka) -> None:
    """--annotate adds the header."""
    with serving(anka.url, "--annotate", verb="proxy") as proxy, closing(open_socket(proxy.url)) as connection:
        connection.sendall(request_bytes(target="/nowhere").replace(b"Host", b"Connection: close\r\nHost"))

        assert b"x-mockanka-violations: client operation\r\n" in receive_all(connection)[0]


@pytest.mark.parametrize("options", [[], ["--keep-secrets"]])
def test_secrets_are_recorded_only_with_the_option(anka: Anka, tmp_path: Path, options: list[str]) -> None:
    """Without --keep-secrets they are redacted."""
    har = tmp_path / "x.har"
    secret = b"Connection: close\r\nAuthorization: Basic cm9vdDp4\r\nHost"
    with serving(anka.url, "--har", str(har), *options, verb="proxy") as proxy:
        with closing(open_socket(proxy.url)) as connection:
            connection.sendall(request_bytes().replace(b"Host", secret))
            receive_all(connection)
        proxy.stop()

    assert bool(options) == ("cm9vdDp4" in har.read_text())
    assert bool(options) != ("redacted" in har.read_text())


def test_the_documentation_shows_a_real_report() -> None:
    """The example in the page on contracts is the report of the proxy, except for the target's address."""
    (example,) = (block for block in blocks("docs/contract.md", "json") if "unread" in block)
    with mockanka.serve("default", clock="manual") as anka, serving(anka.url, verb="proxy") as proxy:
        send_request(proxy.url, target=STATUS)
        send_request(proxy.url, "POST", VM, {"count": 1})
        report = send_request(proxy.url, target="/_mock/report").json

    assert json.loads(example) == report | {"target": "http://127.0.0.1:8090"}


REFUSED: list[tuple[list[str], str]] = [
    (["nonsense"], "'nonsense' is not the URL of a controller: write it like http://anka.example:8090"),
    (["ftp://a"], "'ftp://a' is not the URL of a controller: write it like http://anka.example:8090"),
    (["http://a:x"], "'http://a:x' is not a URL (Invalid port: 'x'): write it like http://anka.example:8090"),
    (
        ["http://127.0.0.1:1/anka"],
        "'http://127.0.0.1:1/anka' has a path, but requests are forwarded unchanged: leave it out, "
        "and configure it in the client",
    ),
    (
        ["http://me:secret@127.0.0.1"],
        "the URL of 127.0.0.1 has a user in it, which would be shown: configure it in the client, "
        "because requests are forwarded unchanged",
    ),
    (["http://no-such-host.invalid"], "the host no-such-host.invalid does not resolve: is its name right?"),
    (["https://127.0.0.1:1", "--ca", "/nowhere"], "--ca: there is no file /nowhere"),
    (["https://127.0.0.1:1", "--key", str(CERTIFICATE)], "--key needs --cert"),
    (["http://127.0.0.1:1", "--har", "/nowhere/x.har"], "--har: there is no folder /nowhere"),
    (["http://127.0.0.1:1", "--ready-file", "/nowhere/x"], "--ready-file: there is no folder /nowhere"),
]


@pytest.mark.parametrize(("arguments", "reason"), REFUSED, ids=[" ".join(arguments) for arguments, _ in REFUSED])
def test_unusable_arguments_are_refused_in_one_line(arguments: list[str], reason: str) -> None:
    """The line says what is wrong and what to do, and the exit status is 2."""
    done = call("proxy", *arguments, "--port", "0")

    assert (2, f"{reason}\n") == (done.exit_code, done.output)


def test_a_port_that_is_in_use_is_refused() -> None:
    """The text is that of serve."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        port = listening.getsockname()[1]
        done = call("proxy", "http://127.0.0.1:1", "--release", "1.8.0", "--port", str(port))

    reason = f"cannot listen on 127.0.0.1 port {port}: Address already in use; --port 0 takes a free one\n"
    assert (2, reason) == (done.exit_code, done.output)


def test_a_target_that_is_not_a_controller_is_refused(anka: Anka) -> None:
    """The status of a target without a controller is not an envelope."""
    anka.faults.add(match={"path": STATUS}, do={"status": 200, "body": "<html>"})
    done = call("proxy", anka.url, "--port", "0")

    assert 2 == done.exit_code
    assert "the web server there is not a controller" in done.output


def test_a_recording_that_cannot_be_written_is_refused() -> None:
    """A device that is full is in the place of the file."""
    done = call("proxy", "http://127.0.0.1:1", "--release", "1.8.0", "--port", "0", "--har", "/dev/full")

    assert (2, "--har: /dev/full cannot be written: No space left on device\n") == (done.exit_code, done.output)


SMALL_FILES = """
import resource, runpy, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))
runpy.run_module("mockanka", run_name="__main__", alter_sys=True)
"""


def test_a_recording_for_which_there_is_no_room_ends_with_2(anka: Anka, tmp_path: Path) -> None:
    """Traffic is forwarded all the same, and the reason is on standard error."""
    har = tmp_path / "x.har"
    command = (sys.executable, "-c", SMALL_FILES)
    with serving(anka.url, "--har", str(har), verb="proxy", command=command) as proxy:
        responses = [send_request(proxy.url) for _ in range(3)]
        status, _ = proxy.stop()
        log = log_of(proxy)

    assert ([200, 200, 200], 2) == ([response.status for response in responses], status)
    assert f"the recording {har} cannot be written: File too large" in log
    assert read_har(har).is_cut


def test_a_proxy_that_is_killed_leaves_what_it_has_recorded(anka: Anka, tmp_path: Path) -> None:
    """The file is complete after each exchange, and check reads it."""
    har = tmp_path / "x.har"
    with serving(anka.url, "--har", str(har), verb="proxy") as proxy:
        send_request(proxy.url)
        send_request(proxy.url, target="/_mock/report")  # when it has come, the exchange before it is recorded
        proxy.process.kill()
        proxy.process.wait()
    recording = read_har(har)

    assert (1, False) == (len(recording.exchanges), recording.is_cut)


def test_options_may_come_from_the_environment(anka: Anka, tmp_path: Path) -> None:
    """MOCKANKA_PORT is --port, and so on."""
    har = tmp_path / "x.har"
    env = {
        "MOCKANKA_HAR": str(har),
        "MOCKANKA_RELEASE": "1.43.0",
        "MOCKANKA_PORT": "0",
        "MOCKANKA_TARGET_URL": anka.url,
    }
    with serving(verb="proxy", env=env) as proxy:
        send_request(proxy.url)
        proxy.stop()

    assert (1, Release.parse("1.43.0")) == (len(read_har(har).exchanges), read_har(har).release)
