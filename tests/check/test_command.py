"""The command ``mockanka check``: options, errors, reports, signals, exit statuses."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

import mockanka
from mockanka.check.catalog import CHECKS
from mockanka.cli.main import main
from tests.check.proxied import plain_proxy
from tests.remote.servers import COMPLETE_RESPONSE, listening, web_server

QUICK = ("--interval", "1ms", "--no-generated")
INTERRUPTIBLE = """
import runpy, signal
for number in (signal.SIGINT, signal.SIGHUP):  # a shell that starts the tests in the background has them ignored
    signal.signal(number, signal.default_int_handler)
runpy.run_module("mockanka", run_name="__main__", alter_sys=True)
"""


def call(*args: str) -> Result:
    """Call the command without environment variables of mockanka."""
    environment = {name: None for name in os.environ if name.startswith("MOCKANKA_")}
    return CliRunner().invoke(main, ["check", *args], env=environment)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The URL of a controller whose clock does not move."""
    with mockanka.serve("default", clock="manual") as anka:
        yield anka.url


def test_a_conforming_controller_ends_with_0(url: str) -> None:
    """The output has a table of its operations, and the verdict."""
    result = call(url, *QUICK)

    assert 0 == result.exit_code, result.stderr
    assert "" == result.stdout
    assert f"{url} checked against release 1.50.1, read-only" in result.stderr
    assert "listVms" in result.stderr
    assert "It conforms to the contract: " in result.stderr


def test_a_failure_ends_with_1_and_names_its_place(url: str) -> None:
    """Each failure has its check, its level, the place in the document and in the response, and the request."""
    result = call(url, *QUICK, "--release", "1.8.0")

    assert 1 == result.exit_code
    assert (
        "failed listVms status-code (must) and 4 more operations openapi/controller.yaml#/paths/~1api~1v1~1vm/get\n"
        "  says FAIL with HTTP 400, not 200 (5 times) [GET /api/v1/vm?id="
    ) in result.stderr
    assert "noted getStatus release (note)\n  the status says 1.50.1-" in result.stderr
    assert "It does not conform to the contract: " in result.stderr


def test_an_unknown_release_is_replaced_by_the_nearest_lower_one(url: str) -> None:
    """A remark says so."""
    result = call(url, *QUICK, "--release", "1.50.7")

    assert "release 1.50.7 is not known; it is checked against 1.50.1" in result.stderr


@pytest.mark.parametrize("url", ["", "anka", "ftp://anka"])
def test_a_malformed_url_ends_with_2(url: str) -> None:
    """The error shows the form of a URL."""
    result = call(url)

    assert 2 == result.exit_code
    assert "is not " in result.stderr
    assert "write it like http://anka.example:8090" in result.stderr


def test_a_host_that_does_not_resolve_ends_with_2() -> None:
    """The error names the host."""
    result = call("http://nowhere.invalid")

    assert (2, "cannot check: the host nowhere.invalid does not resolve: is its name right?\n") == (
        result.exit_code,
        result.stderr,
    )


def test_a_closed_port_ends_with_2() -> None:
    """The error names host and port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    result = call(f"http://127.0.0.1:{port}")

    assert 2 == result.exit_code
    assert f"nothing listens at 127.0.0.1 port {port}: is the controller up" in result.stderr


def test_a_self_signed_certificate_ends_with_2() -> None:
    """The error names the two options that help."""
    with listening(lambda connection: connection.sendall(COMPLETE_RESPONSE), tls=True) as url:
        result = call(url)

    assert 2 == result.exit_code
    assert "is not trusted (self-signed certificate): give --ca FILE" in result.stderr
    assert "or --insecure" in result.stderr


@pytest.mark.parametrize(
    ("status", "content", "headers", "complaint"),
    [
        (200, b"<html></html>", {"Content_Type": "text/html"}, "HTTP 200 and text/html without an envelope"),
        (404, b"no", {"Content_Type": "text/plain"}, "the web server there is not a controller"),
        (302, b"", {"Location": "https://login.example/"}, "a redirect to https://login.example/: give the URL of"),
        (
            401,
            b'{"status":"FAIL","message":"Authentication Required"}',
            {"Content_Type": "application/json"},
            "HTTP 401 (Authentication Required): authentication is required; give --token",
        ),
    ],
)
def test_an_unusable_controller_ends_with_2(
    status: int, content: bytes, headers: dict[str, str], complaint: str
) -> None:
    """For a web page, a redirect and a login the error says what was received and what to do."""
    with web_server(status, content, **headers) as url:
        result = call(url)

    assert 2 == result.exit_code
    assert complaint in result.stderr


def test_a_missing_template_ends_with_2(url: str) -> None:
    """The error lists the templates."""
    result = call(url, "--write", "--template", "nothing")

    assert 2 == result.exit_code
    assert "--template: there is no template nothing at" in result.stderr
    assert "there is 14.5-arm64, 13.6-arm64" in result.stderr


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        (("--write",), "--write needs --template"),
        (("--template", "x"), "--template: only with --write"),
        (("--node", "x", "--tag", "y"), "--tag, --node: only with --write"),
        (("--header", "x"), "is not a header: write it like 'X-Team: builds'"),
        (("--timeout", "soon"), "soon"),
        (("--timeout", "0s"), "0s is no time"),
        (("--release", "1.7"), "older than 1.8.0"),
        (("--junit", "no-such-folder/x.xml"), "--junit: there is no folder"),
        (("--json", "no-such-folder/x.json"), "--json: there is no folder"),
    ],
)
def test_invalid_options_are_rejected(args: tuple[str, ...], complaint: str) -> None:
    """They are rejected before a request is sent."""
    result = call("http://127.0.0.1:1", *args)

    assert 2 == result.exit_code
    assert complaint in result.stderr


def reports(folder: Path, url: str, *args: str) -> tuple[dict[str, Any], ElementTree.Element]:
    """Return the reports of a run in JSON and JUnit."""
    call(url, *QUICK, *args, "--json", str(folder / "x.json"), "--junit", str(folder / "x.xml"))
    return json.loads((folder / "x.json").read_text("utf-8")), ElementTree.parse(folder / "x.xml").getroot()


def test_a_run_that_cannot_start_overwrites_the_reports(tmp_path: Path) -> None:
    """Both reports have the error, without the password in the URL."""
    for name in ("x.json", "x.xml"):
        (tmp_path / name).write_text("all was well")
    data, junit = reports(tmp_path, "http://me:s3cret@127.0.0.1:1")
    (error,) = junit.iter("error")

    assert (2, "read-only") == (data["status"], data["mode"])
    assert "has a user in it" in data["broken_off"]
    assert data["broken_off"] == error.text
    assert "s3cret" not in json.dumps(data)


def test_the_reports_have_the_results(url: str, tmp_path: Path) -> None:
    """Both have every check of every operation, with level and outcome, and the same failures."""
    data, junit = reports(tmp_path, url, "--release", "1.8.0")
    checks = [(operation["operation"], check) for operation in data["operations"] for check in operation["checks"]]
    failed = {(operation, check["id"]) for operation, check in checks if check["outcome"] == "failed"}
    cases = list(junit.iter("testcase"))

    assert (1, 1, "1.8.0", "read-only") == (data["format"], data["status"], data["release"], data["mode"])
    assert len(failed) == data["counts"]["failed"] > 0
    assert all(CHECKS[check["id"]].level == check["level"] for _, check in checks if check["outcome"] == "passed")
    assert len(checks) == len(cases)
    assert failed == {
        (case.get("classname"), str(case.get("name")).partition(" ")[0])
        for case in cases
        if case.find("failure") is not None
    }
    (status,) = [case.find("failure") for case in cases if case.get("name", "").startswith("status-code (must)")][1:2]
    assert status is not None
    assert "says FAIL with HTTP 400, not 200" in str(status.text)


def test_a_run_that_does_not_finish_is_an_error_in_the_reports(tmp_path: Path) -> None:
    """A CI job that only reads the report does not take it for a success."""
    with mockanka.serve("default", clock="manual") as anka:
        anka.faults.add(match={"method": "GET"}, do={"connection": "reset"}, skip=20)
        data, junit = reports(tmp_path, anka.url)

    assert 2 == data["status"]
    assert "3 requests in a row have no response" in data["broken_off"]
    assert [data["broken_off"]] == [error.get("message") for error in junit.iter("error")]


def test_characters_that_xml_cannot_contain_are_replaced(tmp_path: Path) -> None:
    """The report is well-formed, whatever the controller sends."""
    with mockanka.serve("default", clock="manual") as anka:
        body = '{"status":"OK","message":"\\u0000\\u001b[2J","body":[]}'
        anka.faults.add(match={"method": "GET", "path": "/api/v1/group"}, do={"body": body})
        data, junit = reports(tmp_path, anka.url)

    assert 1 == data["status"]
    assert any(
        "\N{REPLACEMENT CHARACTER}" in str(failure.text) or "u0000" in str(failure.text)
        for failure in junit.iter("failure")
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_run_and_its_objects_are_removed(number: signal.Signals) -> None:
    """The signal comes during the updates; the run removes its objects and ends with 2."""
    updating = threading.Event()

    def on_request(method: str, path: str) -> None:
        if method == "PUT" and path.startswith("/api/v1/vm"):
            updating.set()

    with mockanka.serve("long-pull", clock="manual") as anka, plain_proxy(anka.url, on_request) as url:
        command = [sys.executable, "-c", INTERRUPTIBLE, "check", url, "--write", "--template", "14.5-arm64", *QUICK]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            try:
                assert updating.wait(60)
                process.send_signal(number)
                _, output = process.communicate(timeout=60)
            finally:
                process.kill()
        alive = [instance.state for instance in anka.instances if instance.state not in ("Terminating", "Terminated")]

        assert 2 == process.returncode, output
        assert "The run did not finish: interrupted" in output
        assert [] == alive
        assert "mockanka-check" not in str(anka.dump().get("groups"))


def test_generated_requests_are_gets(url: str) -> None:
    """Schemathesis generates additional queries, which a conforming controller passes."""
    requests: list[str] = []

    with plain_proxy(url, lambda method, path: requests.append(f"{method} {path}")) as proxied:
        result = call(proxied, "--interval", "1ms")
        with_generated = len(requests)
        call(proxied, *QUICK)

    assert 0 == result.exit_code, result.stderr
    assert with_generated > len(requests) - with_generated + 10
    assert {"GET"} == {request.partition(" ")[0] for request in requests}


def test_without_schemathesis_a_remark_says_how_to_install_it(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All other checks are made."""
    monkeypatch.setattr("mockanka.check.generated.is_installed", lambda: False)
    result = call(url, "--interval", "1ms")

    assert 0 == result.exit_code
    assert "pip install 'mockanka[generated]'" in result.stderr


def test_every_option_has_an_environment_variable() -> None:
    """The variable is named after the option."""
    options = [option for option in main.commands["check"].params if option.param_type_name == "option"]
    names = {
        option.opts[0].removeprefix("--").replace("-", "_").upper(): option.envvar
        for option in options
        if option.name != "help"
    }

    assert {name: f"MOCKANKA_{name}" for name in names} == names


def test_headers_in_the_environment_are_separated_by_line_breaks() -> None:
    """Their values may contain spaces."""
    requests: list[bytes] = []

    def respond(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")

    with listening(respond, on_request=requests.append) as url:
        CliRunner().invoke(main, ["check", url], env={"MOCKANKA_HEADER": "X-One: a b\nX-Two: c"})

    assert b"X-One: a b\r\n" in requests[0]
    assert b"X-Two: c\r\n" in requests[0]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
@pytest.mark.parametrize("option", ["--json", "--junit"])
def test_a_report_that_cannot_be_written_is_named(tmp_path: Path, option: str) -> None:
    report = tmp_path / "report"
    report.symlink_to("/dev/full")
    with mockanka.serve("empty", clock="manual") as anka:
        done = call(anka.url, *QUICK, option, str(report))

    assert 2 == done.exit_code
    assert f"cannot write {report}: No space left on device" in done.stderr


def test_one_report_is_written_if_the_other_cannot_be(url: str, tmp_path: Path) -> None:
    """The JUnit report is that of this run, and the command ends with 2 for the JSON."""
    junit = tmp_path / "junit.xml"
    result = call(url, *QUICK, "--json", "/dev/full", "--junit", str(junit))

    assert (2, True) == (result.exit_code, junit.exists())
    assert "cannot write /dev/full: No space left on device" in result.stderr
