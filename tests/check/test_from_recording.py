"""The checks of a recording, ``mockanka check --har``."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import mockanka
from mockanka.check.catalog import REQUEST_CHECKS
from mockanka.check.from_recording import check_recording
from mockanka.check.results import Results
from mockanka.contract.exchange import Exchange
from mockanka.core.release import DEFAULT_RELEASE, Release
from mockanka.recording.exchanges import UNKNOWN_START, IncompleteReason, RecordedExchange
from mockanka.recording.har import HarWriter, to_har_entry
from mockanka.scenario import shipped
from tests.cli.invoke import call
from tests.pages import PAGES
from tests.proxy.harness import run_proxy_thread
from tests.server.http_client import STATUS, VM
from tests.server.http_client import send_request as ask

ID = "aaaaaaaa-0000-0000-0000-000000000000"
LISTS = [STATUS, VM, "/api/v1/node", "/api/v1/registry/vm", "/api/v1/group", "/api/v1/image", "/api/v1/registry/disk"]


def entry(
    method: str = "GET", path: str = VM, query: str = "", content: str = "", body: Any = None, **more: Any
) -> RecordedExchange:
    """Return a successful exchange, one second after the epoch unless ``at`` says otherwise."""
    envelope = {"status": "OK", "message": ""} | ({} if body is None else {"body": body})
    response = (json.dumps(envelope) + "\n").encode()
    headers = [("content-type", "application/json")]
    exchange = Exchange(method, path, query, content.encode(), 200, dict(headers), response, 0.5)
    started_at = UNKNOWN_START + timedelta(seconds=more.pop("at", 1))
    url = f"http://x{path}{'?' + query if query else ''}"
    return replace(
        RecordedExchange(
            exchange, started_at=started_at, url=url, response_headers=headers, transferred_size=len(response)
        ),
        **more,
    )


def check_entries(
    tmp_path: Path, *entries: RecordedExchange, release: str | None = "1.50.1", against: str | None = None
) -> Results:
    """Write a recording of a release and check it, against another one if it is given."""
    file = tmp_path / "x.har"
    writer = HarWriter(file, "http://x")
    for recorded in entries:
        writer.add(recorded, None)
    writer.close(Release.parse(release) if release else None)
    return check_recording(file, Release.parse(against) if against else None)


def failed_or_noted(results: Results) -> set[str]:
    """Return the ids of the checks with findings."""
    return {check_result.check for outcome in ("failed", "noted") for check_result in results.with_outcome(outcome)}


DEVIATIONS = {
    "operation": entry(path="/api/v1/nowhere"),
    "method": entry("PATCH"),
    "query": entry("DELETE", "/api/v1/registry/vm/distribute"),
    "body": entry("POST", content="{}"),
    "query-unknown": entry(query="colour=red", body=[]),
    "body-unknown": entry("POST", content='{"vmid": "x", "colour": "red"}', body=[ID]),
    "no-answer": entry(incomplete=IncompleteReason.RESPONSE_CUT),
}


@pytest.mark.parametrize("check", [check.id for check in REQUEST_CHECKS])
def test_each_check_of_requests_finds_its_deviation(tmp_path: Path, check: str) -> None:
    """Violations by the recorded client, and a missing response, are found."""
    assert check in failed_or_noted(check_entries(tmp_path, DEVIATIONS[check]))


def instance(state: str, progress: float = 0) -> dict[str, Any]:
    return {"instance_id": ID, "instance_state": state, "vmid": "x", "progress": progress}


def test_responses_are_compared_over_time(tmp_path: Path) -> None:
    """States and progress are compared from one exchange to the next, as in a run."""
    states = [instance("Pulling", 0.5), instance("Pulling", 0.4), instance("Scheduling")]
    entries = [entry(query=f"id={ID}", body=state, at=second) for second, state in enumerate(states)]
    results = check_entries(tmp_path, *entries)

    assert "progress" in failed_or_noted(results)
    assert "moves" not in failed_or_noted(check_entries(tmp_path, *entries[:2]))


def test_overlapping_exchanges_are_not_compared(tmp_path: Path) -> None:
    """It is unknown which of two overlapping responses is the newer one."""
    late = entry(query=f"id={ID}", body=instance("Pulling", 0.5), at=1)
    early = entry(query=f"id={ID}", body=instance("Pulling", 0.4), at=1.2)

    assert "progress" not in failed_or_noted(check_entries(tmp_path, late, early))


def test_incomplete_exchanges_are_not_checked(tmp_path: Path) -> None:
    """Neither an incomplete request nor an abandoned response has findings; a remark counts them."""
    half, left = (
        entry("POST", content="{", incomplete=IncompleteReason.REQUEST_INCOMPLETE),
        entry(body=7, incomplete=IncompleteReason.CLIENT_DISCONNECTED),
    )
    results = check_entries(tmp_path, half, left)

    assert set() == failed_or_noted(results)
    assert ["exchanges without a complete response: 2"] == results.remarks


@pytest.mark.parametrize(
    ("recorded", "given", "used", "remarks"),
    [
        ("1.8.0", None, "1.8.0", []),
        ("1.8.0", "1.24.0", "1.24.0", []),
        (
            None,
            None,
            str(DEFAULT_RELEASE),
            [f"the recording does not name its release; it is checked against {DEFAULT_RELEASE}"],
        ),
        ("1.8.0", "1.8.1", "1.8.1", ["release 1.8.1 is not known; it is checked against 1.8.0"]),
    ],
)
def test_a_recording_is_checked_against_a_release(
    tmp_path: Path, recorded: str | None, given: str | None, used: str, remarks: list[str]
) -> None:
    """The given release comes first, then that of the recording, then the default; remarks say what is unusual."""
    results = check_entries(tmp_path, entry(body=[]), release=recorded, against=given)

    assert (used, remarks) == (str(results.contract.release), results.remarks)


@pytest.mark.parametrize("name", shipped())
def test_a_recording_of_the_simulator_is_clean(tmp_path: Path, name: str) -> None:
    """The lists of each shipped scenario have no findings, unless the scenario has a fault in them."""
    file = tmp_path / "x.har"
    with mockanka.serve(name, clock="step") as anka:
        version = ask(anka.url, target=STATUS).json["body"]["version"]
        with run_proxy_thread(anka.url, str(Release.from_version(version)), har=file) as proxy:
            for _ in range(3):
                for path in LISTS:
                    ask(proxy.url, target=path)
    results = check_recording(file)

    assert ({"schema", "vm-of-state"} if name == "null-in-list" else set()) == failed_or_noted(results)
    assert (1 if name == "null-in-list" else 0) == results.exit_status


def test_requests_outside_the_api_are_ignored(tmp_path: Path) -> None:
    """A browser also loads pages and pictures; unknown paths of the API are not ignored."""
    file = tmp_path / "x.har"
    entries = [to_har_entry(entry(path=path)) for path in ("/", "/static/app.js", "/api/v1/nowhere")]
    file.write_text(json.dumps({"log": {"version": "1.2", "creator": {"name": "Browser"}, "entries": entries}}))
    results = check_recording(file, DEFAULT_RELEASE)

    assert ["2 exchanges are not part of the API, and ignored"] == results.remarks
    assert {"GET /api/v1/nowhere"} == {
        finding.request for check_result in results.with_outcome("failed") for finding in check_result.findings
    }


def test_a_recording_without_requests_of_the_api_is_not_a_success(tmp_path: Path) -> None:
    """Without exchanges of the API nothing was checked, and the exit status is 2."""
    results = []
    for paths in ([], ["/", "/static/app.js"]):
        file = tmp_path / f"{len(paths)}.har"
        entries = [to_har_entry(entry(path=path)) for path in paths]
        file.write_text(json.dumps({"log": {"version": "1.2", "creator": {"name": "Browser"}, "entries": entries}}))
        results.append(check_recording(file, DEFAULT_RELEASE))

    assert [(2, "the recording has no exchanges of a controller's API")] * 2 == [
        (result.exit_status, result.broken_off) for result in results
    ]


def test_a_time_without_a_zone_is_accepted(tmp_path: Path) -> None:
    """Not every program writes the zone."""
    file = tmp_path / "x.har"
    entries = [to_har_entry(entry(body=[])), to_har_entry(entry(body=[])) | {"startedDateTime": "1970-01-01T00:00:00"}]
    file.write_text(json.dumps({"log": {"version": "1.2", "entries": entries}}))

    assert 0 == check_recording(file, DEFAULT_RELEASE).exit_status


# ---- recordings of other programs ----------------------------------------------------------------------------------

LIST = '{"status":"OK","message":"","body":[]}\n'


def status_text(version: str) -> str:
    body = {"status": "Running", "version": version, "registry_address": "http://r", "registry_status": "Running"}
    return json.dumps({"status": "OK", "message": "", "body": {**body, "license": "enterprise"}}) + "\n"


def foreign_entry(
    path: str = VM, text: str | None = LIST, method: str = "GET", status: int = 200, **response: Any
) -> dict[str, Any]:
    """Return an entry of another program; ``response`` replaces members of the response, ``content`` those of it."""
    content = {"size": len(text or ""), "mimeType": "application/json", "text": text} | response.pop("content", {})
    content = content if status else None
    headers = [{"name": "Content-Type", "value": "application/json"}]
    request = {"method": method, "url": response.pop("origin", "http://a:8090") + path, "headers": []}
    request |= response.pop("request", {})
    return {
        "startedDateTime": response.pop("at", "2026-01-01T00:00:00Z"),
        "time": 1,
        "request": request,
        "response": {"status": status, "headers": headers, "content": content, **response},
    }


def check_foreign(tmp_path: Path, *entries: dict[str, Any], release: str | None = "1.50.1") -> Results:
    """Check a recording of another program."""
    file = tmp_path / "x.har"
    log = {"version": "1.2", "creator": {"name": "Browser", "version": "1"}, "pages": None, "entries": entries}
    file.write_text(json.dumps({"log": log}))
    return check_recording(file, Release.parse(release) if release else None)


HEADERS_OF_PREFLIGHT = {"headers": [{"name": "Access-Control-Request-Method", "value": "GET"}]}
IGNORED = "1 exchanges are preflights or answers from a cache (304), and ignored"
INCOMPLETE = "exchanges without a complete response: 1"
FOREIGN: dict[str, tuple[dict[str, Any], list[str]]] = {
    "304": (foreign_entry(text="", status=304, headers=[], content={"mimeType": ""}), [IGNORED]),
    "304 with the text of the cache": (foreign_entry(status=304), [IGNORED]),
    "preflight": (foreign_entry(text="", method="OPTIONS", request=HEADERS_OF_PREFLIGHT, status=204), [IGNORED]),
    "preflight without headers": (foreign_entry(text="", method="OPTIONS", status=204), [IGNORED]),
    "no headers": (foreign_entry(headers=[]), []),
    "headers that are null": (foreign_entry(headers=None), []),
    "no headers, unknown type": (foreign_entry(headers=[], content={"mimeType": "x-unknown"}), []),
    "a header without a value": (foreign_entry(headers=[{"name": "Content-Type", "value": "application/json"},
        {"name": "X-A", "value": None}]), []),
    "text that is null": (foreign_entry(text=None, content={"size": 39}), [INCOMPLETE]),
    "text that is empty": (foreign_entry(text="", content={"size": 39}), [INCOMPLETE]),
    "text that is cut": (foreign_entry(text=LIST[:20], content={"size": 39}), [INCOMPLETE]),
    "text that is cut, by its header": (foreign_entry(text=LIST[:20], content={"size": 20},
        headers=[{"name": "Content-Type", "value": "application/json"}, {"name": "content-length", "value": "39"}]),
        [INCOMPLETE]),
    "a size that is too large": (foreign_entry(content={"size": 4000}), []),
    "a size that is null": (foreign_entry(content={"size": None}), []),
    "no content": (foreign_entry(status=0) | {"_error": "net::ERR_ABORTED"}, [INCOMPLETE]),
    "a body without its text": (foreign_entry(method="POST", request={"bodySize": 20, "postData": {"text": None}}),
        [INCOMPLETE]),
    "a body in parameters": (foreign_entry(method="POST", text=LIST.replace("[]", json.dumps([ID])),
        request={"postData": {"mimeType": "application/x-www-form-urlencoded",
                              "params": [{"name": '{"vmid": "x"}', "value": None}]}}), []),
    "timings that are null": (foreign_entry() | {"time": None, "timings": {"wait": None}}, []),
    "a timing of -1": (foreign_entry() | {"time": -1, "timings": {"wait": -1}}, []),
}  # fmt: skip


@pytest.mark.parametrize("name", FOREIGN)
def test_what_other_programs_write_is_no_finding(tmp_path: Path, name: str) -> None:
    """A program leaves things out, writes null, cuts bodies, and records what a browser does by itself."""
    entry, remarks = FOREIGN[name]
    results = check_foreign(tmp_path, foreign_entry("/api/v1/group"), entry)

    assert (set(), remarks, 0) == (failed_or_noted(results), results.remarks, results.exit_status)


def test_text_that_is_not_json_is_still_a_finding(tmp_path: Path) -> None:
    """A body as long as it should be was not cut by the program."""
    results = check_foreign(tmp_path, foreign_entry(text=LIST[:20]))

    assert {"json", "newline"} & failed_or_noted(results) == {"json"}


def test_several_controllers_are_checked_separately(tmp_path: Path) -> None:
    """Each has its own release, and the responses of one are not compared with those of another."""
    failure = '{"status":"FAIL","message":"Not found"}\n'
    entries = [
        foreign_entry("/api/v1/status", status_text("1.8.0-91225db0"), origin="http://old:80"),
        foreign_entry("/api/v1/status", status_text("1.50.1-5e3c3f5b"), origin="http://new:80"),
        foreign_entry(f"{VM}?id=x", failure, origin="http://old:80"),
        foreign_entry(f"{VM}?id=x", failure, origin="http://new:80", status=400),
        foreign_entry("/api/json", "{}", origin="http://jenkins:8080"),
    ]
    results = check_foreign(tmp_path, *entries, release=None)

    assert set() == failed_or_noted(results)
    assert [
        "the recording has 2 controllers, each checked by itself: http://old:80, http://new:80",
        "1 exchanges are not part of the API, and ignored",
    ] == results.remarks
    states = ("Pulling", "Scheduling")
    progress = [json.dumps({"status": "OK", "message": "", "body": instance(state, 0.5)}) for state in states]
    both = [
        foreign_entry(f"{VM}?id={ID}", text, origin=f"http://{host}", at=f"2026-01-01T00:00:0{second}Z")
        for second, (text, host) in enumerate(zip(progress, ("a", "b"), strict=True))
    ]
    assert "progress" not in failed_or_noted(check_foreign(tmp_path, *both))


def test_a_release_that_changes_begins_a_new_check(tmp_path: Path) -> None:
    """Exchanges after a status with another release are checked against it, and not compared with those before."""
    failure = '{"status":"FAIL","message":"Not found"}\n'
    entries = [
        foreign_entry(f"{VM}?id=x", failure),
        foreign_entry("/api/v1/status", status_text("1.8.0-91225db0")),
        foreign_entry("/api/v1/status", status_text("1.50.1-5e3c3f5b")),
        foreign_entry(f"{VM}?id=x", failure, status=400),
    ]
    results = check_foreign(tmp_path, *entries, release=None)

    assert set() == failed_or_noted(results)
    assert ["the release changes in the recording: 1.8.0, then 1.50.1"] == results.remarks


def test_the_command_checks_a_recording(tmp_path: Path) -> None:
    """It ends with 1 if client or server violate the contract, and writes the same reports as for a controller."""
    check_entries(tmp_path, entry(path="/api/v1/nowhere"))
    file, data, report = (tmp_path / name for name in ("x.har", "x.json", "x.xml"))
    violating = call("check", "--har", str(file), "--json", str(data), "--junit", str(report))
    check_entries(tmp_path, entry(body=[]))
    conforming = call("check", MOCKANKA_HAR=str(file))

    assert (1, 0) == (violating.exit_code, conforming.exit_code)
    assert ("recording", str(file), 1) == tuple(json.loads(data.read_text())[key] for key in ("mode", "url", "status"))
    assert "GET /api/v1/nowhere is not an operation" in report.read_text()


def test_the_page_names_each_check_of_a_request() -> None:
    """The row has the level and the claim of the catalogue."""
    rows = [f"| `{check.id}` | {check.level} | {check.claim} |" for check in REQUEST_CHECKS]

    assert [] == [row for row in rows if row not in PAGES["docs/contract.md"]]


def test_a_url_takes_precedence_over_a_recording_in_the_environment() -> None:
    """With MOCKANKA_HAR set for the proxy a controller can be checked."""
    result = call("check", "http://127.0.0.1:1", MOCKANKA_HAR="no-such-file")

    assert "nothing listens at 127.0.0.1 port 1" in result.output


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "give either the URL of a controller or --har with a recording"),
        (["http://127.0.0.1:1", "--har", "x"], "give either the URL of a controller or --har with a recording"),
        (["--har", "x", "--write", "--template", "y"], "a recording cannot be checked with --write"),
        (["--har", "no-such-file"], "cannot check: no-such-file cannot be read: No such file or directory\n"),
        (["--har", __file__], "is not a HAR file: it is not JSON"),
    ],
)
def test_what_cannot_be_checked_is_rejected(arguments: list[str], complaint: str) -> None:
    """The output says why, and the exit status is 2."""
    result = call("check", *arguments)

    assert 2 == result.exit_code
    assert complaint in result.output
