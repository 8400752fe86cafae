"""Recordings: what is written can be read again and judged the same, and what is none is refused with the reason."""

from __future__ import annotations

import base64
import gzip
import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mockanka
from mockanka.contract.exchange import Exchange
from mockanka.core.release import DEFAULT_RELEASE, Release
from mockanka.recording.exchanges import Broken, Recorded
from mockanka.recording.har import (
    REDACTED,
    NoRecording,
    Recording,
    Writer,
    entry_of,
    judge_recording,
    load,
    read,
    recorded_of,
)
from tests.proxy.harness import conversation, exactly, passing
from tests.proxy.test_proxy import GET, answer
from tests.server.http_client import STATUS, VM
from tests.server.http_client import receive_all as hear
from tests.server.http_client import request_bytes as head
from tests.server.http_client import send_request as ask

JSON = "application/json"
TEXT = st.text(st.characters(codec="ascii", exclude_categories=["C"]), max_size=12)
HEADERS = st.lists(st.tuples(st.sampled_from(["Content-Type", "X-A", "x-a", "Location"]), TEXT), max_size=4)


def joined(headers: list[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in headers:
        found[name.lower()] = f"{found[name.lower()]}, {value}" if name.lower() in found else value
    return found


@st.composite
def recordeds(draw: st.DrawFn) -> Recorded:
    """Any exchange that a proxy may see."""
    answered = draw(HEADERS)
    path, query = (
        draw(st.sampled_from(["/", "/api/v1/vm", "/a%20b"])),
        draw(st.sampled_from(["", "id=x", "a=%7e&a&=b"])),
    )
    broken = draw(st.none() | st.sampled_from(Broken))
    content = draw(st.binary(max_size=20) | st.text(max_size=20).map(str.encode))
    exchange = Exchange(
        draw(st.sampled_from(["GET", "POST", "FROB"])),
        path,
        query,
        draw(st.binary(max_size=20) | st.text(max_size=20).map(str.encode)),
        draw(st.integers(100, 599)),
        joined(answered),
        content,
        draw(st.integers(0, 10**9)) / 10**6,
    )
    return Recorded(
        exchange,
        at=draw(st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))),
        url=f"http://x:1{path}{'?' + query if query else ''}",
        asked=draw(HEADERS),
        answered=answered,
        reason=draw(TEXT),
        waited=draw(st.integers(0, 10**9)) / 10**6,
        size=draw(st.integers(0, 99)),
        broken=broken,
        detail=draw(TEXT) if broken else "",
    )


@given(recordeds())
def test_an_entry_says_all_of_an_exchange(recorded: Recorded) -> None:
    """What is written and read again, through JSON, is equal: bodies of any bytes, times, headers, what broke."""
    written = json.loads(json.dumps(entry_of(recorded)))

    assert recorded == recorded_of(written)


def test_an_entry_has_what_har_requires() -> None:
    """Each field that HAR 1.2 does not call optional is there, so that other programs take it."""
    entry = entry_of(Recorded(Exchange("POST", "/", "a=b", b"{}", response_content=b"\xff"), url="http://x/?a=b"), [])

    assert {"startedDateTime", "time", "request", "response", "cache", "timings"} <= entry.keys()
    assert {"method", "url", "httpVersion", "cookies", "headers", "queryString", "headersSize", "bodySize"} <= entry[
        "request"
    ].keys()
    assert {"mimeType", "params", "text"} <= entry["request"]["postData"].keys()
    assert {
        *("status", "statusText", "httpVersion", "cookies", "headers", "content", "redirectURL"),
        *("headersSize", "bodySize"),
    } <= entry["response"].keys()
    assert {"size", "mimeType", "text", "encoding"} <= entry["response"]["content"].keys()
    assert {"send", "wait", "receive"} <= entry["timings"].keys()
    assert ([{"name": "a", "value": "b"}], []) == (entry["request"]["queryString"], entry["_violations"])


# ---- through the proxy ---------------------------------------------------------------------------------------------


def test_a_recording_is_judged_again_the_same(tmp_path: Path) -> None:
    """What the proxy found, entry by entry, is found again in its file without any controller."""
    file = tmp_path / "x.har"
    with mockanka.serve("default", clock="manual", seed=1) as anka, passing(anka.url, har=file) as proxy:
        anka.faults.add(match={"path": "/api/v1/node"}, do={"connection": "reset"}, times=1)
        anka.faults.add(match={"path": "/api/v1/group"}, do={"body": "<p>\u00e9"}, times=1)
        for method, target, body in (
            ("GET", STATUS, None),
            ("GET", f"{VM}?colour=red", None),
            ("POST", VM, {"count": "many"}),
            ("GET", "/api/v1/group", None),
            ("GET", "/nowhere", None),
            ("DELETE", VM, {"id": "unknown"}),
        ):
            ask(proxy.url, method, target, body)
        with pytest.raises(ConnectionError):
            ask(proxy.url, target="/api/v1/node")
        report = proxy.stop()
    written = json.loads(file.read_text())["log"]["entries"]
    again = [[asdict(each) for each in judged.violations] for judged in judge_recording(load(file))]

    assert [each["_violations"] for each in written] == json.loads(json.dumps(again))
    assert [False, True, True, True, True, False, True] == [bool(each) for each in again]
    assert sum(len(each) for each in again) == sum(each["count"] for each in report["findings"])
    assert {1, 2, 3, 4, 6} == {entry for each in report["findings"] for entry in each["entries"]}
    assert [STATUS, VM, VM, "/api/v1/group", "/nowhere", VM, "/api/v1/node"] == [each.path for each in read(file)]


def test_a_recording_names_its_target_and_its_release(tmp_path: Path) -> None:
    """By that release it is judged again, unless another is given."""
    file = tmp_path / "x.har"
    with mockanka.serve("default", clock="manual", release="1.8.0") as anka:
        with passing(anka.url, "1.8.0", file) as proxy:
            ask(proxy.url, target=f"{VM}?id=unknown")
            during = file.exists()
        recording = load(file)
        target = json.loads(file.read_text())["log"]["_target"]

        assert (anka.url, Release.parse("1.8.0"), False) == (target, recording.release, during)
    assert [[]] == [each.violations for each in judge_recording(recording)]
    assert [["status-code"]] == [
        [each.check for each in judged.violations] for judged in judge_recording(recording, DEFAULT_RELEASE)
    ]
    assert [file] == list(tmp_path.iterdir())


@pytest.mark.parametrize("keep", [False, True])
def test_secrets_are_not_recorded_unless_asked(tmp_path: Path, keep: bool) -> None:
    """Values of headers that let somebody in are redacted, of requests and of answers; others are as they were."""
    secret = "Authorization proxy-authorization Cookie X-Auth-Token X-Api-Key Set-Cookie My-Secret".split()
    headers = [(name, "s3cr3t") for name in secret] + [("X-Team", "builds")]
    file = tmp_path / "x.har"
    writer = Writer(file, "http://x", keep_secrets=keep)
    writer.add(Recorded(Exchange("GET", "/"), url="http://x/", asked=headers, answered=headers), [])
    writer.close(None)
    (entry,) = json.loads(file.read_text())["log"]["entries"]
    values = {each["value"] for side in ("request", "response") for each in entry[side]["headers"]}

    assert ({"s3cr3t", "builds"} if keep else {REDACTED, "builds"}) == values
    assert keep == ("s3cr3t" in file.read_text())


def test_bodies_are_recorded_as_they_were_before_compression(tmp_path: Path) -> None:
    """Text is text, what is none stands in base64, and what was compressed says by how much."""
    file, content = tmp_path / "x.har", b'{"status":"OK","message":"","body":[]}\n'
    asked = head("POST", VM, b"\xff\x00")
    with conversation(asked, har=file) as (client, target, proxy):
        exactly(target, len(asked))
        target.sendall(answer(gzip.compress(content), more="Content-Encoding: gzip\r\n"))
        target.close()
        hear(client)
        proxy.stop()
    (entry,) = json.loads(file.read_text())["log"]["entries"]
    (exchange,) = read(file)

    assert content.decode() == entry["response"]["content"]["text"]
    assert len(content) - len(gzip.compress(content)) == entry["response"]["content"]["compression"]
    assert ("base64", base64.b64encode(b"\xff\x00").decode()) == (
        entry["request"]["postData"]["_encoding"],
        entry["request"]["postData"]["text"],
    )
    assert (b"\xff\x00", content) == (exchange.request_content, exchange.response_content)


def test_what_is_open_when_the_proxy_stops_is_recorded(tmp_path: Path) -> None:
    """A request without an answer stands in the file, and says why it has none."""
    file = tmp_path / "x.har"
    with conversation(GET, har=file) as (_, target, proxy):
        exactly(target, len(GET))
        proxy.stop()
    (entry,) = json.loads(file.read_text())["log"]["entries"]

    assert (0, str(Broken.STOPPED), []) == (entry["response"]["status"], entry["_error"], entry["_violations"])


# ---- other programs' files, and none -------------------------------------------------------------------------------


def foreign(*entries: dict[str, Any], **log: object) -> dict[str, Any]:
    return {"log": {"version": "1.2", "creator": {"name": "Browser", "version": "1"}, "entries": entries, **log}}


def browsed(url: str, text: str, status: int = 200, **more: object) -> dict[str, Any]:
    """An entry as a browser saves it, with no more than we read."""
    content = {"size": len(text), "mimeType": JSON, "text": text}
    headers = [{"name": "Content-Type", "value": JSON}]
    return {
        "request": {"method": "GET", "url": url, "headers": []},
        "response": {"status": status, "headers": headers, "content": content},
        **more,
    }


VERSION = '{"status":"OK","message":"","body":{"status":"Running","version":"1.24.0-cafe"}}\n'
FAILED = '{"status":"FAIL","message":"Not found"}\n'


def test_a_browsers_recording_is_read(tmp_path: Path) -> None:
    """Its release is the one that a status in it tells; entries without an answer or a body as far as it goes."""
    left_out = browsed("http://a/api/v1/vm", "[]")
    del left_out["response"]["content"]["text"]
    file = tmp_path / "x.har"
    entries = [
        browsed("http://a/api/v1/vm?id=x", FAILED),
        browsed("http://a/api/v1/status", VERSION),
        browsed("http://a/api/v1/vm", "", status=0, _error="net::ERR_ABORTED"),
        left_out,
    ]
    file.write_text("\ufeff" + json.dumps(foreign(*entries)))
    recording = load(file)
    judged = list(judge_recording(recording))

    assert (None, Release.parse("1.24.0")) == (recording.release, recording.seen_release)
    assert [None, None, Broken.LEFT, Broken.ENCODED] == [each.broken for each in recording.entries]
    assert [["status-code"], [], [], []] == [
        [each.check for each in one.violations if each.check == "status-code"] for one in judged
    ]
    assert [] == judged[2].violations + judged[3].violations


def test_a_recording_that_tells_no_release_is_judged_by_todays() -> None:
    """There is nothing better to go by."""
    entry = recorded_of(browsed("http://a/api/v1/vm?id=x", FAILED))
    (judged,) = judge_recording(Recording([entry]))

    assert ["says FAIL with HTTP 200, not 400"] == [each.text for each in judged.violations]


BROKEN: list[tuple[str, str]] = [
    ("", "is no HAR file: it is not JSON: Expecting value: line 1 column 1 (char 0)"),
    ("{", "is no HAR file: it is not JSON: "),
    ("[" * 100_000, "is no HAR file: it is not JSON: "),
    ("[]", "is no HAR file: $: [] is not of type 'object'"),
    ("{}", "is no HAR file: $: 'log' is a required property"),
    ('{"log": {"version": "1.2"}}', "is no HAR file: $.log: 'entries' is a required property"),
    (json.dumps(foreign(version="2.0")), "is of HAR version 2.0; 1.2 can be read"),
    (json.dumps(foreign(_release="new")), "is no HAR file: $.log._release: "),
    (json.dumps(foreign({"request": {}})), "is no HAR file: $.log.entries[0]: 'response' is a required property"),
    (
        json.dumps(foreign(browsed("http://a/", "", status="x"))),  # type: ignore[arg-type]
        "is no HAR file: $.log.entries[0].response.status: 'x' is not of type 'integer'",
    ),
    (json.dumps(foreign(browsed("http://[/", ""))), "is no HAR file: $.log.entries[0]: "),
    (json.dumps(foreign(browsed("http://a/", "", startedDateTime="?"))), "is no HAR file: $.log.entries[0]: "),
]


@pytest.mark.parametrize(("text", "why"), BROKEN, ids=range(len(BROKEN)))
def test_a_file_that_is_no_recording_is_refused(tmp_path: Path, text: str, why: str) -> None:
    """The text names the file, the place in it, and what is wrong there."""
    file = tmp_path / "x.har"
    file.write_text(text)
    with pytest.raises(NoRecording) as refused:
        load(file)

    assert f"{file} {why}" == str(refused.value)[: len(f"{file} {why}")]


@pytest.mark.parametrize(
    ("name", "why"), [("gone.har", "cannot be read: No such file or directory"), ("", "cannot be read: Is a directory")]
)
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, name: str, why: str) -> None:
    """A file that is not there, or is a folder."""
    with pytest.raises(NoRecording) as refused:
        load(tmp_path / name)

    assert f"{tmp_path / name} {why}" == str(refused.value)


def test_bytes_that_are_no_text_are_no_recording(tmp_path: Path) -> None:
    """A picture is refused like any other file."""
    file = tmp_path / "x.har"
    file.write_bytes(b"\x89PNG\xff")
    with pytest.raises(NoRecording, match="it is not JSON"):
        load(file)


def test_a_body_that_is_no_base64_is_refused() -> None:
    """Who says base64 must mean it."""
    entry = browsed("http://a/", "?")
    entry["response"]["content"]["encoding"] = "base64"
    with pytest.raises(ValueError, match="a body is no base64"):
        recorded_of(entry)
