"""The journal: what came in, how it was answered, and who may see which of it."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

import mockanka
from mockanka.simulator.journal import MAX_ENTRIES, MAX_ENTRY_BODY, MAX_ENTRY_RESPONSE, Journal
from mockanka.testing.anka import Anka
from mockanka.units import format_moment

VM = "/api/v1/vm"
BEGIN = "2024-01-01T00:00:00Z"
TIMEOUT = 5.0
KEYS = "number at wall method path query body status answer seconds fault outcome instances".split()


@pytest.fixture
def anka() -> Iterator[Anka]:
    with mockanka.serve("default", clock="manual", seed=1) as served:
        yield served


def ask(anka: Anka, method: str, target: str, **more: Any) -> requests.Response:
    return requests.request(method, anka.url + target, timeout=TIMEOUT, **more)


def start(anka: Anka, **more: object) -> list[str]:
    wanted = {"vmid": next(iter(anka.templates)), **more}
    ids: list[str] = ask(anka, "POST", VM, json=wanted).json()["body"]
    return ids


def journal(anka: Anka, query: str = "") -> list[dict[str, Any]]:
    """The entries as the control API shows them, read as strictly as other languages read JSON."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    answer = ask(anka, "GET", f"/_mock/requests{query}")
    assert 200 == answer.status_code, answer.text
    found: list[dict[str, Any]] = json.loads(answer.text, parse_constant=refuse)["requests"]
    return found


def numbers(anka: Anka, query: str = "") -> list[int]:
    return [entry["number"] for entry in journal(anka, query)]


# What an entry tells.


def test_an_entry_tells_all_of_a_request(anka: Anka) -> None:
    """Number, both times, method, path, query, body, status, answer, how long it took, and the instances."""
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    wanted = {"vmid": next(iter(anka.templates)), "count": 2}
    answer = ask(anka, "POST", f"{VM}?a=1&b=%20x&a=2", json=wanted)
    after = datetime.now(UTC)
    (entry,) = journal(anka)

    assert KEYS == list(entry)
    assert (1, BEGIN, "POST", VM) == (entry["number"], entry["at"], entry["method"], entry["path"])
    assert {"a": "1", "b": " x"} == entry["query"]
    assert (wanted, 200, answer.json()) == (entry["body"], entry["status"], entry["answer"])
    assert answer.json()["body"] == entry["instances"]
    assert (None, None) == (entry["fault"], entry["outcome"])
    assert before <= datetime.fromisoformat(entry["wall"]) <= after
    assert 0 < entry["seconds"] < TIMEOUT


@pytest.mark.parametrize(("clock", "seconds"), [("manual", [0, 0, 90]), ("step", [5, 10, 105])])
def test_the_time_is_the_controllers_as_well(clock: str, seconds: list[int]) -> None:
    """``at`` is what the clock said when the request was answered."""
    with mockanka.serve("default", clock=clock) as anka:
        ask(anka, "GET", VM)
        ask(anka, "GET", "/api/v1/status")
        anka.clock.advance("90s")
        ask(anka, "GET", f"{VM}?id=nobody")
        begin = datetime.fromisoformat(BEGIN)

        assert seconds == [(datetime.fromisoformat(each["at"]) - begin).seconds for each in journal(anka)]


@pytest.mark.parametrize("delay", [False, True])
def test_a_requests_time_is_when_it_was_carried_out(anka: Anka, delay: bool) -> None:
    """``at`` is when the controller did what was asked, which a delay of the answer does not change."""
    if delay:
        anka.faults.add(do={"delay": "1m"})
    began = format_moment(int(anka.clock.now.timestamp()) * 10**9)
    ask(anka, "GET", "/api/v1/status")

    assert began == journal(anka)[0]["at"]


def test_numbers_and_walls_times_grow(anka: Anka) -> None:
    """Entries stand in the order in which they came."""
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
def test_a_body_is_shown_as_what_it_is(anka: Anka, body: bytes, shown: object) -> None:
    """JSON as what it says, anything else as text."""
    ask(anka, "POST", VM, data=body)
    (entry,) = journal(anka)

    assert shown == entry["body"]
    assert "body_length" not in entry


@pytest.mark.parametrize("body", [b'{"x": NaN}', b'{"x": [-Infinity]}', b'{"x": 1e999}', b"Infinity"])
def test_the_journal_is_json_whatever_came_in(anka: Anka, body: bytes) -> None:
    """Numbers that JSON does not have do not get into the answer, which other languages could not read."""
    ask(anka, "POST", VM, data=body)

    assert isinstance(journal(anka), list)


def test_the_journal_is_shown_however_deep_a_body_was(anka: Anka) -> None:
    """No body is nested so deep that it can be read but not be written again."""
    with requests.Session() as session:
        for depth in range(900, 1000):
            session.post(anka.url + VM, data=b"[" * depth + b"]" * depth, timeout=TIMEOUT)

    assert 100 == len(journal(anka))


@pytest.mark.parametrize(
    ("length", "cut"), [(MAX_ENTRY_BODY, False), (MAX_ENTRY_BODY + 1, True), (MAX_ENTRY_BODY * 20, True)]
)
def test_a_long_body_is_cut_off(anka: Anka, length: int, cut: bool) -> None:
    """So much is kept of it, as text, and its whole length is told."""
    body = json.dumps({"x": "y" * (length - len(json.dumps({"x": ""})))}).encode()
    ask(anka, "POST", VM, data=body)
    (entry,) = journal(anka)

    assert length == len(body)
    if cut:
        assert (body[:MAX_ENTRY_BODY].decode(), length) == (entry["body"], entry["body_length"])
    else:
        assert json.loads(body) == entry["body"]


def test_a_body_is_kept_up_to_64_kib(anka: Anka) -> None:
    """The limit itself: a byte less is whole, and of the next ten times as many nothing is kept."""
    ask(anka, "POST", VM, data=b"x" * 65_535)
    ask(anka, "POST", VM, data=b"x" * 655_360)

    assert [65_535, 65_536] == [len(entry["body"]) for entry in journal(anka)]


def test_a_long_answer_is_cut_off(anka: Anka) -> None:
    """A list of many instances is text that breaks off."""
    start(anka, count=50)
    answer = ask(anka, "GET", VM)
    entry = journal(anka)[-1]

    assert len(answer.content) > MAX_ENTRY_RESPONSE
    assert answer.text[:MAX_ENTRY_RESPONSE] == entry["answer"]


def test_an_answer_without_a_body_is_none(anka: Anka) -> None:
    """The 405 has nothing, the 404 text."""
    ask(anka, "PATCH", VM)
    ask(anka, "GET", "/nowhere")

    assert [(405, None), (404, "404 page not found\n")] == [(each["status"], each["answer"]) for each in journal(anka)]


@pytest.mark.parametrize(
    ("do", "fault", "status", "outcome"),
    [
        ({"status": 503}, "mine", 503, None),
        ({"status": 503, "acts": True}, "mine", 503, "replaced"),
        ({"fail": "no"}, "mine", 400, None),
        ({"fail": "no", "acts": True}, "mine", 400, "replaced"),
        ({"body": "<p>"}, "mine", 200, "replaced"),
        ({"content_type": "text/html"}, "mine", 200, None),
        ({"delay": "1s"}, "mine", 200, None),
        ({"dribble": "1s"}, "mine", 200, None),
        ({"stale": True}, "", 200, None),
        ({"connection": "close"}, "mine", None, "closed"),
        ({"connection": "reset"}, "mine", 200, "reset"),
        ({"cut": "50%"}, "mine", 200, "cut"),
        ({"cut": "100%"}, "mine", 200, None),
        ({"refuse": "1h"}, "mine", None, "refused"),
    ],
)
def test_an_entry_names_the_fault_and_what_became_of_the_answer(
    anka: Anka, do: dict[str, object], fault: str, status: int | None, outcome: str | None
) -> None:
    """Which rule struck, which status went out if one did, and whether the client lost the controller's answer."""
    anka.faults.add(id="mine", do=do)
    connection = http.client.HTTPConnection(urlsplit(anka.url).netloc, timeout=TIMEOUT)
    with closing(connection):
        connection.request("GET", VM)
        try:
            with connection.getresponse() as response:
                response.read()
        except (OSError, http.client.HTTPException):
            pass
    if "refuse" in do:
        anka.faults.remove("mine")
    (entry,) = anka.requests

    assert (fault, status, outcome or "") == (entry.fault, entry.status, entry.outcome)


@pytest.mark.parametrize(
    ("do", "expected"),
    [({"connection": "close"}, "closed"), ({"connection": "reset"}, "reset"), ({"cut": "50%"}, "cut")],
)
def test_what_became_of_an_answer_is_known_once_the_client_sees_it(
    anka: Anka, do: dict[str, object], expected: str
) -> None:
    """A client whose connection breaks off and who looks at once finds it told, each time."""
    anka.faults.add(do=do)
    told: list[tuple[str, bool]] = []
    for _ in range(40):
        with pytest.raises(requests.RequestException):
            ask(anka, "GET", VM)
        told.append((anka.requests[-1].outcome, anka.requests[-1].status is None))

    assert {(expected, expected == "closed")} == set(told)


def test_what_a_fault_answers_is_what_the_journal_shows(anka: Anka) -> None:
    """The answer of an entry is the one that went out, not the controller's."""
    anka.faults.add(do={"status": 502, "body": {"from": "a proxy"}})
    ask(anka, "GET", VM)

    assert (502, {"from": "a proxy"}) == (journal(anka)[0]["status"], journal(anka)[0]["answer"])


def test_entries_name_the_instances_they_are_about(anka: Anka) -> None:
    """Starts name what they started, polls, updates, terminates and saves what they were asked for; others nothing."""
    one, two = start(anka, count=2)
    ask(anka, "GET", VM)
    ask(anka, "GET", f"{VM}?id={one}")
    ask(anka, "PUT", f"{VM}?id={two}", json={"name": "x"})
    ask(anka, "DELETE", VM, json={"id": two})
    ask(anka, "POST", "/api/v1/image", json={"id": one, "new_template_name": "x"})
    ask(anka, "GET", "/api/v1/node?id=x")
    ask(anka, "POST", VM, json={"vmid": "nothing"})

    assert [[one, two], [], [one], [two], [two], [one], [], []] == [each["instances"] for each in journal(anka)]


def test_an_image_request_is_not_an_instance(anka: Anka) -> None:
    """Who asks for a save image request by its id names no instance."""
    id = next(iter(anka.instances))
    request_id = ask(anka, "POST", "/api/v1/image", json={"id": id, "new_template_name": "x"}).json()["body"]
    ask(anka, "GET", f"/api/v1/image?id={request_id['request_id']}")

    assert [[id], []] == [each["instances"] for each in journal(anka)]


def test_a_line_tells_a_request_to_a_person(anka: Anka) -> None:
    """Number, time, method, target, body, status; the fault and the outcome in brackets."""
    ask(anka, "GET", f"{VM}?id=x")
    anka.faults.add(id="gone", do={"connection": "close"})
    with pytest.raises(requests.ConnectionError):
        ask(anka, "DELETE", VM, data='{"id":\n "x"}')

    assert [
        f"#1 {BEGIN} GET {VM}?id=x -> 400 FAIL 'Not found'",
        f'#2 {BEGIN} DELETE {VM} {{"id": "x"}} -> no answer [fault gone, closed]',
    ] == [str(each) for each in anka.requests]


# What is in it.


def test_polls_answered_at_the_door_are_in_it(anka: Anka) -> None:
    """A poll that the application never sees is an entry like any other, with its answer."""
    id = next(iter(anka.instances))
    for target in (VM, VM, f"{VM}?id={id}", f"{VM}?id={id}"):
        ask(anka, "GET", target)

    assert [{}, {}, {"id": id}, {"id": id}] == [each["query"] for each in journal(anka)]
    assert {200} == {each["status"] for each in journal(anka)}
    assert "Started" == journal(anka)[-1]["answer"]["body"]["instance_state"]


def test_control_calls_are_not_in_it(anka: Anka) -> None:
    """Steering leaves no trace among the requests."""
    for method, target in (("GET", ""), ("GET", "/requests"), ("POST", "/clock/advance"), ("GET", "/nowhere")):
        ask(anka, method, f"/_mock{target}", data=b"{}")
    ask(anka, "GET", "/api/v1/status")

    assert [1] == numbers(anka)


def test_unknown_paths_and_broken_bodies_are_in_it(anka: Anka) -> None:
    """Whatever a client asks is kept."""
    ask(anka, "GET", "/nowhere")
    ask(anka, "OPTIONS", VM)
    ask(anka, "POST", VM, data=b"{")

    assert [("GET", 404), ("OPTIONS", 405), ("POST", 400)] == [(e["method"], e["status"]) for e in journal(anka)]


# How much is kept.


def test_ten_thousand_are_kept() -> None:
    """The oldest go first; how many went is counted, and numbers go on."""
    kept = Journal()
    for number in range(MAX_ENTRIES + 25):
        kept.add("GET", f"/{number}", b"", b"", 0)

    assert (10_000, 10_000, 25, 10_025) == (MAX_ENTRIES, len(kept), kept.dropped, kept.count)
    assert ["/25", "/10024"] == [next(iter(kept)).path, list(kept)[-1].path]


def test_what_was_dropped_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control API and the report count all, and those that are not kept."""
    monkeypatch.setattr("mockanka.simulator.journal.MAX_ENTRIES", 3)
    with mockanka.serve("default", clock="manual") as anka:
        for _ in range(5):
            ask(anka, "GET", "/api/v1/status")
        told = ask(anka, "GET", "/_mock/requests").json()

        assert [3, 4, 5] == numbers(anka)
        assert (5, 2) == (told["count"], told["dropped"])
        assert (5, 2) == (anka.report().requests, anka.report().dropped)


# Filters.


@pytest.fixture(scope="module")
def filled() -> Iterator[Anka]:
    """Seven requests: three polls, a start, two that fail, one that nobody knows."""
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
def test_a_filter_leaves_what_fits(filled: Anka, query: str, expected: list[int]) -> None:
    """By method, path, status, number; of more than the limit the newest are taken, and all stand oldest first."""
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
    """Numbers that are none, and filters that are not there, are problems that name what was wrong."""
    answer = ask(filled, "GET", f"/_mock/requests{query}")

    assert (400, "application/problem+json") == (answer.status_code, answer.headers["Content-Type"])
    assert query[1:].partition("=")[0] in answer.json()["detail"]


def test_what_went_out_without_a_status_is_in_no_filter_by_status(anka: Anka) -> None:
    """A connection that was closed has no status, and is found otherwise."""
    anka.faults.add(do={"connection": "close"})
    with pytest.raises(requests.ConnectionError):
        ask(anka, "GET", VM)

    assert ([], [1]) == (numbers(anka, "?status=200"), numbers(anka, "?method=GET"))


# Forgetting.


def test_forgetting_empties_it_and_numbers_go_on(anka: Anka) -> None:
    """After DELETE there is nothing, and who asked for all since a number misses none."""
    ask(anka, "GET", VM)
    ask(anka, "GET", VM)
    answer = ask(anka, "DELETE", "/_mock/requests")
    left = numbers(anka)
    ask(anka, "GET", VM)

    assert (200, [], [3]) == (answer.status_code, left, numbers(anka))
    assert [3] == numbers(anka, "?since=2")


def test_forgetting_changes_nothing_else(anka: Anka) -> None:
    """The state and the report are as they were."""
    start(anka)
    before = anka.dump(), [str(each) for each in anka.report().findings]
    ask(anka, "DELETE", "/_mock/requests")

    assert before == (anka.dump(), [str(each) for each in anka.report().findings])


def test_a_reset_begins_a_new_journal(anka: Anka) -> None:
    """Nothing is left and numbers begin at 1."""
    ask(anka, "GET", VM)
    ask(anka, "GET", VM)
    ask(anka, "POST", "/_mock/reset")
    left = ask(anka, "GET", "/_mock/requests").json()
    ask(anka, "GET", VM)

    assert {"requests": [], "count": 0, "dropped": 0} == left
    assert [1] == numbers(anka)


def test_many_at_once_each_have_a_number(anka: Anka) -> None:
    """No entry is lost or doubled when clients ask at the same time."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: ask(anka, "GET", VM), range(80)))

    assert list(range(1, 81)) == numbers(anka)
