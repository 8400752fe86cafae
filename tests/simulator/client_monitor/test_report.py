"""The report as a whole: what is in it, and when it is empty."""

from __future__ import annotations

from pathlib import Path

from mockanka.api.request_fields import RequestRemarks
from mockanka.core.release import DEFAULT_RELEASE
from mockanka.simulator.client_monitor import ClientMonitor
from mockanka.simulator.client_report import FINDING_KINDS, MAX_FINDING_REQUESTS
from mockanka.simulator.journal import Journal
from tests.controllers import controller_of
from tests.simulator.client_monitor.client import NOBODY, Client


def test_a_client_that_does_nothing_wrong_has_no_findings(client: Client) -> None:
    """A client that starts, polls now and then, terminates and polls until Terminated has an empty report."""
    (id,) = client.start(external_id="job-1")
    for _ in range(30):
        client.anka.clock.advance("1s")
        if client.poll(id) == "Started":
            break
    client.terminate(id)
    while client.poll(id) != "Terminated":
        client.anka.clock.advance("1s")
    report = client.anka.report()

    assert [] == report.findings
    assert f"mockanka report: {len(client.anka.requests)} requests\n  no findings" == str(report)


def test_each_kind_of_finding_has_a_test() -> None:
    """Every kind in FINDING_KINDS is expected by a test in this folder."""
    text = "".join(path.read_text("utf-8") for path in Path(__file__).parent.glob("test_*.py"))

    assert [] == [kind for kind in FINDING_KINDS if f'("{kind}", [' not in text]


def test_the_control_api_shows_the_same_report(client: Client) -> None:
    """GET /_mock/report has the findings of Python's report, each with the same keys."""
    (id,) = client.start(external_id="job-1")
    client.poll(NOBODY)
    client.anka.faults.add(id="idle", match={"path": "/api/v1/usb"}, do={"status": 503})
    shown = client.ask("GET", "/_mock/report").json()
    report = client.anka.report()

    assert ["unknown-ids", "leaks"] == [finding["kind"] for finding in shown["findings"]]
    assert (2, 0, ["idle"]) == (shown["requests"], shown["dropped"], shown["unused_faults"])
    assert [finding.message for finding in report.findings] == [finding["message"] for finding in shown["findings"]]
    assert {"kind", "message", "requests", "instance", "count", "field"} == set(shown["findings"][1])
    assert (id, 1, [1]) == tuple(shown["findings"][1][key] for key in ("instance", "count", "requests"))


def test_a_report_can_be_asked_for_again(client: Client) -> None:
    """Asking for the report changes nothing; later findings are added."""
    client.poll(NOBODY)
    first, second = client.anka.report(), client.anka.report()
    client.poll(NOBODY)

    assert first == second
    assert [("unknown-ids", [1, 2])] == client.findings()


def test_the_report_has_the_faults_that_never_fired(client: Client) -> None:
    """A test learns that a fault it relies on was not applied."""
    client.anka.faults.add(id="used", match={"path": "/api/v1/status"}, do={"status": 503})
    client.anka.faults.add(id="skips", match={"path": "/api/v1/status"}, do={"status": 503}, skip=9)
    client.anka.faults.add(id="idle", match={"event": "pull"}, do={"fail": "x"})
    client.ask("GET", "/api/v1/status")
    report = client.anka.report()

    assert ["skips", "idle"] == report.unused_faults
    assert ("mockanka report: 1 request\n  no findings\n  fault skips never struck\n  fault idle never struck") == str(
        report
    )


def test_an_unused_fault_is_not_a_finding(client: Client) -> None:
    """A fault that never fired is not the client's mistake."""
    client.anka.faults.add(do={"status": 503})

    assert [] == client.anka.report().of_kinds(FINDING_KINDS)


def test_a_finding_names_the_first_requests_and_counts_the_others(client: Client) -> None:
    """The text has five numbers, the finding twenty, and both the count of all."""
    client.list(50)
    (finding,) = client.anka.report().findings

    assert (30, list(range(21, 41))) == (finding.count, finding.requests)
    assert MAX_FINDING_REQUESTS == len(finding.requests)
    assert str(finding).endswith("(#21, #22, #23, #24, #25 and 25 more)")


def test_a_reset_forgets_the_findings(client: Client) -> None:
    """The report is empty, and the ids from before the reset are unknown."""
    (id,) = client.start(external_id="job-1")
    client.list(30)
    client.anka.reset(seed=99)
    empty = client.anka.report()
    client.poll(id)

    assert ([], 0) == (empty.findings, empty.requests)
    assert [("unknown-ids", [1])] == client.findings()


def test_too_many_findings_are_counted() -> None:
    """A thousand findings are kept; of the others there is the number."""
    monitor = ClientMonitor(controller_of("{}"))
    journal = Journal()
    for number in range(1_010):
        entry = journal.add("GET", "/api/v1/node", f"id=n{number}".encode(), b"", 0)
        monitor.record_request(
            entry, RequestRemarks(lambda: DEFAULT_RELEASE), b"", 200, b'{"status":"FAIL","message":"Not found"}'
        )
    report = monitor.report(journal)

    assert (1_000, 10) == (len(report.findings), report.more)
    assert "and 10 more" in str(report)
