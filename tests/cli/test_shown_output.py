"""Output of commands and logs: text from outside has none of the characters that a terminal obeys."""

from __future__ import annotations

import json
import logging
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

import mockanka
from mockanka.cli import proxy
from mockanka.cli.common import EscapingFormatter
from mockanka.cli.main import main
from tests.remote.servers import listening

EVIL = "\x07\x1b[2J\x1b]0;x\x9b\x7f\r\u202e"


def assert_harmless(output: str) -> None:
    """Assert that each line of an output can be printed, and that the text in it was shown."""
    lines = output.splitlines()
    assert lines
    assert all(line.isprintable() for line in lines), [line for line in lines if not line.isprintable()]
    assert "\\x1b[2J" in output


def test_check_shows_no_control_characters(tmp_path: Path) -> None:
    """Neither does it with values of a controller, nor are they in its reports."""
    body = json.dumps({"status": EVIL, "message": EVIL, "body": [], EVIL: EVIL})
    with mockanka.serve("default", clock="manual") as anka:
        anka.faults.add(match={"method": "GET", "path": "/api/v1/group"}, do={"body": body})
        anka.faults.add(match={"method": "GET", "path": "/api/v1/node"}, do={"status": 403, "body": body})
        reports = "--json", str(tmp_path / "x.json"), "--junit", str(tmp_path / "x.xml")
        result = CliRunner().invoke(main, ["check", anka.url, "--interval", "1ms", "--no-generated", *reports])

    assert 1 == result.exit_code
    assert_harmless(result.stderr)
    assert_harmless((tmp_path / "x.json").read_text("utf-8"))
    assert all(line.strip("\t").isprintable() for line in (tmp_path / "x.xml").read_text("utf-8").splitlines())


@pytest.mark.parametrize("command", ["check", "snapshot"])
def test_a_refusal_shows_no_control_characters(command: str) -> None:
    """The message of a controller that admits nobody is part of the error."""
    content = json.dumps({"status": "FAIL", "message": EVIL}).encode()

    def respond(connection: socket.socket) -> None:
        head = b"HTTP/1.1 401 No\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(content)
        connection.sendall(head + content)

    with listening(respond) as url:
        result = CliRunner().invoke(main, [command, url])

    assert 2 == result.exit_code
    assert_harmless(result.stderr)


def test_a_checked_recording_shows_no_control_characters(tmp_path: Path) -> None:
    """Not even in paths, which are the client's."""
    request = {"method": f"GET{EVIL}", "url": f"http://anka:8090/api/v1/vm{EVIL}?id={EVIL}", "headers": []}
    response = {"status": 200, "headers": [], "content": {"text": json.dumps({EVIL: EVIL, "status": EVIL})}}
    entry = {"startedDateTime": "2026-01-01T00:00:00Z", "time": 1, "request": request, "response": response}
    path = tmp_path / "x.har"
    path.write_text(json.dumps({"log": {"version": "1.2", "entries": [entry]}}), "utf-8")
    result = CliRunner().invoke(main, ["check", "--har", str(path)])

    assert result.exit_code in (1, 2), result.stderr
    assert_harmless(result.stderr)


def test_validate_shows_no_control_characters(tmp_path: Path) -> None:
    """Keys and values of a scenario are part of its errors."""
    path = tmp_path / "x.yaml"
    path.write_text(json.dumps({EVIL: 1, "nodes": [{"name": EVIL, "slots": EVIL}]}), "utf-8")
    result = CliRunner().invoke(main, ["scenario", "validate", str(path)])

    assert 2 == result.exit_code
    assert_harmless(result.stderr)


def test_logs_have_no_control_characters() -> None:
    """A record keeps its lines, those of a traceback."""
    try:
        raise ValueError(EVIL)
    except ValueError as error:
        info = type(error), error, error.__traceback__
    record = logging.LogRecord("mockanka", logging.ERROR, __file__, 1, "GET %s", (EVIL,), info)
    text = EscapingFormatter().format(record)

    assert_harmless(text)
    assert "Traceback (most recent call last):" in text.splitlines()


def test_the_log_of_the_proxy_has_a_line_for_each_message(capsys: pytest.CaptureFixture[str]) -> None:
    """A line break in a finding cannot look like another message."""
    proxy._log(f"client (must) in GET /{EVIL}\nmockanka: all is well")
    output = capsys.readouterr().err

    assert_harmless(output)
    assert 1 == len(output.splitlines())
