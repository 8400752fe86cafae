"""HAR files: what is written is read back, and files that are malformed are refused with the reason."""

from __future__ import annotations

import base64
import gzip
import json
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mockanka
from mockanka.contract.conformance import Violation, contract_of
from mockanka.contract.exchange import Exchange
from mockanka.core.release import DEFAULT_RELEASE, Release
from mockanka.recording.exchanges import IncompleteReason, RecordedExchange, find_violations
from mockanka.recording.har import (
    HarWriter,
    InvalidHar,
    Recording,
    from_har_entry,
    read_har,
    to_har_entry,
)
from mockanka.redaction import FORM_TYPE, REDACTED_VALUE, redact_body
from tests.proxy.harness import GET, connect_through_proxy, receive_exactly, response_bytes, run_proxy_thread
from tests.server.http_client import STATUS, VM, receive_all, request_bytes, send_request

JSON_TYPE = "application/json"
TEXT = st.text(st.characters(codec="ascii", exclude_categories=["C"]), max_size=12)
HEADERS = st.lists(st.tuples(st.sampled_from(["Content-Type", "X-A", "x-a", "Location"]), TEXT), max_size=4)
BODIES = st.binary(max_size=20) | st.text(max_size=20).map(str.encode)


def lower_case(headers: list[tuple[str, str]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in headers:
        joined[name.lower()] = f"{joined[name.lower()]}, {value}" if name.lower() in joined else value
    return joined


def violations_in(recording: Recording, release: Release | None = None) -> list[list[Violation]]:
    """Return the violations of each exchange, by a release or by that of the recording."""
    contract = contract_of(release or recording.controller_release or DEFAULT_RELEASE)
    return [find_violations(recorded, contract) for recorded in recording.exchanges]


@st.composite
def recorded_exchanges(draw: st.DrawFn) -> RecordedExchange:
    """Any exchange that a proxy may record."""
    response_headers = draw(HEADERS)
    path = draw(st.sampled_from(["/", "/api/v1/vm", "/a%20b"]))
    query = draw(st.sampled_from(["", "id=x", "a=%7e&a&=b"]))
    incomplete = draw(st.none() | st.sampled_from(IncompleteReason))
    response_content = draw(BODIES)
    exchange = Exchange(
        draw(st.sampled_from(["GET", "POST", "FROB"])),
        path,
        query,
        draw(BODIES),
        draw(st.integers(100, 599)),
        lower_case(response_headers),
        response_content,
        draw(st.integers(0, 10**9)) / 10**6,
    )
    return RecordedExchange(
        exchange,
        started_at=draw(st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))),
        url=f"http://x:1{path}{'?' + query if query else ''}",
        request_headers=draw(HEADERS),
        response_headers=response_headers,
        reason_phrase=draw(TEXT),
        wait_seconds=draw(st.integers(0, 10**9)) / 10**6,
        transferred_size=draw(st.integers(0, 99)),
        incomplete=incomplete,
        incomplete_detail=draw(TEXT) if incomplete else "",
    )


@given(recorded_exchanges())
def test_an_entry_has_everything_of_an_exchange(recorded: RecordedExchange) -> None:
    """An exchange that is written as JSON and read back is equal: bodies, times, headers, and why it is incomplete."""
    written = json.loads(json.dumps(to_har_entry(recorded)))

    assert recorded == from_har_entry(written)


def test_an_entry_has_the_fields_that_har_requires() -> None:
    """Other programs can read it, because no field that HAR 1.2 does not call optional is missing."""
    exchange = Exchange("POST", "/", "a=b", b"{}", response_content=b"\xff")
    entry = to_har_entry(RecordedExchange(exchange, url="http://x/?a=b"), [])

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


# ---- recordings of the proxy ---------------------------------------------------------------------------------------


def test_a_recording_has_the_violations_that_a_later_check_finds(tmp_path: Path) -> None:
    """The violations in each entry, and those in the proxy's report, are found again in the file alone."""
    file = tmp_path / "x.har"
    with mockanka.serve("default", clock="manual", seed=1) as anka, run_proxy_thread(anka.url, har=file) as proxy:
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
            send_request(proxy.url, method, target, body)
        with pytest.raises(ConnectionError):
            send_request(proxy.url, target="/api/v1/node")
        report = proxy.stop()
    entries = json.loads(file.read_text())["log"]["entries"]
    recording = read_har(file)
    found = [[asdict(violation) for violation in violations] for violations in violations_in(recording)]
    paths = [recorded.exchange.path for recorded in recording.exchanges]

    assert [entry["_violations"] for entry in entries] == json.loads(json.dumps(found))
    assert [False, True, True, True, True, False, True] == [bool(violations) for violations in found]
    assert sum(len(violations) for violations in found) == sum(finding["count"] for finding in report["findings"])
    assert {1, 2, 3, 4, 6} == {entry for finding in report["findings"] for entry in finding["entries"]}
    assert [STATUS, VM, VM, "/api/v1/group", "/nowhere", VM, "/api/v1/node"] == paths


def test_a_recording_has_its_target_and_its_release(tmp_path: Path) -> None:
    """The violations depend on the release. While the proxy runs the file can be read."""
    file = tmp_path / "x.har"
    with mockanka.serve("default", clock="manual", release="1.8.0") as anka:
        with run_proxy_thread(anka.url, "1.8.0", file) as proxy:
            send_request(proxy.url, target=f"{VM}?id=unknown")
            while_it_runs = read_har(file)
        recording = read_har(file)
        target = json.loads(file.read_text())["log"]["_target"]

        assert (anka.url, Release.parse("1.8.0")) == (target, recording.release)
        assert not while_it_runs.is_cut
    assert [[]] == violations_in(recording)
    assert [["status-code"]] == [
        [violation.check for violation in violations] for violations in violations_in(recording, DEFAULT_RELEASE)
    ]
    assert [file] == list(tmp_path.iterdir())


@pytest.mark.parametrize("keep", [False, True])
def test_secrets_are_redacted_unless_they_are_to_be_kept(tmp_path: Path, keep: bool) -> None:
    """Values of headers with the name of a secret are redacted, in requests and responses; others are unchanged."""
    secrets = "Authorization proxy-authorization Cookie X-Auth-Token X-Api-Key Set-Cookie My-Secret".split()
    headers = [(name, "s3cr3t") for name in secrets] + [("X-Team", "builds")]
    file = tmp_path / "x.har"
    writer = HarWriter(file, "http://x", keep_secrets=keep)
    exchange = Exchange("GET", "/")
    writer.add(RecordedExchange(exchange, url="http://x/", request_headers=headers, response_headers=headers), [])
    writer.close(None)
    (entry,) = json.loads(file.read_text())["log"]["entries"]
    values = {header["value"] for side in ("request", "response") for header in entry[side]["headers"]}

    assert ({"s3cr3t", "builds"} if keep else {REDACTED_VALUE, "builds"}) == values
    assert keep == ("s3cr3t" in file.read_text())


@pytest.mark.parametrize("keep", [False, True])
def test_secrets_of_queries_and_bodies_are_redacted(keep: bool) -> None:
    """Names decide, as in headers; what is not secret keeps its bytes."""
    request = b'{"vmid":"T", "vnc_password" : "hun\\"ter2","name":"token"}'
    response = b'{"status":"OK","body":{"session_id":"hunter2","secret":{"a":"b"}}}\n'
    query = "id=a&access%5Ftoken=hunter2&token="
    exchange = Exchange("POST", "/api/v1/vm", query, request, 200, {"location": "/x?token=hunter2"}, response)
    url = f"http://root:hunter2@x/api/v1/vm?{query}"
    entry = to_har_entry(RecordedExchange(exchange, url=url), [], keep)

    if keep:
        assert request.decode() == entry["request"]["postData"]["text"]
        assert (url, response.decode()) == (entry["request"]["url"], entry["response"]["content"]["text"])
        return
    assert "ter2" not in json.dumps(entry)
    assert "http://redacted@x/api/v1/vm?id=a&access%5Ftoken=redacted&token=" == entry["request"]["url"]
    assert '{"vmid":"T", "vnc_password" : "redacted","name":"token"}' == entry["request"]["postData"]["text"]
    assert response.decode().replace("hunter2", "redacted") == entry["response"]["content"]["text"]
    assert "/x?token=redacted" == entry["response"]["redirectURL"]


def test_a_form_is_redacted_by_its_names() -> None:
    """Its content type says that it is one."""
    headers = [("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")]
    exchange = Exchange("POST", "/", "", b"user=a&password=hunter2")
    entry = to_har_entry(RecordedExchange(exchange, url="http://x/", request_headers=headers))

    assert "user=a&password=redacted" == entry["request"]["postData"]["text"]


@pytest.mark.parametrize(
    ("text", "content_type", "redacted"),
    [
        ('{"password": "hun', "", '{"password": "redacted'),
        ('{"password": "hun\\', "", '{"password": "redacted\\'),
        ('{"password": "hunter2", "a": "b=c"}', FORM_TYPE, '{"password": "redacted", "a": "b=c"}'),
        ("password=hun", FORM_TYPE, "password=redacted"),
    ],
)
def test_bodies_that_are_cut_off_or_have_a_wrong_type_are_redacted(text: str, content_type: str, redacted: str) -> None:
    """The rest of a text does not decide on its beginning, and JSON with the type of a form, as of curl, is JSON."""
    assert redacted == redact_body(text, content_type)


LONG_TEXTS = ['"' + r"\"" * 300_000, '"a' * 300_000, '"token":"' + "\\" * 300_001, '"a":"b",' * 100_000]


@pytest.mark.parametrize("text", LONG_TEXTS, ids=["escapes", "quotes", "backslashes", "members"])
def test_redaction_takes_time_in_proportion_to_the_text(text: str) -> None:
    """Broken strings and escaped quotes are not read again and again."""
    started = time.perf_counter()
    redact_body(text)

    assert time.perf_counter() - started < 5


@pytest.mark.parametrize("place", [*range(-70, 0), -400])
def test_a_recording_that_is_cut_off_is_read_up_to_the_cut(tmp_path: Path, place: int) -> None:
    """Whole exchanges before the cut are there, and the recording says that it is cut."""
    file = tmp_path / "x.har"
    writer = HarWriter(file, "http://x")
    for number in range(3):
        writer.add(RecordedExchange(Exchange("GET", f"/{number}"), url=f"http://x/{number}"), [])
    writer.close(None)
    file.write_bytes(file.read_bytes()[:place])
    recording = read_har(file)
    paths = [recorded.exchange.path for recorded in recording.exchanges]

    assert place == -1 or recording.is_cut
    assert (["/0", "/1"] if place < -5 else ["/0", "/1", "/2"]) == paths


def test_a_broken_recording_is_not_taken_for_one_that_is_cut(tmp_path: Path) -> None:
    """Errors in the middle are refused with their place."""
    file = tmp_path / "x.har"
    file.write_text('{"log": {"version": "1.2", "entries": [{"request": nothing here, "response": {}}, {}]}}')

    with pytest.raises(InvalidHar, match=r"it is not JSON: Expecting value: line 1 column 52"):
        read_har(file)


def test_bodies_are_recorded_decompressed(tmp_path: Path) -> None:
    """Text is recorded as text, other bytes in base64; a compressed body also has the bytes that were saved."""
    file, content = tmp_path / "x.har", b'{"status":"OK","message":"","body":[]}\n'
    compressed = gzip.compress(content)
    request = request_bytes("POST", VM, b"\xff\x00")
    with connect_through_proxy(request, har=file) as (client, target, proxy):
        receive_exactly(target, len(request))
        target.sendall(response_bytes(compressed, headers="Content-Encoding: gzip\r\n"))
        target.close()
        receive_all(client)
        proxy.stop()
    (entry,) = json.loads(file.read_text())["log"]["entries"]
    (recorded,) = read_har(file).exchanges

    assert content.decode() == entry["response"]["content"]["text"]
    assert len(content) - len(compressed) == entry["response"]["content"]["compression"]
    assert ("base64", base64.b64encode(b"\xff\x00").decode()) == (
        entry["request"]["postData"]["_encoding"],
        entry["request"]["postData"]["text"],
    )
    assert (b"\xff\x00", content) == (recorded.exchange.request_content, recorded.exchange.response_content)


def test_a_request_without_a_response_is_recorded_at_the_end(tmp_path: Path) -> None:
    """When the proxy stops, the entry says why there is no response."""
    file = tmp_path / "x.har"
    with connect_through_proxy(GET, har=file) as (_, target, proxy):
        receive_exactly(target, len(GET))
        proxy.stop()
    (entry,) = json.loads(file.read_text())["log"]["entries"]
    reason = str(IncompleteReason.PROXY_STOPPED)

    assert (0, reason, []) == (entry["response"]["status"], entry["_error"], entry["_violations"])


# ---- recordings of other programs, and malformed files -------------------------------------------------------------


def browser_har(*entries: dict[str, Any], **log: object) -> dict[str, Any]:
    """Return a HAR document of a browser."""
    return {"log": {"version": "1.2", "creator": {"name": "Browser", "version": "1"}, "entries": entries, **log}}


def browser_entry(url: str, text: str, status: int = 200, **fields: object) -> dict[str, Any]:
    """Return an entry with the fields that are read."""
    content = {"size": len(text), "mimeType": JSON_TYPE, "text": text}
    headers = [{"name": "Content-Type", "value": JSON_TYPE}]
    return {
        "request": {"method": "GET", "url": url, "headers": []},
        "response": {"status": status, "headers": headers, "content": content},
        **fields,
    }


STATUS_RESPONSE = '{"status":"OK","message":"","body":{"status":"Running","version":"1.24.0-cafe"}}\n'
FAILURE = '{"status":"FAIL","message":"Not found"}\n'


def test_a_recording_of_a_browser_is_read(tmp_path: Path) -> None:
    """Its release is that of the first status in it. Entries without a response or a body are incomplete."""
    without_text = browser_entry("http://a/api/v1/vm", "[]")
    del without_text["response"]["content"]["text"]
    file = tmp_path / "x.har"
    entries = [
        browser_entry("http://a/api/v1/vm?id=x", FAILURE),
        browser_entry("http://a/api/v1/status", STATUS_RESPONSE),
        browser_entry("http://a/api/v1/vm", "", status=0, _error="net::ERR_ABORTED"),
        without_text,
    ]
    file.write_text("\ufeff" + json.dumps(browser_har(*entries)))
    recording = read_har(file)
    found = violations_in(recording)

    assert (None, Release.parse("1.24.0")) == (recording.release, recording.controller_release)
    assert [None, None, IncompleteReason.CLIENT_DISCONNECTED, IncompleteReason.BODY_UNDECODABLE] == [
        recorded.incomplete for recorded in recording.exchanges
    ]
    assert [["status-code"], [], [], []] == [
        [violation.check for violation in violations if violation.check == "status-code"] for violations in found
    ]
    assert [] == found[2] + found[3]


def test_a_recording_without_a_status_has_no_release() -> None:
    """A failure does not show the release."""
    recording = Recording([from_har_entry(browser_entry("http://a/api/v1/vm?id=x", FAILURE))])

    assert recording.controller_release is None
    ((violation,),) = violations_in(recording)
    assert "status-code" == violation.check


MALFORMED: list[tuple[str, str]] = [
    ("", "is not a HAR file: it is not JSON: Expecting value: line 1 column 1 (char 0)"),
    ("{", "is not a HAR file: it is not JSON: "),
    ("[" * 100_000, "is not a HAR file: it is not JSON: "),
    ("[]", "is not a HAR file: $: [] is not of type 'object'"),
    ("{}", "is not a HAR file: $: 'log' is a required property"),
    ('{"log": {"version": "1.2"}}', "is not a HAR file: $.log: 'entries' is a required property"),
    (json.dumps(browser_har(version="2.0")), "has HAR version 2.0; 1.2 can be read"),
    (json.dumps(browser_har(_release="new")), "is not a HAR file: $.log._release: "),
    (
        json.dumps(browser_har({"request": {}})),
        "is not a HAR file: $.log.entries[0]: 'response' is a required property",
    ),
    (
        json.dumps(browser_har(browser_entry("http://a/", "", status="x"))),  # type: ignore[arg-type]
        "is not a HAR file: $.log.entries[0].response.status: 'x' is not of type 'integer'",
    ),
    (json.dumps(browser_har(browser_entry("http://[/", ""))), "is not a HAR file: $.log.entries[0]: "),
    (
        json.dumps(browser_har(browser_entry("http://a/", "", startedDateTime="?"))),
        "is not a HAR file: $.log.entries[0]: ",
    ),
]


@pytest.mark.parametrize(("text", "reason"), MALFORMED, ids=range(len(MALFORMED)))
def test_a_malformed_file_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    """The text names the file, the place in it, and what is wrong there."""
    file = tmp_path / "x.har"
    file.write_text(text)
    with pytest.raises(InvalidHar) as refused:
        read_har(file)

    assert str(refused.value).startswith(f"{file} {reason}")


@pytest.mark.parametrize(
    ("name", "reason"),
    [("gone.har", "cannot be read: No such file or directory"), ("", "cannot be read: Is a directory")],
)
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, name: str, reason: str) -> None:
    """The text says that the file is missing, or a folder."""
    with pytest.raises(InvalidHar) as refused:
        read_har(tmp_path / name)

    assert f"{tmp_path / name} {reason}" == str(refused.value)


def test_a_binary_file_is_refused(tmp_path: Path) -> None:
    """A picture is not JSON."""
    file = tmp_path / "x.har"
    file.write_bytes(b"\x89PNG\xff")
    with pytest.raises(InvalidHar, match="it is not JSON"):
        read_har(file)


def test_a_body_that_is_not_base64_is_refused() -> None:
    """A body with this encoding must have it."""
    entry = browser_entry("http://a/", "?")
    entry["response"]["content"]["encoding"] = "base64"
    with pytest.raises(ValueError, match="a body is not base64"):
        from_har_entry(entry)
