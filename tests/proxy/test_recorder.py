"""What the proxy knows of the traffic: counted, bounded, and kept also when something goes wrong."""

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
from mockanka.core.release import DEFAULT_RELEASE, Release
from mockanka.proxy import in_flight, recorder, relay
from mockanka.proxy.proxy import Asking, target_of
from mockanka.proxy.recorder import Book
from mockanka.proxy.relay import HEADER
from mockanka.recording.exchanges import Recorded
from mockanka.recording.har import Writer
from mockanka.remote.client import ClientOptions
from mockanka.serving import url_of
from tests.proxy.harness import conversation, exactly, listening, passing
from tests.proxy.test_proxy import GET, answer, as_much_as_goes
from tests.server.http_client import receive_all as hear
from tests.server.http_client import request_bytes as head
from tests.server.http_client import send_request as ask

OLD = Release.parse("1.8.0")


def stray(number: int = 0) -> Recorded:
    return Recorded(Exchange("GET", f"/api/v1/nowhere/{number}", status=404), url=f"http://x/{number}")


def kept(use: Callable[[Book], None], release: Any = OLD, writer: Writer | None = None) -> dict[str, Any]:
    """What a book reports at the end that was used like this."""

    async def go() -> dict[str, Any]:
        made = Book("http://x", release, lambda text: None, writer)
        use(made)
        return await made.close()

    return asyncio.run(go())


def several(count: int, alike: bool = False) -> Callable[[Book], None]:
    """That many exchanges with a client's fault in each, the same one or others."""

    def use(made: Book) -> None:
        for number in range(count):
            made.submit(partial(stray, 0 if alike else number), 0)

    return use


def test_what_is_too_varied_is_only_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many different findings some are kept apart, the others are counted together, and all count as violations."""
    monkeypatch.setattr(recorder, "MOST", 3)
    report = kept(several(5))

    assert (5, 3, 2) == (report["client"], len(report["findings"]), report["more"])


def test_a_finding_names_some_exchanges_and_counts_all() -> None:
    """The first twenty by their place in the recording."""
    report = kept(several(50, alike=True))
    (finding,) = report["findings"]

    assert (50, list(range(20))) == (finding["count"], finding["entries"])


def test_what_cannot_be_judged_in_time_is_recorded_all_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Once it is to stop, a book does not wait for ever; the recording has every exchange."""
    monkeypatch.setattr(recorder, "PATIENCE", 0.01)
    hurries = threading.Event()

    def slow() -> Release:
        hurries.wait(5)
        return OLD

    def use(made: Book) -> None:
        several(3)(made)
        asyncio.get_running_loop().call_later(0.1, hurries.set)

    report = kept(use, slow, Writer(tmp_path / "x.har", "http://x"))
    entries = json.loads((tmp_path / "x.har").read_text())["log"]["entries"]

    assert (3, 2, 1) == (report["exchanges"], report["unjudged"], report["client"])
    assert [True, False, False] == ["_violations" in each for each in entries]


def test_a_fault_of_the_judge_stops_nothing(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, the exchange counts as not judged, and the next one is."""

    def fails(recorded: Recorded, contract: object) -> list[Any]:
        if recorded.url.endswith("/0"):
            raise RuntimeError("oops")
        return []

    monkeypatch.setattr(recorder, "verdict", fails)
    report = kept(several(2))

    assert (2, 1) == (report["exchanges"], report["unjudged"])
    assert "please report it" in caplog.text


def test_a_full_book_has_clients_wait_and_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests go on as there is room, in order, and each is judged."""
    monkeypatch.setattr(recorder, "FULL_ITEMS", 0)
    with conversation(GET) as (client, target, proxy):
        for _ in range(20):
            assert GET == exactly(target, len(GET))
            target.sendall(answer())
            assert answer() == exactly(client, len(answer()))
            client.sendall(GET)
        report = proxy.report()

    assert (20, 0) == (report["exchanges"], report["unjudged"])


@pytest.mark.parametrize("annotate", [False, True])
def test_a_body_that_is_too_large_to_keep_passes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, annotate: bool
) -> None:
    """Whichever of the two it is; neither is judged, and the recording says why there is nothing."""
    monkeypatch.setattr(in_flight, "MAX_BODY", 1000)
    small, large = head("PUT", "/api/v1/vm", b"{"), head("PUT", "/api/v1/vm", b"x" * 1001)
    file = tmp_path / "x.har"
    with conversation(small, har=file, annotate=annotate) as (client, target, proxy):
        exactly(target, len(small))
        target.sendall(answer(b"x" * 100_000))
        heard = exactly(client, len(answer(b"x" * 100_000)))
        client.sendall(large)
        asked = exactly(target, len(large))
        target.sendall(answer())
        target.close()
        last, _ = hear(client)
        report = proxy.stop()
    entries = json.loads(file.read_text())["log"]["entries"]

    assert (answer(b"x" * 100_000), large, answer()) == (heard, asked, last)
    assert HEADER.encode() not in heard + last
    assert (2, []) == (report["exchanges"], report["findings"])
    assert ["1 bytes were sent, 100000 came back", "1001 bytes were sent, 29 came back"] == [
        each["_detail"] for each in entries
    ]


def test_no_more_is_read_than_can_be_kept_while_an_answer_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers behind one that is held back to be annotated wait at the target, not in the proxy."""
    monkeypatch.setattr(in_flight, "MAX_BODY", 1000)
    judged = threading.Event()
    monkeypatch.setattr(recorder, "verdict", lambda *_: [judged.wait(10)][1:])
    with conversation(GET + GET, annotate=True) as (client, target, _proxy):
        exactly(target, len(GET + GET))
        whole = b"x" * 64_000_000
        target.sendall(answer() + f"HTTP/1.1 200 OK\r\ncontent-length: {len(whole)}\r\n\r\n".encode())
        target.settimeout(0.3)
        sent = as_much_as_goes(target, whole)
        judged.set()
        heard = exactly(client, len(answer()))

    assert answer() == heard
    assert 0 < sent < 40_000_000


def test_a_release_that_nobody_tells_is_todays() -> None:
    """A target that is down when it is asked at last: judged by today's release, and said so."""
    said: list[str] = []
    asking = Asking(target_of("http://127.0.0.1:1", ClientOptions()), ClientOptions(), said.append)

    assert (None, DEFAULT_RELEASE) == (asking.now(), asking.later())
    assert [False, True] == [
        each.startswith(f"judged by release {DEFAULT_RELEASE}, for nothing listens at") for each in said
    ]


def test_a_target_that_takes_no_connection_in_time_is_a_502(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that swallows what is sent is not waited for without end."""
    monkeypatch.setattr(relay, "CONNECT_IN", 0.0)
    with listening() as port, passing(url_of(port)) as proxy:
        refusal = ask(proxy.url)

    assert 502 == refusal.status
    assert refusal.json["detail"].endswith("it takes no connection within 0 s")
