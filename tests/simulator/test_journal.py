"""The journal: the requests, how they were answered, and how they are filtered."""

from __future__ import annotations

import http.client
import json
import re
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

import mockanka
from mockanka.simulator.journal import MAX_ENTRIES, MAX_ENTRY_BODY, MAX_ENTRY_HEADERS, MAX_ENTRY_RESPONSE, Journal
from mockanka.testing.anka import Anka
from mockanka.units import MIB, format_moment

VM = "/api/v1/vm"
BEGIN = "2024-01-01T00:00:00Z"
TIMEOUT = 5.0
KEYS = [
    "number",
    "at",
    "wall",
    "method",
    "path",
    "query",
    "body",
    "status",
    "answer",
    "seconds",
    "fault",
    "outcome",
    "instances",
    "headers",
    "response_headers",
    "client",
    "user_agent",
    "connection",
]


@pytest.fixture
def anka() -> Iterator[Anka]:
    with mockanka.serve("default", clock="manual", seed=1) as served:
        yield served


def ask(anka: Anka, method: str, target: str, **options: Any) -> requests.Response:
    """Send a request."""
    return requests.request(method, anka.url + target, timeout=TIMEOUT, **options)


def start(anka: Anka, **fields: object) -> list[str]:
    """Start instances of the first template, and return their ids."""
    body = {"vmid": next(iter(anka.templates)), **fields}
    ids: list[str] = ask(anka, "POST", VM, json=body).json()["body"]
    return ids


def journal(anka: Anka, query: str = "") -> list[dict[str, Any]]:
    """Return the entries as the control API shows them; constants that are not JSON are an error."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    response = ask(anka, "GET", f"/_mock/requests{query}")
    assert 200 == response.status_code, response.text
    entries: list[dict[str, Any]] = json.loads(response.text, parse_constant=refuse)["requests"]
    return entries


def numbers(anka: Anka, query: str = "") -> list[int]:
    return [entry["number"] for entry in journal(anka, query)]


# What an entry tells.


def test_an_entry_has_everything_about_a_request(anka: Anka) -> None:
    """The entry has its number, both times, the request, the response, how long it took, and the instances."""
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    body = {"vmid": next(iter(anka.templates)), "count": 2}
    response = ask(anka, "POST", f"{VM}?a=1&b=%20x&a=2", json=body)
    after = datetime.now(UTC)
    (entry,) = journal(anka)

    assert KEYS == list(entry)
    assert (1, BEGIN, "POST", VM) == (entry["number"], entry["at"], entry["method"], entry["path"])
    assert {"a": "1", "b": " x"} == entry["query"]
    assert (body, 200, response.json()) == (entry["body"], entry["status"], entry["answer"])
    assert response.json()["body"] == entry["instances"]
    assert (None, None) == (entry["fault"], entry["outcome"])
    assert before <= datetime.fromisoformat(entry["wall"]) <= after
    assert 0 < entry["seconds"] < TIMEOUT


@pytest.mark.parametrize(("clock", "seconds"), [("manual", [0, 0, 90]), ("step", [5, 10, 105])])
def test_the_time_is_that_of_the_controller(clock: str, seconds: list[int]) -> None:
    """``at`` is the time of the controller's clock when the request was carried out."""
    with mockanka.serve("default", clock=clock) as anka:
        ask(anka, "GET", VM)
        ask(anka, "GET", "/api/v1/status")
        anka.clock.advance("90s")
        ask(anka, "GET", f"{VM}?id=nobody")
        begin = datetime.fromisoformat(BEGIN)

        assert seconds == [(datetime.fromisoformat(entry["at"]) - begin).seconds for entry in journal(anka)]


@pytest.mark.parametrize("delay", [False, True])
def test_a_delay_does_not_change_the_time_of_a_request(anka: Anka, delay: bool) -> None:
    """``at`` is the time at which the request is carried out, whether or not the response is delayed."""
    if delay:
        anka.faults.add(do={"delay": "1m"})
    began = format_moment(int(anka.clock.now.timestamp()) * 10**9)
    ask(anka, "GET", "/api/v1/status")

    assert began == journal(anka)[0]["at"]


def test_numbers_and_wall_times_grow(anka: Anka) -> None:
    """Entries are in the order of their requests."""
    for _ in range(20):
        ask(anka, "GET", VM)
    walls = [entry["wall"] for entry in journal(anka)]

    assert list(range(1, 21)) == numbers(anka)
    assert sorted(walls, key=datetime.fromisoformat) == walls


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b"", None),
        (b'{"vmid": "x", "n": [1, null, true]}', {"vmid": "x", "n": [1, None, True]}),
        (b"[1, 2]", [1, 2]),
        (b'"text"', "text"),
        (b"null", None),
        (b"a=1&b=2", "a=1&b=2"),
        (b'{"broken": ', '{"broken": '),
        ("grün".encode(), "grün"),
        (b"\xff\xfe x", "\ufffd\ufffd x"),
        (b"   ", "   "),
        (b"9" * 5000, "9" * 5000),
    ],
)
def test_a_body_is_shown_as_json_or_text(anka: Anka, body: bytes, shown: object) -> None:
    """A body that is JSON is shown as its value, any other as text."""
    ask(anka, "POST", VM, data=body)
    (entry,) = journal(anka)

    assert shown == entry["body"]
    assert "body_length" not in entry


@pytest.mark.parametrize("body", [b'{"x": NaN}', b'{"x": [-Infinity]}', b'{"x": 1e999}', b"Infinity"])
def test_the_journal_is_json_whatever_the_bodies_are(anka: Anka, body: bytes) -> None:
    """Numbers that JSON does not have are shown as text, so that other languages can read the journal."""
    ask(anka, "POST", VM, data=body)

    assert isinstance(journal(anka), list)


def test_the_journal_is_shown_however_deep_a_body_was(anka: Anka) -> None:
    """A body of any depth can be shown."""
    with requests.Session() as session:
        for depth in range(900, 1000):
            session.post(anka.url + VM, data=b"[" * depth + b"]" * depth, timeout=TIMEOUT)

    assert 100 == len(journal(anka))


@pytest.mark.parametrize(
    ("length", "cut"), [(MAX_ENTRY_BODY, False), (MAX_ENTRY_BODY + 1, True), (MAX_ENTRY_BODY * 20, True)]
)
def test_a_long_body_is_cut_off(anka: Anka, length: int, cut: bool) -> None:
    """The beginning is shown as text, with the length of the whole."""
    body = json.dumps({"x": "y" * (length - len(json.dumps({"x": ""})))}).encode()
    ask(anka, "POST", VM, data=body)
    (entry,) = journal(anka)

    assert length == len(body)
    if cut:
        assert (body[:MAX_ENTRY_BODY].decode(), length) == (entry["body"], entry["body_length"])
    else:
        assert json.loads(body) == entry["body"]


def test_a_body_is_kept_up_to_64_kib(anka: Anka) -> None:
    """A body of a byte less than the limit is kept whole, and no byte beyond the limit is."""
    ask(anka, "POST", VM, data=b"x" * 65_535)
    ask(anka, "POST", VM, data=b"x" * 655_360)

    assert [65_535, 65_536] == [len(entry["body"]) for entry in journal(anka)]


def test_a_long_response_is_cut_off(anka: Anka) -> None:
    """A list of many instances is shown as the beginning of its text."""
    start(anka, count=50)
    response = ask(anka, "GET", VM)
    entry = journal(anka)[-1]

    assert len(response.content) > MAX_ENTRY_RESPONSE
    assert response.text[:MAX_ENTRY_RESPONSE] == entry["answer"]


def test_an_empty_response_is_none(anka: Anka) -> None:
    """The body of a 405 is empty, that of a 404 is text."""
    ask(anka, "PATCH", VM)
    ask(anka, "GET", "/nowhere")

    assert [(405, None), (404, "404 page not found\n")] == [
        (entry["status"], entry["answer"]) for entry in journal(anka)
    ]


@pytest.mark.parametrize(
    ("do", "fault", "status", "outcome"),
    [
        ({"status": 503}, "rule", 503, None),
        ({"status": 503, "acts": True}, "rule", 503, "replaced"),
        ({"fail": "no"}, "rule", 400, None),
        ({"fail": "no", "acts": True}, "rule", 400, "replaced"),
        ({"body": "<p>"}, "rule", 200, "replaced"),
        ({"content_type": "text/html"}, "rule", 200, None),
        ({"without": ["instance_id"]}, "rule", 200, "changed"),
        ({"set": {"instance_state": "x"}}, "rule", 200, "changed"),
        ({"merge_patch": {"instance_id": None}}, "rule", 200, "changed"),
        ({"without": ["nothing"]}, "rule", 200, None),
        ({"set": {"x": 1}, "item": {"instance_id": "nothing"}}, "rule", 200, None),
        ({"delay": "1s"}, "rule", 200, None),
        ({"dribble": "1s"}, "rule", 200, None),
        ({"stale": True}, "", 200, None),
        ({"connection": "close"}, "rule", None, "closed"),
        ({"connection": "reset"}, "rule", 200, "reset"),
        ({"cut": "50%"}, "rule", 200, "cut"),
        ({"cut": "100%"}, "rule", 200, None),
        ({"refuse": "1h"}, "rule", None, "refused"),
    ],
)
def test_an_entry_has_the_fault_and_the_outcome(
    anka: Anka, do: dict[str, object], fault: str, status: int | None, outcome: str | None
) -> None:
    """The entry has the rule that fired, the status that was sent, and what became of the controller's response."""
    anka.faults.add(id="rule", do=do)
    connection = http.client.HTTPConnection(urlsplit(anka.url).netloc, timeout=TIMEOUT)
    with closing(connection):
        connection.request("GET", VM)
        try:
            with connection.getresponse() as response:
                response.read()
        except (OSError, http.client.HTTPException):
            pass
    if "refuse" in do:
        anka.faults.remove("rule")
    (entry,) = anka.requests

    assert (fault, status, outcome or "") == (entry.fault, entry.status, entry.outcome)


@pytest.mark.parametrize(
    ("do", "expected"),
    [({"connection": "close"}, "closed"), ({"connection": "reset"}, "reset"), ({"cut": "50%"}, "cut")],
)
def test_the_outcome_is_in_the_journal_when_the_client_sees_it(
    anka: Anka, do: dict[str, object], expected: str
) -> None:
    """A client that looks at the journal as soon as its connection breaks finds the outcome."""
    anka.faults.add(do=do)
    outcomes: list[tuple[str, bool]] = []
    for _ in range(40):
        with pytest.raises(requests.RequestException):
            ask(anka, "GET", VM)
        outcomes.append((anka.requests[-1].outcome, anka.requests[-1].status is None))

    assert {(expected, expected == "closed")} == set(outcomes)


def test_the_journal_shows_the_response_of_a_fault(anka: Anka) -> None:
    """The response of an entry is the one that was sent, not the controller's own."""
    anka.faults.add(do={"status": 502, "body": {"from": "a proxy"}})
    ask(anka, "GET", VM)

    assert (502, {"from": "a proxy"}) == (journal(anka)[0]["status"], journal(anka)[0]["answer"])


def test_entries_have_the_instances_that_they_are_about(anka: Anka) -> None:
    """An entry has the instances that its request started, polled, updated, terminated or saved; others have none."""
    first, second = start(anka, count=2)
    ask(anka, "GET", VM)
    ask(anka, "GET", f"{VM}?id={first}")
    ask(anka, "PUT", f"{VM}?id={second}", json={"name": "x"})
    ask(anka, "DELETE", VM, json={"id": second})
    ask(anka, "POST", "/api/v1/image", json={"id": first, "new_template_name": "x"})
    ask(anka, "GET", "/api/v1/node?id=x")
    ask(anka, "POST", VM, json={"vmid": "nothing"})

    assert [[first, second], [], [first], [second], [second], [first], [], []] == [
        entry["instances"] for entry in journal(anka)
    ]


def test_an_image_request_is_not_an_instance(anka: Anka) -> None:
    """The id of a save image request is not that of an instance."""
    id = next(iter(anka.instances))
    request_id = ask(anka, "POST", "/api/v1/image", json={"id": id, "new_template_name": "x"}).json()["body"]
    ask(anka, "GET", f"/api/v1/image?id={request_id['request_id']}")

    assert [[id], []] == [entry["instances"] for entry in journal(anka)]


def test_an_entry_as_text_is_a_line(anka: Anka) -> None:
    """The line has number, time, method, target, body and status, and the fault and the outcome in brackets."""
    ask(anka, "GET", f"{VM}?id=x")
    anka.faults.add(id="gone", do={"connection": "close"})
    with pytest.raises(requests.ConnectionError):
        ask(anka, "DELETE", VM, data='{"id":\n "x"}')

    assert [
        f"#1 {BEGIN} GET {VM}?id=x -> 400 FAIL 'Not found'",
        f'#2 {BEGIN} DELETE {VM} {{"id": "x"}} -> no answer [fault gone, closed]',
    ] == [str(request) for request in anka.requests]


# What is in it.


def test_polls_that_the_gateway_answers_are_in_the_journal(anka: Anka) -> None:
    """A poll that does not reach the application has an entry like any other, with its response."""
    id = next(iter(anka.instances))
    for target in (VM, VM, f"{VM}?id={id}", f"{VM}?id={id}"):
        ask(anka, "GET", target)

    assert [{}, {}, {"id": id}, {"id": id}] == [entry["query"] for entry in journal(anka)]
    assert {200} == {entry["status"] for entry in journal(anka)}
    assert "Started" == journal(anka)[-1]["answer"]["body"]["instance_state"]


def test_requests_to_the_control_api_are_not_in_the_journal(anka: Anka) -> None:
    """They are not counted either."""
    for method, target in (("GET", ""), ("GET", "/requests"), ("POST", "/clock/advance"), ("GET", "/nowhere")):
        ask(anka, method, f"/_mock{target}", data=b"{}")
    ask(anka, "GET", "/api/v1/status")

    assert [1] == numbers(anka)


def test_unknown_paths_and_invalid_bodies_are_in_the_journal(anka: Anka) -> None:
    """Every request to the controller has an entry."""
    ask(anka, "GET", "/nowhere")
    ask(anka, "OPTIONS", VM)
    ask(anka, "POST", VM, data=b"{")

    assert [("GET", 404), ("OPTIONS", 405), ("POST", 400)] == [
        (entry["method"], entry["status"]) for entry in journal(anka)
    ]


# How much is kept.


def test_ten_thousand_are_kept() -> None:
    """The oldest entries are dropped first and counted; the numbers go on."""
    kept = Journal()
    for number in range(MAX_ENTRIES + 25):
        kept.add("GET", f"/{number}", b"", b"", 0)

    assert (10_000, 10_000, 25, 10_025) == (MAX_ENTRIES, len(kept), kept.dropped, kept.count)
    assert ["/25", "/10024"] == [next(iter(kept)).path, list(kept)[-1].path]


def test_dropped_entries_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control API and the report have the number of all requests, and of the dropped ones."""
    monkeypatch.setattr("mockanka.simulator.journal.MAX_ENTRIES", 3)
    with mockanka.serve("default", clock="manual") as anka:
        for _ in range(5):
            ask(anka, "GET", "/api/v1/status")
        shown = ask(anka, "GET", "/_mock/requests").json()

        assert [3, 4, 5] == numbers(anka)
        assert (5, 2) == (shown["count"], shown["dropped"])
        assert (5, 2) == (anka.report().requests, anka.report().dropped)


def make_request(kind: str, number: int) -> dict[str, Any]:
    """Return the arguments of a request to a journal: small, with a long body or a long path, or with many headers."""
    body = b"x" * (MAX_ENTRY_BODY if kind == "body" else 40)
    path = "/é" + "p" * (60_000 if kind == "path" else 10) + str(number)
    count = 2_000 if kind == "headers" else 5
    headers = [(b"x%d" % index, b"%d" % number) for index in range(count)]
    return {
        "method": "POST",
        "path": path,
        "query": b"q=%d" % number,
        "body": body,
        "length": len(body),
        "headers": headers,
    }


@pytest.mark.parametrize("kind", ["small", "body", "path", "headers"])
def test_the_memory_of_the_journal_is_limited(kind: str) -> None:
    """Whatever the requests are like, the entries need no more memory than the limit, as tracemalloc counts it."""
    limit, response_headers = 4 * MIB, (b"content-type", b"content-length", b"cache-control")
    tracemalloc.start()
    try:
        kept = Journal(limit=limit)
        for number in range({"small": 4_000, "headers": 60}.get(kind, 400)):
            arguments = make_request(kind, number)
            arguments["body"] = bytes(bytearray(arguments["body"]))
            entry = kept.add(**arguments)
            headers = [(bytes(bytearray(name)), b"%d" % number) for name in response_headers]
            kept.add_response(entry, 200, headers, b"%d" % number * 1_000, 1_000_000 + number)
            del arguments, entry, headers
        used = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()

    assert kept.dropped > 0, "the limit was reached"
    assert kept.size <= limit
    assert 0.5 * kept.size < used < 1.05 * limit, "what is counted is what is used"


def test_an_entry_that_is_no_longer_kept_is_not_counted() -> None:
    """A response that comes late changes no count, after the entry made room as after the journal was cleared."""
    kept = Journal(limit=30_000)
    late = kept.add("POST", "/", b"", b"x" * 20_000, 20_000)
    kept.add("POST", "/", b"", b"x" * 20_000, 20_000)
    size = kept.size
    kept.add_response(late, 200, [], b"y" * 4_000, 1)
    first_counts = (kept.size - size, kept.dropped, len(kept), late.status)
    kept.clear()
    kept.add_response(late, 200, [], b"y" * 4_000, 1)

    assert (0, 1, 1, 200) == first_counts
    assert (0, 0) == (kept.size, len(kept))


def test_the_newest_request_is_kept_whatever_the_limit() -> None:
    """A single request that is larger than the limit is still shown."""
    kept = Journal(limit=0)
    for number in range(3):
        kept.add("GET", f"/{number}", b"", b"", 0)

    assert ["/2"] == [entry.path for entry in kept]


def test_dropped_requests_are_counted_from_a_number_on() -> None:
    """Those before the number, and those before the journal was cleared, do not matter."""
    kept = Journal(limit=0)
    for _ in range(5):
        kept.add("GET", "/", b"", b"", 0)
    counts = [kept.dropped_since(number) for number in (0, 2, 4, 9)]
    kept.clear()
    cleared = kept.dropped_since()
    for _ in range(3):
        kept.add("GET", "/", b"", b"", 0)

    assert [4, 2, 0, 0] == counts
    assert (0, 2) == (cleared, kept.dropped_since())


def test_others_are_served_while_a_long_list_is_written() -> None:
    """A listing of 60 MB comes in parts, between which polls are answered; it is complete, whatever they add."""
    with mockanka.serve("default", clock="manual") as anka:
        journal = anka._simulator.journal
        body = json.dumps({"x": "y" * 60_000}).encode()
        for _ in range(1_000):
            journal.add("POST", VM, b"", body + b"", len(body))
        polls = 0
        with (
            ThreadPoolExecutor() as pool,
            requests.get(f"{anka.url}/_mock/requests?body~=yy", stream=True, timeout=TIMEOUT) as listing,
        ):
            listed = pool.submit(lambda: listing.content)
            while not listed.done():
                polls += ask(anka, "GET", f"{VM}?id=x").status_code == 400
            shown = json.loads(listed.result())

    assert list(range(1, 1_001)) == [entry["number"] for entry in shown["requests"]]
    assert polls > 5, "polls were answered meanwhile"


def test_the_limit_of_the_journal_is_an_option_that_resets_keep() -> None:
    """``journal_limit`` takes a size; what was dropped is counted anew after a reset."""
    with mockanka.serve("default", clock="manual", journal_limit="50kB") as anka:
        counts = []
        for _ in range(2):
            for _ in range(5):
                ask(anka, "POST", VM, json={"x": "y" * 20_000})
            counts.append((len(anka.requests), anka.requests.dropped))
            anka.reset()

    assert [(2, 3), (2, 3)] == counts


# Filters.


@pytest.fixture(scope="module")
def filled() -> Iterator[Anka]:
    """A controller with seven requests: three polls, a start, two that fail, and an unknown path."""
    with mockanka.serve("default", clock="manual", release="1.50.1") as served:
        ask(served, "GET", VM)  # 1
        ask(served, "GET", f"{VM}?id=x")  # 2, 400
        start(served)  # 3
        ask(served, "GET", "/api/v1/registry/vm")  # 4
        ask(served, "DELETE", VM, json={"id": "x"})  # 5, 400
        ask(served, "GET", "/nowhere")  # 6, 404
        ask(served, "GET", VM)  # 7
        yield served


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [1, 2, 3, 4, 5, 6, 7]),
        ("?method=GET", [1, 2, 4, 6, 7]),
        ("?method=get", [1, 2, 4, 6, 7]),
        ("?method=DELETE", [5]),
        ("?method=PUT", []),
        ("?path=/api/v1/vm", [1, 2, 3, 5, 7]),
        ("?path=/api/*", [1, 2, 3, 4, 5, 7]),
        ("?path=*vm", [1, 2, 3, 4, 5, 7]),
        ("?path=/api/v1/*/vm", [4]),
        ("?path=/API/*", []),
        ("?status=200", [1, 3, 4, 7]),
        ("?status=400", [2, 5]),
        ("?status=404", [6]),
        ("?status=0", []),
        ("?since=0", [1, 2, 3, 4, 5, 6, 7]),
        ("?since=5", [6, 7]),
        ("?since=7", []),
        ("?since=1000000", []),
        ("?limit=2", [6, 7]),
        ("?limit=0", []),
        ("?limit=1000", [1, 2, 3, 4, 5, 6, 7]),
        ("?method=GET&path=/api/*&status=200&since=1&limit=1", [7]),
        ("?method=GET&limit=3", [4, 6, 7]),
        ("?since=2&limit=2", [6, 7]),
    ],
)
def test_entries_are_filtered(filled: Anka, query: str, expected: list[int]) -> None:
    """By method, path, status and number; of more than the limit the newest are taken, oldest first."""
    assert expected == numbers(filled, query)


@pytest.mark.parametrize(
    "query",
    [
        "?status=abc",
        "?status=",
        "?status=-1",
        "?status=2.0",
        "?status=200%20",
        "?status=٣",
        "?since=-1",
        "?since=last",
        "?since=99999999999999999999",
        "?limit=-1",
        "?limit=",
        "?limit=1e3",
        "?stauts=200",
        "?Method=GET",
        "?id=x",
    ],
)
def test_a_bad_filter_is_refused(filled: Anka, query: str) -> None:
    """The response to an invalid number or an unknown filter is a problem that names the parameter."""
    response = ask(filled, "GET", f"/_mock/requests{query}")

    assert (400, "application/problem+json") == (response.status_code, response.headers["Content-Type"])
    assert query[1:].partition("=")[0] in response.json()["detail"]


def test_an_entry_without_a_status_matches_no_filter_by_status(anka: Anka) -> None:
    """The request of a closed connection has no status, and is found by other filters."""
    anka.faults.add(do={"connection": "close"})
    with pytest.raises(requests.ConnectionError):
        ask(anka, "GET", VM)

    assert ([], [1]) == (numbers(anka, "?status=200"), numbers(anka, "?method=GET"))


# Forgetting.


def test_deleting_the_entries_keeps_the_numbers(anka: Anka) -> None:
    """After DELETE the journal is empty; later entries still match ``since``."""
    ask(anka, "GET", VM)
    ask(anka, "GET", VM)
    response = ask(anka, "DELETE", "/_mock/requests")
    remaining = numbers(anka)
    ask(anka, "GET", VM)

    assert (200, [], [3]) == (response.status_code, remaining, numbers(anka))
    assert [3] == numbers(anka, "?since=2")


def test_deleting_the_entries_changes_nothing_else(anka: Anka) -> None:
    """The state and the report stay as they were."""
    start(anka)
    before = anka.dump(), [str(finding) for finding in anka.report().findings]
    ask(anka, "DELETE", "/_mock/requests")

    assert before == (anka.dump(), [str(finding) for finding in anka.report().findings])


def test_a_reset_begins_a_new_journal(anka: Anka) -> None:
    """The journal is empty, and the numbers begin at 1."""
    ask(anka, "GET", VM)
    ask(anka, "GET", VM)
    ask(anka, "POST", "/_mock/reset")
    emptied = ask(anka, "GET", "/_mock/requests").json()
    ask(anka, "GET", VM)

    assert {"requests": [], "count": 0, "dropped": 0} == emptied
    assert [1] == numbers(anka)


def test_simultaneous_requests_have_numbers_of_their_own(anka: Anka) -> None:
    """No entry is missing and no number occurs twice when clients send requests at the same time."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: ask(anka, "GET", VM), range(80)))

    assert list(range(1, 81)) == numbers(anka)


SECRETS = {"Authorization": "Bearer s3cr3t", "Cookie": "id=s3cr3t", "X-Api-Key": "s3cr3t", "X-Job": "7"}


def test_headers_are_kept_without_their_secrets(anka: Anka) -> None:
    """The headers of a request and its response are shown; secrets are redacted by the names of their headers."""
    ask(anka, "GET", VM, headers=SECRETS)
    (entry,) = journal(anka)

    assert ["redacted", "redacted", "redacted", "7"] == [entry["headers"][name.lower()] for name in SECRETS]
    assert "application/json" == entry["response_headers"]["content-type"]
    assert entry["user_agent"] == entry["headers"]["user-agent"]
    assert entry["user_agent"].startswith("python-requests/")
    assert "s3cr3t" not in json.dumps(entry) + repr(anka.requests[0].headers)


SECRET_REQUESTS: list[dict[str, Any]] = [
    {"params": {"token": "s3cr3t", "id": "7"}},
    {"json": {"vnc_password": "s3cr3t", "list": [{"apiKey": "s3cr3t"}], "id": "7"}},
    {"data": '{"password": "s3cr3t", "id": "7"}', "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
    {"data": "password=s3cr3t&id=7", "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
    {"data": '{"password": "s3cr3t" , {"id": "7"}'},
    {"json": {"id": "7", "filling": "x" * (MAX_ENTRY_BODY - 60), "password": "s3cr3t" * 100}},
    {"json": {"id": "7", "filling": "x" * 140, "password": "s3cr3t"}},
    {"json": {"id": "7", "password": "s3cr3t" * 100}},
]


def all_that_is_shown(anka: Anka) -> str:
    """Return what the control API and the Python API show of the requests, and how they differ from others."""
    differences = ask(anka, "POST", "/_mock/requests/expect", json={"body": {"password": "x"}, "times": 9})
    unlike = ask(anka, "POST", "/_mock/requests/expect", json={"query": "x", "body": "x", "times": 9})
    unmatched = ask(anka, "POST", "/_mock/requests/expect", json={"body_matches": "x{9}y", "times": 9})
    listing = ask(anka, "GET", "/_mock/requests")
    texts = [response.text for response in (differences, unlike, unmatched, listing)]
    for pattern in ({"body": {"password": "x"}}, {"query": {"token": "x"}}):
        with pytest.raises(AssertionError) as caught:
            anka.requests.expect(times=9, **pattern)  # type: ignore[arg-type]
        texts.append(str(caught.value))
    return "\n".join([*texts, *(repr(request) for request in anka.requests)])


@pytest.mark.parametrize("options", SECRET_REQUESTS)
def test_queries_and_bodies_are_shown_without_their_secrets(anka: Anka, options: dict[str, Any]) -> None:
    """Secrets are redacted by their names, in JSON, forms, what is neither, and where a text is cut off."""
    ask(anka, "POST", VM, **options)
    shown = all_that_is_shown(anka)

    assert "s3cr" not in shown
    assert {"redacted", "7"} <= {*re.findall("redacted|7", shown)}


@pytest.mark.parametrize("options", SECRET_REQUESTS)
def test_redaction_changes_only_what_is_shown(anka: Anka, options: dict[str, Any]) -> None:
    """A test finds a request by the secret that it has, and sees it where it asks for the body."""
    ask(anka, "POST", VM, **options)
    (request,) = anka.requests

    assert "s3cr3t" in f"{request.query} {request.body}"
    assert [request] == list(anka.requests.where(query=request.query, body=request.body))
    if request.body_text:
        assert 1 == len(ask(anka, "GET", "/_mock/requests", params={"body~": "s3cr3t"}).json()["requests"])


def test_responses_are_shown_without_their_secrets(anka: Anka) -> None:
    """The VNC password of a VM is redacted by its name; what is beside it is not."""
    anka.faults.add(do={"body": {"vnc_password": "s3cr3t", "vnc_port": 5900}})
    ask(anka, "GET", VM)

    assert {"vnc_password": "redacted", "vnc_port": 5900} == journal(anka)[0]["answer"]
    assert {"vnc_password": "s3cr3t", "vnc_port": 5900} == anka.requests[0].answer


def test_secrets_are_kept_when_asked_for() -> None:
    """With ``keep_secrets`` requests are shown as they came, also after a reset."""
    with mockanka.serve(keep_secrets=True) as anka:
        anka.reset()
        ask(anka, "POST", VM, headers=SECRETS, params={"token": "t0ken"}, json={"password": "passw0rd"})
        (entry,) = journal(anka)

        assert SECRETS == {name: anka.requests[0].headers[name] for name in SECRETS}
        assert ({"token": "t0ken"}, {"password": "passw0rd"}) == (entry["query"], entry["body"])
        assert "token=t0ken" in str(anka.requests[0])
        assert "passw0rd" in str(anka.requests[0])
        assert "body.password: 'passw0rd', wanted 'x'" in all_that_is_shown(anka)


def test_requests_of_one_connection_have_its_number(anka: Anka) -> None:
    """A session has one address and one connection; another client has others."""
    with requests.Session() as session:
        session.get(anka.url + VM, timeout=TIMEOUT)
        session.get(anka.url + VM, timeout=TIMEOUT)
    ask(anka, "GET", VM)
    first, second, other = anka.requests

    assert first.connection > 0
    assert (first.client, first.connection) == (second.client, second.connection)
    assert other.connection == first.connection + 1
    assert first.client != other.client
    assert first.client.startswith("127.0.0.1:")


def test_headers_are_bounded() -> None:
    """Headers beyond MAX_ENTRY_HEADERS are left out, and equal ones of following requests are kept once."""
    journal = Journal()
    headers = [(b"x-a", b"a"), (b"x-b", b"b" * MAX_ENTRY_HEADERS), (b"x-c", b"c")]
    entry = journal.add("GET", VM, b"", b"", 0, headers)
    small = [journal.add("GET", VM, b"", b"", 0, [(b"x-a", b"1"), (b"x-a", b"2")]) for _ in range(2)]

    assert {"x-a": "a"} == entry.headers
    assert {"x-a": "1, 2"} == small[0].headers
    assert small[0].raw_headers is small[1].raw_headers


@pytest.mark.parametrize(
    ("query", "pattern", "found"),
    [
        ("external_id=job-1", {"external_id": "job-1"}, [1]),
        ("header=x-job", {"header": "X-Job"}, [1, 3]),
        ("header=X-Job:%207*", {"header": "X-Job: 7*"}, [1]),
        ("header=x-job&header=x-other", {"header": {"x-job": "8", "X-Other": "*"}}, [3]),
        ("user_agent=ci/*", {"user_agent": "ci/*"}, [3]),
        ("fault=down", {"fault": "down"}, [2]),
        ("fault=d*&user_agent=ci/*", {"fault": "d*", "user_agent": "ci/*"}, []),
        (r"body~=external_id%22:\s*%22job", {"body_matches": r'external_id":\s*"job'}, [1]),
    ],
)
def test_requests_are_filtered(anka: Anka, query: str, pattern: dict[str, Any], found: list[int]) -> None:
    """Each filter finds the same requests by HTTP and in Python."""
    body = {"vmid": next(iter(anka.templates)), "external_id": "job-1"}
    ask(anka, "POST", VM, json=body, headers={"X-Job": "77"})
    anka.faults.add(match={"path": VM, "method": "GET"}, do={"status": 503}, times=1, id="down")
    ask(anka, "GET", VM)
    ask(anka, "GET", VM, headers={"X-Job": "8", "X-Other": "a", "User-Agent": "ci/1"})

    assert found == numbers(anka, f"?{query}")
    assert found == [request.number for request in anka.requests.where(**pattern)]


def test_requests_about_an_instance_are_filtered(anka: Anka) -> None:
    """``instance`` finds the start and the requests that name the instance."""
    first, _ = start(anka, count=2)
    ask(anka, "GET", f"{VM}?id={first}")
    ask(anka, "GET", VM)

    assert [1, 2] == numbers(anka, f"?instance={first}")
    assert [1, 2] == [request.number for request in anka.requests.where(instance=first)]


def test_an_expectation_with_a_filter_names_what_the_nearest_request_has(anka: Anka) -> None:
    """The message of an expectation that fails shows the value that the filter looked at."""
    ask(anka, "GET", VM, headers={"User-Agent": "ci/1"})
    with pytest.raises(AssertionError, match=r"user_agent: 'ci/1', wanted 'go/\*'"):
        anka.requests.expect(user_agent="go/*")
