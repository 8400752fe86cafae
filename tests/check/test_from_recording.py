"""`mockanka check --har`: a recording checked afterwards, without any controller."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import mockanka
from mockanka.check.catalog import REQUESTS
from mockanka.check.from_recording import check_recording
from mockanka.check.results import Results
from mockanka.contract.exchange import Exchange
from mockanka.core.release import DEFAULT_RELEASE, Release
from mockanka.recording.exchanges import EPOCH, Broken, Recorded
from mockanka.recording.har import Writer, entry_of
from mockanka.scenario import shipped
from tests.cli.test_commands import call
from tests.pages import PAGES
from tests.proxy.harness import passing
from tests.server.http_client import STATUS, VM
from tests.server.http_client import send_request as ask

ID = "aaaaaaaa-0000-0000-0000-000000000000"
LISTS = [STATUS, VM, "/api/v1/node", "/api/v1/registry/vm", "/api/v1/group", "/api/v1/image", "/api/v1/registry/disk"]


def entry(
    method: str = "GET", path: str = VM, query: str = "", sent: str = "", body: Any = None, **more: Any
) -> Recorded:
    """An exchange with a success, a second after the beginning unless ``at`` says another."""
    content = json.dumps({"status": "OK", "message": ""} | ({} if body is None else {"body": body})) + "\n"
    headers = [("content-type", "application/json")]
    exchange = Exchange(method, path, query, sent.encode(), 200, dict(headers), content.encode(), 0.5)
    at = EPOCH + timedelta(seconds=more.pop("at", 1))
    url = f"http://x{path}{'?' + query if query else ''}"
    return replace(Recorded(exchange, at=at, url=url, answered=headers, size=len(content)), **more)


def checked(tmp_path: Path, *entries: Recorded, release: str | None = "1.50.1", by: str | None = None) -> Results:
    file = tmp_path / "x.har"
    writer = Writer(file, "http://x")
    for each in entries:
        writer.add(each, None)
    writer.close(Release.parse(release) if release else None)
    return check_recording(file, Release.parse(by) if by else None)


def found(results: Results) -> set[str]:
    """The checks that failed or are noted."""
    return {row.check for outcome in ("failed", "noted") for row in results.of(outcome)}


REQUESTED = {
    "operation": entry(path="/api/v1/nowhere"),
    "method": entry("PATCH"),
    "query": entry("DELETE", "/api/v1/registry/vm/distribute"),
    "body": entry("POST", sent="{}"),
    "query-unknown": entry(query="colour=red", body=[]),
    "body-unknown": entry("POST", sent='{"vmid": "x", "colour": "red"}', body=[ID]),
    "no-answer": entry(broken=Broken.CUT),
}


@pytest.mark.parametrize("check", [each.id for each in REQUESTS])
def test_each_check_of_a_client_finds_what_it_is_meant_for(tmp_path: Path, check: str) -> None:
    """What somebody else asked wrongly, or was not answered, is found in the recording."""
    assert check in found(checked(tmp_path, REQUESTED[check]))


def instance(state: str, progress: float = 0) -> dict[str, Any]:
    return {"instance_id": ID, "instance_state": state, "vmid": "x", "progress": progress}


def test_what_was_seen_over_time_is_checked(tmp_path: Path) -> None:
    """Moves and progress are compared from one exchange to the next, as they are in a run."""
    states = [instance("Pulling", 0.5), instance("Pulling", 0.4), instance("Scheduling")]
    entries = [entry(query=f"id={ID}", body=each, at=second) for second, each in enumerate(states)]
    results = checked(tmp_path, *entries)

    assert "progress" in found(results)
    assert "moves" not in found(checked(tmp_path, *entries[:2]))


def test_exchanges_at_the_same_time_are_not_compared(tmp_path: Path) -> None:
    """Of two polls that overlap nobody knows which answer is the newer one."""
    late = entry(query=f"id={ID}", body=instance("Pulling", 0.5), at=1)
    early = entry(query=f"id={ID}", body=instance("Pulling", 0.4), at=1.2)

    assert "progress" not in found(checked(tmp_path, late, early))


def test_what_is_not_whole_is_not_judged_and_told(tmp_path: Path) -> None:
    """Half a request says nothing of its client, and an answer that the client did not wait for nothing of anybody."""
    half, left = entry("POST", sent="{", broken=Broken.UNSENT), entry(body=7, broken=Broken.LEFT)
    results = checked(tmp_path, half, left)

    assert set() == found(results)
    assert ["of 2 exchanges the answer is missing or not whole"] == results.remarks


@pytest.mark.parametrize(
    ("recorded", "given", "used", "remark"),
    [
        ("1.8.0", None, "1.8.0", []),
        ("1.8.0", "1.24.0", "1.24.0", []),
        (None, None, str(DEFAULT_RELEASE), [f"the recording tells no release; it is held against {DEFAULT_RELEASE}"]),
        ("1.8.0", "1.8.1", "1.8.1", ["release 1.8.1 is not known; it is held against 1.8.0"]),
    ],
)
def test_a_recording_is_held_against_a_release(
    tmp_path: Path, recorded: str | None, given: str | None, used: str, remark: list[str]
) -> None:
    """That which is given, or that of the recording, or today's; what is not plain is told."""
    results = checked(tmp_path, entry(body=[]), release=recorded, by=given)

    assert (used, remark) == (str(results.contract.release), results.remarks)


@pytest.mark.parametrize("name", shipped())
def test_what_the_mock_answers_is_clean(tmp_path: Path, name: str) -> None:
    """A recording of the lists of each scenario that ships has no findings, unless the scenario is about one."""
    file = tmp_path / "x.har"
    with mockanka.serve(name, clock="step") as anka:
        release = ask(anka.url, target=STATUS).json["body"]["version"].partition("-")[0]
        with passing(anka.url, release, har=file) as proxy:
            for _ in range(3):
                for path in LISTS:
                    ask(proxy.url, target=path)
    results = check_recording(file)

    assert ({"schema", "vm-of-state"} if name == "null-in-list" else set()) == found(results)
    assert (1 if name == "null-in-list" else 0) == results.status


def test_what_a_browser_asks_for_besides_is_passed_over(tmp_path: Path) -> None:
    """Pages and pictures of the same site are no calls of the API; unknown ones of the API are."""
    file = tmp_path / "x.har"
    entries = [entry_of(entry(path=path)) for path in ("/", "/static/app.js", "/api/v1/nowhere")]
    file.write_text(json.dumps({"log": {"version": "1.2", "creator": {"name": "Browser"}, "entries": entries}}))
    results = check_recording(file, DEFAULT_RELEASE)

    assert ["2 exchanges are none of the API, and passed over"] == results.remarks
    assert {"GET /api/v1/nowhere"} == {each.request for row in results.of("failed") for each in row.findings}


def test_a_recording_of_something_else_is_no_success(tmp_path: Path) -> None:
    """Where nothing was judged nothing keeps to the contract."""
    results = []
    for paths in ([], ["/", "/static/app.js"]):
        file = tmp_path / f"{len(paths)}.har"
        entries = [entry_of(entry(path=path)) for path in paths]
        file.write_text(json.dumps({"log": {"version": "1.2", "creator": {"name": "Browser"}, "entries": entries}}))
        results.append(check_recording(file, DEFAULT_RELEASE))

    assert [(2, "there is nothing of a controller's API in the recording")] * 2 == [
        (each.status, each.broken_off) for each in results
    ]


def test_times_without_a_zone_are_compared_all_the_same(tmp_path: Path) -> None:
    """Not every program writes one."""
    file = tmp_path / "x.har"
    both = [entry_of(entry(body=[])), entry_of(entry(body=[])) | {"startedDateTime": "1970-01-01T00:00:00"}]
    file.write_text(json.dumps({"log": {"version": "1.2", "entries": both}}))

    assert 0 == check_recording(file, DEFAULT_RELEASE).status


def test_the_command_checks_a_recording(tmp_path: Path) -> None:
    """It ends with 1 if client or server did something wrong, and reports as for a controller."""
    checked(tmp_path, entry(path="/api/v1/nowhere"))
    file, data, report = (tmp_path / name for name in ("x.har", "x.json", "x.xml"))
    wrong = call("check", "--har", str(file), "--json", str(data), "--junit", str(report))
    checked(tmp_path, entry(body=[]))
    right = call("check", MOCKANKA_HAR=str(file))

    assert (1, 0) == (wrong.exit_code, right.exit_code)
    assert ("recording", str(file), 1) == tuple(json.loads(data.read_text())[key] for key in ("mode", "url", "status"))
    assert "GET /api/v1/nowhere is none" in report.read_text()


def test_the_page_names_each_check_of_a_request() -> None:
    """With its level and its claim, as the catalogue has them."""
    rows = [f"| `{each.id}` | {each.level} | {each.what} |" for each in REQUESTS]

    assert [] == [row for row in rows if row not in PAGES["docs/contract.md"]]


def test_a_url_beats_a_recording_of_the_environment() -> None:
    """Who has MOCKANKA_HAR set for the proxy can check a controller all the same."""
    done = call("check", "http://127.0.0.1:1", MOCKANKA_HAR="no-such-file")

    assert "nothing listens at 127.0.0.1 port 1" in done.output


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "give either the URL of a controller or --har with a recording"),
        (["http://127.0.0.1:1", "--har", "x"], "give either the URL of a controller or --har with a recording"),
        (["--har", "x", "--write", "--template", "y"], "nothing is made where there is no controller"),
        (["--har", "no-such-file"], "cannot check: no-such-file cannot be read: No such file or directory\n"),
        (["--har", __file__], "is no HAR file: it is not JSON"),
    ],
)
def test_what_cannot_be_checked_is_refused(arguments: list[str], why: str) -> None:
    """It says why and ends with 2."""
    done = call("check", *arguments)

    assert 2 == done.exit_code
    assert why in done.output
