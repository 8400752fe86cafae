"""``mockanka check`` as it is called: options, bad input, reports, signals, exit statuses."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

import mockanka
from mockanka.check.catalog import CHECKS
from mockanka.cli.main import main
from tests.check.proxied import plain_proxy
from tests.remote.test_client import WHOLE, listening

QUICK = ("--interval", "1ms", "--no-generated")


def call(*args: str) -> Result:
    clean = {name: None for name in os.environ if name.startswith("MOCKANKA_")}
    return CliRunner().invoke(main, ["check", *args], env=clean)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A controller at rest."""
    with mockanka.serve("default", clock="manual") as anka:
        yield anka.url


@contextmanager
def answering(status: int, content: bytes, **headers: str) -> Iterator[str]:
    """A web server that says the same to everyone; its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_a_controller_that_keeps_to_the_contract_ends_with_0(url: str) -> None:
    """The table has its operations, and the verdict."""
    done = call(url, *QUICK)

    assert 0 == done.exit_code, done.stderr
    assert "" == done.stdout
    assert f"{url} held against release 1.50.1, read-only" in done.stderr
    assert "listVms" in done.stderr
    assert "It keeps to the contract: " in done.stderr


def test_one_that_does_not_ends_with_1_and_says_where(url: str) -> None:
    """Each failure has its check, its level, the place in the document and in the answer, and the request."""
    done = call(url, *QUICK, "--release", "1.8.0")

    assert 1 == done.exit_code
    assert (
        "failed listVms status-code (must) openapi/controller.yaml#/paths/~1api~1v1~1vm/get\n"
        "  says FAIL with HTTP 400, not 200"
    ) in done.stderr
    assert "noted getStatus release (note)\n  the status says 1.50.1-" in done.stderr
    assert "It does not keep to the contract: " in done.stderr


def test_a_release_that_nobody_knows_is_held_against_the_nearest_lower_one(url: str) -> None:
    """And told so."""
    done = call(url, *QUICK, "--release", "1.50.7")

    assert "release 1.50.7 is not known; it is held against 1.50.1" in done.stderr


@pytest.mark.parametrize("url", ["", "anka", "ftp://anka"])
def test_a_url_that_is_none_ends_with_2(url: str) -> None:
    """The text shows one."""
    done = call(url)

    assert 2 == done.exit_code
    assert "is no URL" in done.stderr
    assert "write it like http://anka.example:8090" in done.stderr


def test_a_host_that_does_not_resolve_ends_with_2() -> None:
    """The text names it."""
    done = call("http://nowhere.invalid")

    assert (2, "cannot check: the host nowhere.invalid does not resolve: is its name right?\n") == (
        done.exit_code,
        done.stderr,
    )


def test_a_closed_port_ends_with_2() -> None:
    """The text names it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    done = call(f"http://127.0.0.1:{port}")

    assert 2 == done.exit_code
    assert f"nothing listens at 127.0.0.1 port {port}: is the controller up" in done.stderr


def test_a_self_signed_certificate_ends_with_2() -> None:
    """The text names the two options that help."""
    with listening(lambda connection: connection.sendall(WHOLE), tls=True) as url:
        done = call(url)

    assert 2 == done.exit_code
    assert "is not trusted (self-signed certificate): give --ca FILE" in done.stderr
    assert "or --insecure" in done.stderr


@pytest.mark.parametrize(
    ("status", "content", "headers", "complaint"),
    [
        (200, b"<html></html>", {"Content_Type": "text/html"}, "HTTP 200 and text/html without an envelope"),
        (404, b"no", {"Content_Type": "text/plain"}, "the web server there is no controller"),
        (302, b"", {"Location": "https://login.example/"}, "a redirect to https://login.example/: give the URL of"),
        (
            401,
            b'{"status":"FAIL","message":"Authentication Required"}',
            {"Content_Type": "application/json"},
            "HTTP 401 (Authentication Required): it wants to know who asks; give --token",
        ),
    ],
)
def test_what_is_no_controller_for_us_ends_with_2(
    status: int, content: bytes, headers: dict[str, str], complaint: str
) -> None:
    """A web page, a redirect, a login: the text names it and what to do."""
    with answering(status, content, **headers) as url:
        done = call(url)

    assert 2 == done.exit_code
    assert complaint in done.stderr


def test_a_template_that_does_not_exist_ends_with_2(url: str) -> None:
    """What there is instead is told."""
    done = call(url, "--write", "--template", "nothing")

    assert 2 == done.exit_code
    assert "--template: there is no template nothing at" in done.stderr
    assert "there is 14.5-arm64, 13.6-arm64" in done.stderr


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        (("--write",), "--write needs --template"),
        (("--template", "x"), "--template: only with --write"),
        (("--node", "x", "--tag", "y"), "--tag, --node: only with --write"),
        (("--header", "x"), "is no header: write it like 'X-Team: builds'"),
        (("--timeout", "soon"), "soon"),
        (("--timeout", "0s"), "0s is no time"),
        (("--release", "1.7"), "older than 1.8.0"),
        (("--junit", "no-such-folder/x.xml"), "--junit: there is no folder"),
        (("--json", "no-such-folder/x.json"), "--json: there is no folder"),
    ],
)
def test_options_that_make_no_sense_are_refused(args: tuple[str, ...], complaint: str) -> None:
    """Before anything is sent."""
    done = call("http://127.0.0.1:1", *args)

    assert 2 == done.exit_code
    assert complaint in done.stderr


def written(folder: Path, url: str, *args: str) -> tuple[dict[str, Any], ElementTree.Element]:
    """What a run says in JSON and JUnit."""
    call(url, *QUICK, *args, "--json", str(folder / "x.json"), "--junit", str(folder / "x.xml"))
    return json.loads((folder / "x.json").read_text("utf-8")), ElementTree.parse(folder / "x.xml").getroot()


def test_the_reports_of_a_run_that_cannot_begin_say_so(tmp_path: Path) -> None:
    """Those of the run before would be taken for this one's; a password in the URL is not among it."""
    for name in ("x.json", "x.xml"):
        (tmp_path / name).write_text("all was well")
    told, report = written(tmp_path, "http://me:s3cret@127.0.0.1:1")
    (error,) = report.iter("error")

    assert (2, "read-only") == (told["status"], told["mode"])
    assert "has a user in it" in told["broken_off"]
    assert told["broken_off"] == error.text
    assert "s3cret" not in json.dumps(told)


def test_the_reports_say_what_was_found(url: str, tmp_path: Path) -> None:
    """Both have each check of each operation, with level and outcome, and the same failures."""
    told, report = written(tmp_path, url, "--release", "1.8.0")
    checks = [(each["operation"], check) for each in told["operations"] for check in each["checks"]]
    failed = {(operation, check["id"]) for operation, check in checks if check["outcome"] == "failed"}
    cases = list(report.iter("testcase"))

    assert (1, 1, "1.8.0", "read-only") == (told["format"], told["status"], told["release"], told["mode"])
    assert len(failed) == told["counts"]["failed"] > 0
    assert all(CHECKS[check["id"]].level == check["level"] for _, check in checks)
    assert len(checks) == len(cases)
    assert failed == {
        (case.get("classname"), str(case.get("name")).partition(" ")[0])
        for case in cases
        if case.find("failure") is not None
    }
    (status,) = [case.find("failure") for case in cases if case.get("name", "").startswith("status-code (must)")][1:2]
    assert status is not None
    assert "says FAIL with HTTP 400, not 200" in str(status.text)


def test_a_broken_off_run_is_an_error_in_the_report(tmp_path: Path) -> None:
    """A CI job that reads the report alone must not take it for a success."""
    with mockanka.serve("default", clock="manual") as anka:
        anka.faults.add(match={"method": "GET"}, do={"connection": "reset"}, skip=20)
        told, report = written(tmp_path, anka.url)

    assert 2 == told["status"]
    assert "3 requests in a row have no answer" in told["broken_off"]
    assert [told["broken_off"]] == [each.get("message") for each in report.iter("error")]


def test_what_no_xml_holds_is_replaced_in_the_report(tmp_path: Path) -> None:
    """A controller may send anything, and the report stays one."""
    with mockanka.serve("default", clock="manual") as anka:
        body = '{"status":"OK","message":"\\u0000\\u001b[2J","body":[]}'
        anka.faults.add(match={"method": "GET", "path": "/api/v1/group"}, do={"body": body})
        told, report = written(tmp_path, anka.url)

    assert 1 == told["status"]
    assert any(
        "\N{REPLACEMENT CHARACTER}" in str(each.text) or "u0000" in str(each.text) for each in report.iter("failure")
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_run_that_leaves_nothing_behind(number: signal.Signals) -> None:
    """In the middle of its updates it is told to end: it removes what it made, and ends with 2."""
    reached = threading.Event()

    def hear(method: str, path: str) -> None:
        if method == "PUT" and path.startswith("/api/v1/vm"):
            reached.set()

    with mockanka.serve("long-pull", clock="manual") as anka, plain_proxy(anka.url, hear) as url:
        command = [sys.executable, "-m", "mockanka", "check", url, "--write", "--template", "14.5-arm64", *QUICK]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert reached.wait(60)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
        alive = [each.state for each in anka.instances if each.state not in ("Terminating", "Terminated")]

        assert 2 == process.returncode, said
        assert "The run did not get to its end: interrupted" in said
        assert [] == alive
        assert "mockanka-check" not in str(anka.dump().get("groups"))


def test_generated_requests_are_sent_within_the_same_limits(url: str) -> None:
    """Schemathesis makes queries; they are GETs, and a controller that keeps to the contract stands them."""
    seen: list[str] = []

    with plain_proxy(url, lambda method, path: seen.append(f"{method} {path}")) as proxied:
        done = call(proxied, "--interval", "1ms")
        plain = len(seen)
        call(proxied, *QUICK)

    assert 0 == done.exit_code, done.stderr
    assert plain > len(seen) - plain + 10
    assert {"GET"} == {each.partition(" ")[0] for each in seen}


def test_without_schemathesis_a_note_says_how_to_have_it(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the rest is checked."""
    monkeypatch.setattr("mockanka.check.generated.is_there", lambda: False)
    done = call(url, "--interval", "1ms")

    assert 0 == done.exit_code
    assert "pip install 'mockanka[generated]'" in done.stderr


def test_every_option_has_an_environment_variable() -> None:
    """As the command line promises, under its own name."""
    options = [each for each in main.commands["check"].params if each.param_type_name == "option"]
    names = {
        each.opts[0].removeprefix("--").replace("-", "_").upper(): each.envvar
        for each in options
        if each.name != "help"
    }

    assert {name: f"MOCKANKA_{name}" for name in names} == names


def test_headers_of_the_environment_stand_on_lines_of_their_own() -> None:
    """So that their values may have blanks."""
    seen: list[bytes] = []

    def speak(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")

    with listening(speak, hear=seen.append) as url:
        CliRunner().invoke(main, ["check", url], env={"MOCKANKA_HEADER": "X-One: a b\nX-Two: c"})

    assert b"X-One: a b\r\n" in seen[0]
    assert b"X-Two: c\r\n" in seen[0]
