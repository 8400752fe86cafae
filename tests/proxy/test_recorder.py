"""The recorder: it checks, counts and writes exchanges, within limits, and also when something fails."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mockanka.contract.exchange import Exchange
from mockanka.core.release import Release
from mockanka.proxy import in_flight, recorder
from mockanka.proxy.recorder import Recorder
from mockanka.proxy.relay import ANNOTATION_HEADER
from mockanka.recording.exchanges import IncompleteReason, RecordedExchange
from mockanka.recording.har import HarWriter
from tests.proxy.harness import (
    GET,
    connect_through_proxy,
    receive_exactly,
    response_bytes,
    send_until_blocked,
)
from tests.server.http_client import receive_all, request_bytes

OLD_RELEASE = Release.parse("1.8.0")


def unknown_operation(number: int = 0) -> RecordedExchange:
    """Return an exchange with a violation by the client, which differs with the number."""
    exchange = Exchange("GET", f"/api/v1/nowhere/{number}", status=404)
    return RecordedExchange(exchange, url=f"http://x/{number}")


def report_after(
    use: Callable[[Recorder], None], release: Any = OLD_RELEASE, writer: HarWriter | None = None
) -> dict[str, Any]:
    """Return the last report of a recorder that is used and closed."""

    async def run() -> dict[str, Any]:
        recorder = Recorder("http://x", release, lambda text: None, writer)
        use(recorder)
        return await recorder.close()

    return asyncio.run(run())


def submit_violations(count: int, same: bool = False) -> Callable[[Recorder], None]:
    """Return a use of a recorder that submits exchanges with the same violation or with different ones."""

    def use(recorder: Recorder) -> None:
        for number in range(count):
            recorder.submit(partial(unknown_operation, 0 if same else number), 0)

    return use


def test_findings_beyond_the_limit_are_only_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are in the number of violations and in ``more``."""
    monkeypatch.setattr(recorder, "MAX_DISTINCT_FINDINGS", 3)
    report = report_after(submit_violations(5))

    assert (5, 3, 2) == (report["client"], len(report["findings"]), report["more"])


def test_a_finding_names_its_first_exchanges_and_counts_all() -> None:
    """It has the places of the first twenty in the recording."""
    report = report_after(submit_violations(50, same=True))
    (finding,) = report["findings"]

    assert (50, list(range(20))) == (finding["count"], finding["entries"])


def test_exchanges_that_are_not_checked_in_time_are_recorded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A recorder that is closed does not check without end, but writes every exchange."""
    monkeypatch.setattr(recorder, "CHECKING_TIMEOUT", 0.01)
    time_is_over = threading.Event()

    def get_release_slowly() -> Release:
        time_is_over.wait(5)
        return OLD_RELEASE

    def use(recorder: Recorder) -> None:
        submit_violations(3)(recorder)
        asyncio.get_running_loop().call_later(0.1, time_is_over.set)

    report = report_after(use, get_release_slowly, HarWriter(tmp_path / "x.har", "http://x"))
    entries = json.loads((tmp_path / "x.har").read_text())["log"]["entries"]

    assert (3, 2, 1) == (report["exchanges"], report["unjudged"], report["client"])
    assert [True, False, False] == ["_violations" in entry for entry in entries]


def test_an_error_in_a_check_is_logged(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """The exchange counts as not checked, and the next one is checked."""

    def fail_first(recorded: RecordedExchange, contract: object) -> list[Any]:
        if recorded.url.endswith("/0"):
            raise RuntimeError("oops")
        return []

    monkeypatch.setattr(recorder, "find_violations", fail_first)
    report = report_after(submit_violations(2))

    assert (2, 1) == (report["exchanges"], report["unjudged"])
    assert "please report it" in caplog.text


def test_exchanges_that_ended_differently_are_checked_separately() -> None:
    """A connection that the client left is no violation; the same request without a response is one."""

    def use(recorder: Recorder) -> None:
        for reason in (IncompleteReason.CLIENT_DISCONNECTED, IncompleteReason.NO_RESPONSE):
            recorder.submit(
                partial(RecordedExchange, Exchange("GET", "/api/v1/vm", status=0), incomplete=reason, url="http://x"), 0
            )

    report = report_after(use)

    assert [("no-answer", [1])] == [(finding["check"], finding["entries"]) for finding in report["findings"]]


def test_clients_wait_for_a_full_recorder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their requests are forwarded in order when there is room, and every exchange is checked."""
    monkeypatch.setattr(recorder, "MAX_QUEUED_EXCHANGES", 0)
    with connect_through_proxy(GET) as (client, target, proxy):
        for _ in range(20):
            assert GET == receive_exactly(target, len(GET))
            target.sendall(response_bytes())
            assert response_bytes() == receive_exactly(client, len(response_bytes()))
            client.sendall(GET)
        report = proxy.report()

    assert (20, 0) == (report["exchanges"], report["unjudged"])


@pytest.mark.parametrize("annotate", [False, True])
def test_a_body_that_is_too_large_is_forwarded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, annotate: bool) -> None:
    """The exchange is not checked, and the recording says why; it may be the request's body or the response's."""
    monkeypatch.setattr(in_flight, "MAX_RECORDED_BODY", 1000)
    small, large = request_bytes("PUT", "/api/v1/vm", b"{"), request_bytes("PUT", "/api/v1/vm", b"x" * 1001)
    large_response = response_bytes(b"x" * 100_000)
    file = tmp_path / "x.har"
    with connect_through_proxy(small, har=file, annotate=annotate) as (client, target, proxy):
        receive_exactly(target, len(small))
        target.sendall(large_response)
        first_response = receive_exactly(client, len(large_response))
        client.sendall(large)
        second_request = receive_exactly(target, len(large))
        target.sendall(response_bytes())
        target.close()
        second_response, _ = receive_all(client)
        report = proxy.stop()
    entries = json.loads(file.read_text())["log"]["entries"]

    assert (large_response, large, response_bytes()) == (first_response, second_request, second_response)
    assert ANNOTATION_HEADER.encode() not in first_response + second_response
    assert (2, []) == (report["exchanges"], report["findings"])
    assert ["1 bytes were sent, 100000 came back", "1001 bytes were sent, 29 came back"] == [
        entry["_detail"] for entry in entries
    ]


def test_responses_wait_at_the_target_while_one_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind a response that is withheld to be annotated the proxy does not read without limit."""
    monkeypatch.setattr(in_flight, "MAX_RECORDED_BODY", 1000)
    may_check = threading.Event()
    monkeypatch.setattr(recorder, "find_violations", lambda *_: [may_check.wait(10)][1:])
    with connect_through_proxy(GET + GET, annotate=True) as (client, target, _proxy):
        receive_exactly(target, len(GET + GET))
        body = b"x" * 64_000_000
        target.sendall(response_bytes() + f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\n\r\n".encode())
        target.settimeout(0.3)
        sent = send_until_blocked(target, body)
        may_check.set()
        received = receive_exactly(client, len(response_bytes()))

    assert response_bytes() == received
    assert 0 < sent < 40_000_000
