"""Faults as a client meets them: each kind, at the door and in life, on a real connection."""

from __future__ import annotations

import errno
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import cached_property
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
import requests

import mockanka
from mockanka.core.faults import LIFECYCLE_FAULTS, RESPONSE_FAULTS
from mockanka.testing.anka import Anka
from tests.processes import Serving, serving

VM = "/api/v1/vm"
STATUS = "/api/v1/status"
TIMEOUT = 5.0


class Answer(NamedTuple):
    """What a client got."""

    status: int
    type: str | None
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def connect(url: str) -> closing[http.client.HTTPConnection]:
    return closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=TIMEOUT))


def take(connection: http.client.HTTPConnection) -> Answer:
    with connection.getresponse() as response:
        return Answer(response.status, response.headers["Content-Type"], response.read())


def ask(url: str, method: str = "GET", target: str = VM, body: object = None) -> Answer:
    """One request on a connection of its own."""
    with connect(url) as connection:
        connection.request(method, target, None if body is None else json.dumps(body))
        return take(connection)


def raw(url: str) -> socket.socket:
    host, port = urlsplit(url).hostname, urlsplit(url).port
    return socket.create_connection((host or "", port or 0), timeout=TIMEOUT)


def head(method: str = "GET", target: str = VM, body: bytes = b"") -> bytes:
    return f"{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def hear(connection: socket.socket) -> tuple[bytes, bool]:
    """All that comes until the connection ends, and whether it ended by a reset."""
    heard = b""
    while True:
        try:
            part = connection.recv(65536)
        except ConnectionResetError:
            return heard, True
        if not part:
            return heard, False
        heard += part


def template(url: str) -> str:
    return str(ask(url, target="/api/v1/registry/vm").json["body"][0]["id"])


def start(url: str, **more: object) -> Answer:
    return ask(url, "POST", VM, {"vmid": template(url), **more})


def count(url: str) -> int:
    """How many instances there are."""
    return len(ask(url).json["body"])


def took(what: Callable[[], object]) -> float:
    began = time.monotonic()
    what()
    return time.monotonic() - began


def moved(anka: Anka, what: Callable[[], object]) -> float:
    """By how many seconds the controller's clock is later afterwards."""
    began = anka.clock.now
    what()
    return (anka.clock.now - began).total_seconds()


@pytest.fixture
def anka() -> Iterator[Anka]:
    """A controller whose clock stands still, with one instance."""
    with mockanka.serve("default", clock="manual", seed=1) as served:
        yield served


@pytest.fixture
def by_wall() -> Iterator[Anka]:
    """One whose clock runs by itself, ten times as fast as the wall's."""
    with mockanka.serve("default", clock="real", speed=10, seed=1) as served:
        yield served


# Delay.

DELAYS: dict[str, tuple[object, float, float]] = {
    "fixed": ("1s", 1.0, 1.0),
    "uniform": ({"uniform": ["500ms", "1500ms"]}, 0.5, 1.5),
    "normal": ({"normal": ["1s", "100ms"]}, 0.3, 1.7),
    "lognormal": ({"lognormal": ["1s", 0.1]}, 0.3, 2.0),
}


@pytest.mark.parametrize("kind", DELAYS)
def test_a_delay_is_waited_for_by_a_real_clock(kind: str) -> None:
    """By a real clock an answer comes as late as was drawn, which is the same by each clock, scaled by its speed."""
    delay, low, high = DELAYS[kind]
    with mockanka.serve("default", clock="manual", seed=4) as still:
        still.faults.add(do={"delay": delay})
        drawn = moved(still, lambda: ask(still.url))
    with mockanka.serve("default", clock="real", speed=10, seed=4) as running:
        running.faults.add(do={"delay": delay})
        waited = took(lambda: ask(running.url))

    assert low <= drawn <= high
    assert drawn / 10 <= waited < drawn


@pytest.mark.parametrize("kind", DELAYS)
def test_a_delay_moves_a_manual_clock(anka: Anka, kind: str) -> None:
    """By a manual clock nobody waits: the clock moves on by what was drawn, again by each request."""
    delay, low, high = DELAYS[kind]
    anka.faults.add(do={"delay": delay})
    drawn = [moved(anka, lambda: ask(anka.url)) for _ in range(4)]

    assert all(low <= each <= high for each in drawn)
    assert (1 if kind == "fixed" else 4) == len(set(drawn))


def test_a_delay_comes_on_top_of_a_step() -> None:
    """By a stepping clock the clock moves by its step, and by the delay."""
    with mockanka.serve("default", clock="step", step="2s") as anka:
        anka.faults.add(do={"delay": "30s"})
        passed = moved(anka, lambda: ask(anka.url))

    assert 32.0 == passed


@pytest.mark.parametrize(("clock", "seconds"), [("manual", 3600.0), ("step", 3605.0)])
def test_a_long_delay_takes_no_wall_time_by_a_clock_that_stands(clock: str, seconds: float) -> None:
    """An hour's delay is over at once where the clock can be moved."""
    with mockanka.serve("default", clock=clock) as anka:
        anka.faults.add(do={"delay": "1h"})
        waited = took(lambda: ask(anka.url))

        assert seconds == (anka.clock.now - anka.requests[0].at).total_seconds() + (5.0 if clock == "step" else 0.0)
        assert waited < 1


def _seeded(own: int | None) -> dict[str, Any]:
    return {} if own is None else {"seed": own}


def draws(seed: int, own: int | None = None, id: str = "slow") -> list[float]:
    """What a rule draws for four requests, with that seed of the controller and that of its own."""
    with mockanka.serve("default", clock="manual", seed=seed) as anka:
        anka.faults.add(id=id, do={"delay": {"uniform": ["0s", "1h"]}}, **_seeded(own))
        return [moved(anka, lambda: ask(anka.url)) for _ in range(4)]


def test_delays_are_drawn_by_the_seed() -> None:
    """The same seed gives the same delays, another seed or another rule others; a rule's own seed beats all."""
    assert draws(7) == draws(7)
    assert draws(7) != draws(8)
    assert draws(7) != draws(7, id="other")
    assert draws(7, own=3) == draws(8, own=3)
    assert draws(7, own=3) == draws(3)


def test_what_is_delayed_happens_at_once(anka: Anka) -> None:
    """The controller acts when the request comes; only the answer is late."""
    made = start(anka.url).json["body"][0]
    anka.wait(made, "Scheduling")
    anka.faults.add(match={"method": "GET", "path": VM}, do={"delay": "1m"}, times=1)
    late = ask(anka.url, target=f"{VM}?id={made}").json["body"]["instance_state"]
    now = ask(anka.url, target=f"{VM}?id={made}").json["body"]["instance_state"]

    assert ("Scheduling", "Started") == (late, now)


def test_a_delayed_answer_does_not_hold_up_others(by_wall: Anka) -> None:
    """While one client waits, others are answered, and see what the waiting one has brought about."""
    wanted = {"vmid": template(by_wall.url)}
    by_wall.faults.add(match={"method": "POST"}, do={"delay": "2500ms"})
    waiting = threading.Thread(target=lambda: ask(by_wall.url, "POST", VM, wanted))
    waiting.start()
    try:
        deadline = time.monotonic() + TIMEOUT
        while (there := count(by_wall.url)) == 1 and time.monotonic() < deadline:
            pass
        waits = waiting.is_alive()
    finally:
        waiting.join()

    assert (2, True) == (there, waits)


def test_answers_on_one_connection_keep_their_order(by_wall: Anka) -> None:
    """Of two requests sent at once the second waits for the delayed first."""
    by_wall.faults.add(match={"path": STATUS}, do={"delay": "500ms"})
    with closing(raw(by_wall.url)) as connection:
        connection.sendall(head(target=STATUS) + head(target="/nowhere"))
        heard = b""
        while b"404 page not found\n" not in heard:
            part = connection.recv(65536)
            assert part
            heard += part

    assert heard.startswith(b"HTTP/1.1 200 OK\r\n")
    assert 2 == heard.count(b"HTTP/1.1 ")


# Status and fail.


@pytest.mark.parametrize(
    ("do", "expected"),
    [
        ({"status": 503}, (503, "text/plain; charset=utf-8", b"")),
        ({"status": 502, "body": "Bad Gateway"}, (502, "text/plain; charset=utf-8", b"Bad Gateway")),
        ({"status": 500, "body": {"error": "x", "n": [1, 2]}}, (500, "application/json", b'{"error":"x","n":[1,2]}')),
        ({"status": 429, "body": '{"slow": "down"}'}, (429, "application/json", b'{"slow": "down"}')),
        (
            {"status": 502, "body": "<html>nginx</html>", "content_type": "text/html"},
            (502, "text/html", b"<html>nginx</html>"),
        ),
        ({"status": 200, "body": "fine"}, (200, "text/plain; charset=utf-8", b"fine")),
        ({"status": 599, "body": "é"}, (599, "text/plain; charset=utf-8", "é".encode())),
    ],
)
def test_a_status_is_answered_with_the_body_it_brings(anka: Anka, do: dict[str, object], expected: object) -> None:
    """The client gets the status, the body as text or as JSON, and the content type that fits or that is given."""
    anka.faults.add(do=do)

    assert expected == ask(anka.url)


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_a_body_leaves_the_connection_usable(anka: Anka, status: int) -> None:
    """What has no body by the rules of HTTP has none, and the next answer comes on the same connection."""
    anka.faults.add(do={"status": status}, times=1)
    with connect(anka.url) as connection:
        connection.request("GET", VM)
        first = take(connection)
        connection.request("GET", STATUS)
        second = take(connection)

    assert (status, b"") == (first.status, first.body)
    assert "OK" == second.json["status"]


@pytest.mark.parametrize(
    ("release", "more", "status"),
    [("1.8.0", {}, 200), ("1.50.1", {}, 400), ("1.8.0", {"status": 500}, 500), ("1.50.1", {"status": 200}, 200)],
)
def test_a_failure_comes_in_the_envelope(release: str, more: dict[str, object], status: int) -> None:
    """A FAIL with the message, with the status of the release unless the rule says another."""
    with mockanka.serve("default", clock="manual", release=release) as anka:
        anka.faults.add(do={"fail": "no <luck>", **more})
        answer = ask(anka.url, "POST", VM, {"vmid": template_in(anka)})

        assert (status, "application/json") == answer[:2]
        assert b'{"status":"FAIL","message":"no \\u003cluck\\u003e"}\n' == answer.body
        assert 1 == len(anka.instances)


def template_in(anka: Anka) -> str:
    """A template's id, asked for without a request."""
    return next(iter(anka.templates))


# Refusing connections.


def refused(url: str) -> bool:
    try:
        with closing(raw(url)):
            return False
    except ConnectionRefusedError:
        return True


def until(what: Callable[[], bool]) -> float:
    """How many seconds it takes until that is so."""
    began = time.monotonic()
    while not what():
        assert time.monotonic() - began < TIMEOUT
        time.sleep(0.002)
    return time.monotonic() - began


def lose(url: str) -> None:
    """Make a request whose connection breaks off without an answer."""
    with closing(raw(url)) as connection:
        connection.sendall(head())
        assert b"" == hear(connection)[0]


def test_connections_are_refused_for_a_time(anka: Anka) -> None:
    """The request that strikes is not answered, then nobody gets in, until the time is over."""
    anka.faults.add(do={"refuse": "200ms"}, times=1)
    lose(anka.url)
    shut = refused(anka.url)
    waited = until(lambda: not refused(anka.url))

    assert shut
    assert 0.1 < waited < 2
    assert 1 == count(anka.url)


def test_a_time_of_refusing_is_scaled_by_the_speed_of_a_real_clock(by_wall: Anka) -> None:
    """Two seconds of a clock that runs ten times as fast are 0.2 of the wall's."""
    by_wall.faults.add(do={"refuse": "2s"}, times=1)
    lose(by_wall.url)
    shut = refused(by_wall.url)
    waited = until(lambda: not refused(by_wall.url))

    assert shut
    assert 0.1 < waited < 1.5


def test_existing_connections_break_when_connections_are_refused(anka: Anka) -> None:
    """Whoever is connected, idle or in the middle of a request, is cut off."""
    anka.faults.add(match={"path": STATUS}, do={"refuse": "1h"})
    with closing(raw(anka.url)) as idle, closing(raw(anka.url)) as half, closing(raw(anka.url)) as striking:
        idle.sendall(head(target="/nowhere"))
        assert idle.recv(65536)
        half.sendall(b"POST /api/v1/vm HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        striking.sendall(head(target=STATUS))

        assert [b""] * 3 == [hear(each)[0] for each in (striking, idle, half)]
        assert refused(anka.url)


def test_a_waiting_client_is_cut_off_when_connections_are_refused(by_wall: Anka) -> None:
    """An answer that a delay holds back never comes."""
    by_wall.faults.add(match={"method": "GET", "path": VM}, do={"delay": "1h"})
    by_wall.faults.add(match={"path": STATUS}, do={"refuse": "1h"})
    with closing(raw(by_wall.url)) as waiting:
        waiting.sendall(head())
        until(lambda: len(by_wall.requests) == 1)
        lose_at = head(target=STATUS)
        with closing(raw(by_wall.url)) as striking:
            striking.sendall(lose_at)
            assert b"" == hear(striking)[0]

        assert b"" == hear(waiting)[0]
        until(lambda: by_wall.requests[0].outcome != "")
        assert "client left" == by_wall.requests[0].outcome


@pytest.mark.parametrize("how", ["remove", "clear", "reset", "load"])
def test_connections_are_accepted_again_without_the_rule(anka: Anka, how: str) -> None:
    """Who takes the rule away, resets or loads need not wait for its time."""
    rule = anka.faults.add(do={"refuse": "1h"})
    lose(anka.url)
    shut = refused(anka.url)
    ends: dict[str, Callable[[], object]] = {
        "remove": lambda: anka.faults.remove(rule),
        "clear": anka.faults.clear,
        "reset": anka.reset,
        "load": lambda: anka.load("default"),
    }
    ends[how]()
    until(lambda: not refused(anka.url))

    assert shut
    assert 1 == count(anka.url)


def test_another_rules_removal_does_not_let_anybody_in(anka: Anka) -> None:
    """Only the rule that refuses counts."""
    anka.faults.add(do={"refuse": "1h"})
    other = anka.faults.add(do={"status": 503})
    lose(anka.url)
    anka.faults.remove(other)

    assert refused(anka.url)


def test_connections_can_be_refused_again_and_again(anka: Anka) -> None:
    """Refused, accepted, refused: each time it is the same address."""
    for _ in range(5):
        anka.faults.add(id="shut", do={"refuse": "1h"})
        lose(anka.url)
        assert refused(anka.url)
        anka.faults.remove("shut")
        until(lambda: not refused(anka.url))

    assert 1 == count(anka.url)


def bind(url: str, reuse: bool) -> int:
    """The error of somebody else who would take the address, 0 if he gets it."""
    with closing(socket.socket()) as other:
        if reuse:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            other.bind((urlsplit(url).hostname, urlsplit(url).port))
            other.listen()
        except OSError as wrong:
            return wrong.errno or -1
        return 0


@pytest.mark.parametrize("reuse", [False, True])
def test_the_port_stays_taken_while_connections_are_refused(anka: Anka, reuse: bool) -> None:
    """Nobody else can listen on the address meanwhile, not even one who sets SO_REUSEADDR, as all servers do."""
    anka.faults.add(do={"refuse": "1h"})
    lose(anka.url)

    assert errno.EADDRINUSE == bind(anka.url, reuse)


def test_a_server_that_refuses_stops_at_once_and_frees_its_port(anka: Anka) -> None:
    """To stop it need not wait for the time to be over."""
    anka.faults.add(do={"refuse": "1h"})
    lose(anka.url)
    lasted = took(anka.stop)

    assert lasted < 1
    assert 0 == bind(anka.url, reuse=True)


def test_what_is_refused_is_not_carried_out_and_stands_in_the_journal(anka: Anka) -> None:
    """The start that makes the connections be refused starts nothing."""
    anka.faults.add(id="shut", do={"refuse": "1h"})
    with closing(raw(anka.url)) as connection:
        connection.sendall(head("POST", VM, json.dumps({"vmid": template_in(anka)}).encode()))
        hear(connection)
    (only,) = anka.requests

    assert 1 == len(anka.instances)
    assert ("shut", "refused", None, ()) == (only.fault, only.outcome, only.status, only.instances)


# Broken connections.


def test_a_closed_connection_brings_no_answer(anka: Anka) -> None:
    """The connection ends in good order without a byte; the next one is answered."""
    anka.faults.add(do={"connection": "close"}, times=1)
    with closing(raw(anka.url)) as connection:
        connection.sendall(head())
        heard = hear(connection)

    assert (b"", False) == heard
    assert 1 == count(anka.url)


def test_a_closed_connection_is_a_disconnect_to_http_clients(anka: Anka) -> None:
    """http.client says RemoteDisconnected, requests ConnectionError."""
    anka.faults.add(do={"connection": "close"})

    with pytest.raises(http.client.RemoteDisconnected):
        ask(anka.url)
    with pytest.raises(requests.ConnectionError):
        requests.get(anka.url + VM, timeout=TIMEOUT)


@pytest.mark.parametrize(
    ("at", "share"), [({}, 0.5), ({"at": "0%"}, 0.0), ({"at": "25%"}, 0.25), ({"at": "100%"}, 1.0)]
)
def test_a_reset_connection_breaks_in_the_middle_of_the_body(anka: Anka, at: dict[str, str], share: float) -> None:
    """The head comes and so much of the body, half unless the rule says, then the connection is reset."""
    whole = ask(anka.url).body
    anka.faults.add(do={"connection": "reset", **at})
    with closing(raw(anka.url)) as connection:
        connection.sendall(head())
        heard, reset = hear(connection)
    top, _, body = heard.partition(b"\r\n\r\n")

    assert reset
    assert top.startswith(b"HTTP/1.1 200 OK\r\n")
    assert f"content-length: {len(whole)}".encode() in top
    assert whole[: int(len(whole) * share)] == body


def test_a_reset_connection_is_an_error_to_http_clients(anka: Anka) -> None:
    """Reading the body raises ConnectionResetError."""
    anka.faults.add(do={"connection": "reset"})
    with connect(anka.url) as connection:
        connection.request("GET", VM)
        with connection.getresponse() as response, pytest.raises(ConnectionResetError):
            response.read()


WHOLE = 1_000_000


@pytest.mark.parametrize(
    ("cut", "expected"),
    [(0, 0), (1, 1), (100, 100), ("100B", 100), ("0%", 0), ("10%", 0.1), ("50%", 0.5), ("99.5%", 0.995)],
)
def test_an_answer_is_cut_at_so_many_bytes(anka: Anka, cut: object, expected: float) -> None:
    """The head promises the whole, and exactly so much of it comes."""
    whole = ask(anka.url).body
    wanted = int(len(whole) * expected) if isinstance(expected, float) else expected
    anka.faults.add(do={"cut": cut})
    with pytest.raises(http.client.IncompleteRead) as incomplete:
        ask(anka.url)

    assert whole[:wanted] == incomplete.value.partial
    assert len(whole) - wanted == incomplete.value.expected


@pytest.mark.parametrize("cut", ["50%", 300_000])
def test_a_large_answer_is_cut_exactly(anka: Anka, cut: object) -> None:
    """All that stands before the cut arrives, also when it is more than a socket takes at once."""
    for _ in range(4):
        start(anka.url, count=400)
    whole = ask(anka.url).body
    anka.faults.add(do={"cut": cut})
    with pytest.raises(http.client.IncompleteRead) as incomplete:
        ask(anka.url)
    wanted = cut if isinstance(cut, int) else len(whole) // 2

    assert len(whole) > 400_000
    assert wanted == len(incomplete.value.partial)
    assert whole[:wanted] == incomplete.value.partial


@pytest.mark.parametrize("cut", ["100%", 10**9])
def test_a_cut_behind_the_end_cuts_nothing(anka: Anka, cut: object) -> None:
    """The answer comes whole."""
    whole = ask(anka.url)
    anka.faults.add(do={"cut": cut})

    assert whole == ask(anka.url)
    assert "" == anka.requests[-1].outcome


# Other bodies.


def test_an_answer_may_have_a_body_that_is_no_json(anka: Anka) -> None:
    """Status and content type stay as they are, and the controller has carried it out all the same."""
    anka.faults.add(do={"body": "<html>hello</html>"}, times=1)
    answer = ask(anka.url, "POST", VM, {"vmid": template_in(anka)})

    assert (200, "application/json", b"<html>hello</html>") == answer
    assert 2 == count(anka.url)


def test_a_body_may_come_with_a_content_type(anka: Anka) -> None:
    """Both are as the rule says."""
    anka.faults.add(do={"body": "<p>", "content_type": "text/html"})

    assert (200, "text/html", b"<p>") == ask(anka.url)


def test_an_empty_body_is_a_body(anka: Anka) -> None:
    """200 and nothing."""
    anka.faults.add(do={"body": ""})

    assert (200, "application/json", b"") == ask(anka.url)


def test_a_body_goes_with_the_status_of_a_refusal() -> None:
    """What the controller refuses has its status all the same."""
    with mockanka.serve("default", clock="manual", release="1.50.1") as anka:
        anka.faults.add(do={"body": "oops"})
        answer = ask(anka.url, target=f"{VM}?id=nobody")

    assert (400, "application/json", b"oops") == answer


def test_a_content_type_alone_changes_nothing_else(anka: Anka) -> None:
    """The body is the controller's."""
    whole = ask(anka.url)
    anka.faults.add(do={"content_type": "text/plain"})

    assert (200, "text/plain", whole.body) == ask(anka.url)


def test_an_answer_dribbles_over_its_time(by_wall: Anka) -> None:
    """By a real clock the pieces come one by one, over so much of its time, and are the whole in the end."""
    whole = ask(by_wall.url, target="/api/v1/node").body
    by_wall.faults.add(do={"dribble": "2s"})
    pieces: list[bytes] = []
    with closing(raw(by_wall.url)) as connection:
        connection.sendall(head(target="/api/v1/node"))
        began = time.monotonic()
        while len(b"".join(pieces).partition(b"\r\n\r\n")[2]) < len(whole):
            pieces.append(connection.recv(65536))
            assert pieces[-1]
        waited = time.monotonic() - began

    assert 5 < len(pieces) <= 21
    assert len(whole) == len(b"".join(pieces).partition(b"\r\n\r\n")[2])
    assert 0.19 < waited < 1.5


@pytest.mark.parametrize(("clock", "passed"), [("manual", 60.0), ("step", 65.0)])
def test_a_dribbling_answer_moves_a_clock_that_stands(clock: str, passed: float) -> None:
    """Where the clock can be moved it moves by the whole length, and the answer is the same."""
    with mockanka.serve("default", clock=clock) as anka:
        whole = ask(anka.url, target=STATUS)
        anka.faults.add(do={"dribble": "1m"})
        heard: list[Answer] = []
        seconds = moved(anka, lambda: heard.append(ask(anka.url, target=STATUS)))

        assert ([whole], passed) == (heard, seconds)


def test_an_answer_shorter_than_its_pieces_dribbles_whole(anka: Anka) -> None:
    """A body of a few bytes comes in as many pieces as it has bytes; an empty one has none."""
    anka.faults.add(match={"path": STATUS}, do={"status": 200, "body": "abc"})
    anka.faults.add(match={"path": VM}, do={"dribble": "1m"})

    assert b"abc" == ask(anka.url, target=STATUS).body
    assert b'{"status":"OK","message":""}\n' == ask(anka.url, "DELETE", VM, {"id": next(iter(anka.instances))}).body


# Stale answers.


def test_a_stale_answer_repeats_the_older_one(anka: Anka) -> None:
    """The list comes as it was asked for before, without what was started since."""
    older = ask(anka.url)
    start(anka.url)
    anka.faults.add(match={"method": "GET", "path": VM}, do={"stale": True}, times=1)

    assert older == ask(anka.url)
    assert 2 == count(anka.url)


def test_an_answer_that_has_no_older_one_is_fresh(anka: Anka) -> None:
    """Who asks for the first time gets what is; the second time the same again."""
    anka.faults.add(match={"method": "GET", "path": VM}, do={"stale": True})
    first = ask(anka.url)
    anka.faults.add(id="through", match={"method": "POST"}, do={"content_type": "application/json"})
    start(anka.url)

    assert 1 == len(first.json["body"])
    assert first == ask(anka.url)
    assert 2 == len(anka.instances)


def test_an_older_answer_is_that_to_the_same_question(anka: Anka) -> None:
    """Another id, or the list, was another question."""
    id = next(iter(anka.instances))
    older = ask(anka.url, target=f"{VM}?id={id}")
    made = start(anka.url).json["body"][0]
    anka.faults.add(match={"method": "GET", "path": VM}, do={"stale": True})

    assert 2 == count(anka.url)
    assert older == ask(anka.url, target=f"{VM}?id={id}")
    assert "Scheduling" == ask(anka.url, target=f"{VM}?id={made}").json["body"]["instance_state"]


def test_a_reset_leaves_no_older_answers(anka: Anka) -> None:
    """What was answered before a reset is never repeated after it."""
    start(anka.url)
    ask(anka.url)
    anka.reset()
    anka.faults.add(do={"stale": True})

    assert 1 == count(anka.url)


def test_an_answer_that_nobody_got_is_not_repeated(anka: Anka) -> None:
    """A stale answer is one that went out before, not one that a broken connection swallowed."""
    ask(anka.url)
    start(anka.url)
    anka.faults.add(match={"path": VM}, do={"connection": "close"}, times=1)
    with pytest.raises(http.client.RemoteDisconnected):
        ask(anka.url)
    anka.faults.add(match={"path": VM}, do={"stale": True})

    assert 1 == count(anka.url)


# Whether the controller carries it out.

ACTS: list[tuple[dict[str, object], bool]] = [
    ({"status": 503}, False),
    ({"status": 503, "acts": False}, False),
    ({"status": 503, "acts": True}, True),
    ({"fail": "no"}, False),
    ({"fail": "no", "acts": True}, True),
    ({"fail": "no", "status": 500}, False),
    ({"fail": "no", "status": 500, "acts": True}, True),
    ({"body": "<p>"}, True),
    ({"body": "<p>", "acts": False}, False),
    ({"status": 200, "body": "<p>"}, False),
    ({"connection": "close"}, True),
    ({"connection": "close", "acts": False}, False),
    ({"connection": "reset"}, True),
    ({"connection": "reset", "acts": False}, False),
    ({"cut": "50%"}, True),
    ({"cut": "50%", "acts": False}, False),
    ({"refuse": "1h"}, False),
    ({"delay": "1s"}, True),
    ({"dribble": "1s"}, True),
    ({"content_type": "text/html"}, True),
]


@pytest.mark.parametrize(("do", "carried_out"), ACTS)
def test_the_controller_carries_out_what_the_rule_lets_it(anka: Anka, do: dict[str, object], carried_out: bool) -> None:
    """Whether a start has started something depends on ``acts``, and without it on the kind of fault."""
    wanted = json.dumps({"vmid": template_in(anka)}).encode()
    anka.faults.add(match={"method": "POST"}, do=do)
    with closing(raw(anka.url)) as connection:
        connection.sendall(head("POST", VM, wanted).replace(b"Host: x", b"Host: x\r\nConnection: close"))
        hear(connection)

    assert (2 if carried_out else 1) == len(anka.instances)
    assert carried_out == bool(anka.requests[0].instances)


@pytest.mark.parametrize("do", [{"cut": "10"}, {"connection": "reset"}, {"body": "x"}])
def test_an_answer_to_what_was_not_carried_out_is_a_failure(anka: Anka, do: dict[str, object]) -> None:
    """What breaks off has the length of a FAIL that says so."""
    anka.faults.add(do={**do, "acts": False})
    with closing(raw(anka.url)) as connection:
        connection.sendall(head().replace(b"Host: x", b"Host: x\r\nConnection: close"))
        heard = hear(connection)[0]

    assert heard.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert (b"\r\n\r\nx" if "body" in do else b'\r\n\r\n{"status":') in heard


# Which requests a rule strikes.


def statuses(anka: Anka, number: int, target: str = VM) -> list[int]:
    return [ask(anka.url, target=target).status for _ in range(number)]


def counts(anka: Anka, id: str) -> tuple[int, int]:
    """How often a rule matched and how often it struck, as the control API tells."""
    (rule,) = [each for each in ask(anka.url, target="/_mock/faults").json["faults"] if each["id"] == id]
    return rule["seen"], rule["fired"]


def test_a_rule_skips_and_then_strikes_so_often(anka: Anka) -> None:
    """With skip 2 and times 3 the third, fourth and fifth are struck; what it saw and did is counted."""
    id = anka.faults.add(do={"status": 503}, skip=2, times=3)

    assert [200, 200, 503, 503, 503, 200, 200] == statuses(anka, 7)
    assert (7, 3) == counts(anka, id)


def test_only_what_matches_is_skipped(anka: Anka) -> None:
    """Other requests do not use up what a rule skips."""
    id = anka.faults.add(match={"path": STATUS}, do={"status": 503}, skip=1)

    assert [200, 200] == statuses(anka, 2)
    assert [200, 503] == statuses(anka, 2, STATUS)
    assert (2, 1) == counts(anka, id)


def test_a_rule_strikes_with_its_probability_by_the_seed() -> None:
    """Of 60 some are struck and some are not, the same ones with the same seed."""

    def struck(seed: int, own: int | None = None) -> list[int]:
        with mockanka.serve("default", clock="manual", seed=seed) as anka:
            id = anka.faults.add(do={"status": 503}, probability=0.5, **_seeded(own))
            found = statuses(anka, 60)
            assert (60, found.count(503)) == counts(anka, id)
            return found

    assert struck(1) == struck(1)
    assert struck(1) != struck(2)
    assert struck(1, own=9) == struck(2, own=9)
    assert 15 < struck(1).count(503) < 45


def test_rules_without_an_id_are_numbered(anka: Anka) -> None:
    """Ids are given in order, and are those the journal names."""
    ids = [anka.faults.add(match={"path": path}, do={"status": 503}) for path in (VM, STATUS)]
    statuses(anka, 1, STATUS)

    assert ["fault-1", "fault-2"] == ids
    assert "fault-2" == anka.requests[0].fault


def test_an_id_that_is_taken_is_refused(anka: Anka) -> None:
    """400, and the first rule stays as it is."""
    anka.faults.add(id="mine", do={"status": 503})
    answer = ask(anka.url, "POST", "/_mock/faults", {"id": "mine", "do": {"status": 500}})

    assert (400, "application/problem+json") == answer[:2]
    assert [503] == statuses(anka, 1)


def test_the_first_rule_that_fires_decides(anka: Anka) -> None:
    """The second is not even asked; when the first is used up it is its turn."""
    first = anka.faults.add(do={"status": 501}, times=1)
    second = anka.faults.add(do={"status": 502}, skip=1)

    assert [501, 200, 502] == statuses(anka, 3)
    assert ((3, 1), (2, 1)) == (counts(anka, first), counts(anka, second))


@pytest.mark.parametrize(
    ("match", "struck"),
    [
        ({}, "GET vm, GET vm?id=a, POST vm, DELETE vm, GET node, GET status, GET registry/vm"),
        ({"method": "GET"}, "GET vm, GET vm?id=a, GET node, GET status, GET registry/vm"),
        ({"method": "POST"}, "POST vm"),
        ({"path": "/api/v1/vm"}, "GET vm, GET vm?id=a, POST vm, DELETE vm"),
        ({"path": "/api/v1/*vm"}, "GET vm, GET vm?id=a, POST vm, DELETE vm, GET registry/vm"),
        ({"path": "/api/*/[ns]*"}, "GET node, GET status"),
        ({"method": "DELETE", "path": "*"}, "DELETE vm"),
        ({"query": {"id": "a"}}, "GET vm?id=a"),
        ({"query": {"id": "b"}}, ""),
        ({"body": {"vmid": "x"}}, "POST vm"),
        ({"body": {"metadata": {"a": 1}}}, "POST vm"),
        ({"body": {"metadata": {"a": 2}}}, ""),
        ({"body": {"metadata": {"b": True}}}, "POST vm"),
        ({"body": {"metadata": {"b": 1}}}, ""),
        ({"body": {"id": "i"}, "method": "DELETE"}, "DELETE vm"),
    ],
)
def test_a_rule_strikes_what_it_matches(anka: Anka, match: dict[str, object], struck: str) -> None:
    """By method, by path with wildcards, by what is in the query, by what is in the body; all that is given counts."""
    anka.faults.add(match=match, do={"status": 503})
    bodies = {
        "POST vm": {"vmid": "x", "count": 1, "metadata": {"a": 1, "b": True}},
        "DELETE vm": {"id": "i"},
    }
    wanted = ("GET vm", "GET vm?id=a", "POST vm", "DELETE vm", "GET node", "GET status", "GET registry/vm")
    found = [
        line
        for line in wanted
        if ask(anka.url, line.split()[0], f"/api/v1/{line.split()[1]}", bodies.get(line)).status == 503
    ]

    assert [line for line in struck.split(", ") if line] == found


@pytest.mark.parametrize("body", [b"", b"no json", b"[1]", b'"x"', b"\xff\xfe", b"[" * 100_000])
def test_a_body_that_is_no_object_meets_no_rule_for_bodies(anka: Anka, body: bytes) -> None:
    """Whatever comes, a rule that looks into bodies lets it pass."""
    id = anka.faults.add(match={"body": {"a": 1}}, do={"status": 503})
    with connect(anka.url) as connection:
        connection.request("POST", VM, body)
        answer = take(connection)

    assert "FAIL" == answer.json["status"]
    assert (0, 0) == counts(anka, id)


def test_the_control_api_is_never_struck(anka: Anka) -> None:
    """A rule for everything leaves /_mock alone."""
    id = anka.faults.add(do={"status": 503})

    assert 200 == ask(anka.url, target="/_mock/health").status
    assert (0, 0) == counts(anka, id)


def test_a_path_that_is_not_there_can_be_struck_too(anka: Anka) -> None:
    """A rule for everything strikes also what the controller does not know."""
    anka.faults.add(do={"status": 503})

    assert [503] == statuses(anka, 1, "/nowhere")


def test_each_kind_at_the_door_is_proven_here() -> None:
    """The rules of ACTS, which all strike a real connection, are of every kind there is, but for one.

    ``stale`` strikes at GETs alone, and has tests of its own.
    """
    assert set(RESPONSE_FAULTS) - {"stale"} == {key for do, _ in ACTS for key in do if key in RESPONSE_FAULTS}


# The same in a process.


@pytest.fixture(scope="module")
def process() -> Iterator[Serving]:
    with serving("--clock", "manual", "--control-port", "0") as served:
        yield served


@pytest.fixture
def server(process: Serving) -> Serving:
    assert 200 == ask(control_of(process), "POST", "/_mock/reset").status
    until(lambda: not refused(process.url))
    return process


def control_of(process: Serving) -> str:
    return str(json.loads(process.line)["control_url"])


def add(process: Serving, **rule: object) -> str:
    answer = ask(control_of(process), "POST", "/_mock/faults", rule)
    assert 201 == answer.status, answer
    return str(answer.json["id"])


def outcome(url: str) -> object:
    """What becomes of a request: its answer, or the name of what a client raises."""
    try:
        return ask(url, target=STATUS)
    except (OSError, http.client.HTTPException) as wrong:
        return type(wrong).__name__


@pytest.mark.parametrize(
    ("do", "expected"),
    [
        ({"status": 503, "body": "busy"}, (503, "text/plain; charset=utf-8", b"busy")),
        ({"fail": "no"}, (400, "application/json", b'{"status":"FAIL","message":"no"}\n')),
        ({"body": "<p>"}, (200, "application/json", b"<p>")),
        ({"content_type": "text/html", "delay": "1h"}, "text/html"),
        ({"delay": "1h"}, "whole"),
        ({"dribble": "1h"}, "whole"),
        ({"stale": True}, "whole"),
        ({"connection": "close"}, "RemoteDisconnected"),
        ({"connection": "reset"}, "ConnectionResetError"),
        ({"cut": "50%"}, "IncompleteRead"),
        ({"refuse": "1h"}, "RemoteDisconnected"),
    ],
)
def test_a_server_that_is_a_process_does_the_same(server: Serving, do: dict[str, object], expected: object) -> None:
    """A rule given over HTTP strikes a client of ``mockanka serve``."""
    whole = ask(server.url, target=STATUS)
    add(server, do=do)
    found = outcome(server.url)
    if expected == "whole":
        expected = whole
    elif expected == "text/html":
        expected = whole._replace(type="text/html")

    assert found in (expected, "ConnectionResetError") if "refuse" in do else expected == found
    assert 1 == ask(control_of(server), target="/_mock/faults").json["faults"][0]["fired"]


def test_the_control_port_answers_while_connections_are_refused(server: Serving) -> None:
    """The first port refuses, the second answers both APIs, and by it the rule is taken away."""
    id = add(server, match={"path": STATUS}, do={"refuse": "1h"})
    outcome(server.url)
    shut = refused(server.url)
    health = ask(control_of(server), target="/_mock/health")
    listed = count(control_of(server))
    removed = ask(control_of(server), "DELETE", f"/_mock/faults/{id}")
    until(lambda: not refused(server.url))

    assert (True, 200, 1, 200) == (shut, health.status, listed, removed.status)
    assert 1 == count(server.url)


@pytest.mark.parametrize("target", ["/_mock/faults", "/_mock/reset"])
def test_all_rules_may_go_at_once(server: Serving, target: str) -> None:
    """Connections are accepted again when all rules are deleted, and after a reset."""
    add(server, do={"refuse": "1h"})
    outcome(server.url)
    shut = refused(server.url)
    ask(control_of(server), "POST" if target.endswith("reset") else "DELETE", target)
    until(lambda: not refused(server.url))

    assert shut
    assert 1 == count(server.url)


def test_a_connection_to_the_control_port_outlives_refusing(server: Serving) -> None:
    """Only those who came in by the port that refuses are cut off."""
    with connect(control_of(server)) as connection:
        connection.request("GET", "/_mock/health")
        take(connection)
        add(server, do={"refuse": "1h"})
        outcome(server.url)
        connection.request("GET", "/_mock/health")

        assert 200 == take(connection).status


def test_requests_get_through_after_a_rule_for_one_time(server: Serving) -> None:
    """A client that tries again, as most do, gets its answer the second time."""
    add(server, match={"method": "POST"}, do={"status": 503}, times=1)
    wanted = {"vmid": template(server.url)}
    first, second = (requests.post(server.url + VM, json=wanted, timeout=TIMEOUT) for _ in range(2))

    assert (503, 200) == (first.status_code, second.status_code)
    assert 2 == count(server.url)


# Faults in life, as polls tell of them. Each request is a second later than the one before.

WORLD: dict[str, Any] = {
    "controller": {"release": "1.50.1"},
    "timings": {"pull_bandwidth": "8Gbit/s", "push_bandwidth": "8Gbit/s"},
    "templates": [
        {
            "name": "mac",
            "port_forwarding": [{"name": "ssh", "guest_port": 22}],
            "versions": [{"tag": "base", "size": "10GB"}],
        }
    ],
    "nodes": [{"name": "alpha", "capacity": 1}],
}
"""A pull takes 10 s, all else what it takes by default: 1 s to be queued, 20 s to boot, 5 s to terminate."""

ECHO = "ZWNobw=="
Phases = list[tuple[str, int]]
BOOTED = [("Scheduling", 20)]
PULLED = [("Pulling", 10), *BOOTED]
"""What polls see of an instance until it is Started, once it is with its node."""


class Client:
    """Speaks HTTP, and nothing else."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.rule = ""

    def ask(self, method: str, target: str, body: object = None) -> Any:
        return ask(self.url, method, f"/api/v1/{target}", body).json

    def fault(self, event: str, do: dict[str, object], **match: str) -> None:
        answer = ask(self.url, "POST", "/_mock/faults", {"match": {"event": event, **match}, "do": do})
        assert 201 == answer.status, answer
        self.rule = answer.json["id"]

    def remove(self) -> None:
        assert 200 == ask(self.url, "DELETE", f"/_mock/faults/{self.rule}").status

    def start(self, **more: object) -> str:
        (id,) = self.ask("POST", "vm", {"vmid": self.template, **more})["body"]
        return str(id)

    @cached_property
    def template(self) -> str:
        return str(self.ask("GET", "registry/vm")["body"][0]["id"])

    def poll(self, id: str) -> dict[str, Any]:
        answer = self.ask("GET", f"vm?id={id}")
        found: dict[str, Any] = answer.get("body") or {"instance_state": answer["message"]}
        return found

    def phases(self, id: str, polls: int) -> Phases:
        """What so many polls say: each state, and how many polls in a row say so."""
        found: Phases = []
        for _ in range(polls):
            state = self.poll(id)["instance_state"]
            if found and found[-1][0] == state:
                found[-1] = (state, found[-1][1] + 1)
            else:
                found.append((state, 1))
        return found

    def message(self, id: str) -> str:
        return str(self.poll(id)["message"])

    def started(self, **more: object) -> str:
        id = self.start(**more)
        assert [*PULLED, ("Started", 1)] == self.phases(id, 31)
        return id

    def node(self) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("GET", "node")["body"][0]
        return found


@pytest.fixture
def client() -> Iterator[Client]:
    with mockanka.serve(WORLD, clock="step", step="1s", seed=2) as anka:
        yield Client(anka.url)


Story = Callable[[Client], None]
STORIES: dict[tuple[str, str], Story] = {}


def story(event: str, kind: str) -> Callable[[Story], Story]:
    """What follows proves this kind of fault at this event."""

    def keep(tell: Story) -> Story:
        STORIES[event, kind] = tell
        return tell

    return keep


@pytest.mark.parametrize(
    ("event", "kind"), [(event, kind) for event, kinds in LIFECYCLE_FAULTS.items() for kind in kinds]
)
def test_a_fault_in_life_is_seen_by_who_polls(client: Client, event: str, kind: str) -> None:
    """Each kind of fault at each event shows in what a client gets."""
    STORIES[event, kind](client)


def test_without_a_fault_an_instance_just_starts(client: Client) -> None:
    """What the stories are to be compared with: it pulls for 10 s, boots for 20 s, and is Started."""
    id = client.start()

    assert [*PULLED, ("Started", 9)] == client.phases(id, 39)
    assert {"ip", "host_ip", "port_forwarding"} <= {key for key, value in client.poll(id)["vminfo"].items() if value}


def test_there_is_a_story_for_each_kind() -> None:
    """No kind of fault in life is left out, and none is told of that is not there."""
    assert {(event, kind) for event, kinds in LIFECYCLE_FAULTS.items() for kind in kinds} == set(STORIES)


def listed(client: Client) -> list[str]:
    return [item["instance_id"] for item in client.ask("GET", "vm")["body"]]


@story("schedule", "fail")
def scheduling_fails(client: Client) -> None:
    client.fault("schedule", {"fail": "no luck"})
    id = client.start()

    assert [("Error", 5)] == client.phases(id, 5)
    assert "no luck" == client.message(id)


@story("schedule", "stall")
def scheduling_stalls(client: Client) -> None:
    client.fault("schedule", {"stall": True, "for": "20s"}, external_id="slow")
    client.fault("schedule", {"stall": True}, external_id="never")
    never = client.start(external_id="never")
    slow = client.start(external_id="slow")

    assert [("Scheduling", 20), *PULLED, ("Started", 1)] == client.phases(slow, 51)
    assert [("Scheduling", 9)] == client.phases(never, 9)
    client.ask("DELETE", "vm", {"id": slow})
    client.phases(slow, 6)
    client.remove()
    assert [("Scheduling", 20), ("Started", 1)] == client.phases(never, 21)


@story("schedule", "vanish")
def it_vanishes_while_it_is_scheduled(client: Client) -> None:
    client.fault("schedule", {"vanish": True, "after": "15s"})
    id = client.start()

    assert [("Pulling", 10), ("Scheduling", 4), ("Not found", 6)] == client.phases(id, 20)
    assert [] == listed(client)


@story("pull", "fail")
def a_pull_fails(client: Client) -> None:
    client.fault("pull", {"fail": "no space left on device", "at": "40%"})
    id = client.start()

    assert [("Pulling", 4), ("Error", 3)] == client.phases(id, 7)
    assert "no space left on device" == client.message(id)
    assert 0 == client.node()["vm_count"]


@story("pull", "stall")
def a_pull_stalls(client: Client) -> None:
    client.fault("pull", {"stall": True, "at": "50%"})
    id = client.start()

    assert [("Pulling", 100)] == client.phases(id, 100)
    assert 0.5 == client.poll(id)["progress"]
    client.remove()
    assert [("Pulling", 4), *BOOTED, ("Started", 1)] == client.phases(id, 25)


@story("pull", "bandwidth")
def a_pull_is_slow(client: Client) -> None:
    client.fault("pull", {"bandwidth": "4Gbit/s"})

    assert [("Pulling", 20), *BOOTED, ("Started", 1)] == client.phases(client.start(), 41)


@story("pull", "node")
def a_node_goes_offline_in_the_middle_of_a_pull(client: Client) -> None:
    client.fault("pull", {"node": "offline", "at": "50%"})
    id = client.start()
    found = client.phases(id, 140)

    assert ["Pulling", "Error"] == [state for state, _ in found]
    assert 115 <= found[0][1] <= 126
    assert ("node alpha is offline", "Offline") == (client.message(id), client.node()["state"])


@story("pull", "registry")
def the_registry_goes_down_in_the_middle_of_a_pull(client: Client) -> None:
    client.fault("pull", {"registry": "down", "at": "50%", "for": "20s"}, external_id="first")
    first = client.start(external_id="first")

    assert [("Pulling", 5), ("Error", 1)] == client.phases(first, 6)
    assert "the registry cannot be reached" == client.message(first)
    told = [client.ask("POST", "vm", {"vmid": client.template})["status"] for _ in range(18)]
    assert ["FAIL"] * 18 == told
    assert [*PULLED, ("Started", 1)] == client.phases(client.start(), 31)


@story("pull", "vanish")
def it_vanishes_while_it_pulls(client: Client) -> None:
    client.fault("pull", {"vanish": True, "after": "3s", "for": "4s"})

    found = client.phases(client.start(), 31)
    assert [("Pulling", 3), ("Not found", 4), ("Pulling", 3), *BOOTED, ("Started", 1)] == found


@story("start", "fail")
def a_start_fails(client: Client) -> None:
    client.fault("start", {"fail": "VM would not boot", "at": "50%"})
    id = client.start()

    assert [("Pulling", 10), ("Scheduling", 10), ("Error", 1)] == client.phases(id, 21)
    assert "VM would not boot" == client.message(id)


@story("start", "stall")
def a_start_stalls(client: Client) -> None:
    client.fault("start", {"stall": True, "for": "7s"}, external_id="slow")

    assert [("Pulling", 10), ("Scheduling", 27), ("Started", 1)] == client.phases(client.start(external_id="slow"), 38)


@story("start", "without")
def a_vm_comes_up_without_an_address(client: Client) -> None:
    client.fault("start", {"without": ["ip", "host_ip", "port_forwarding"], "for": "5s"})
    id = client.started()
    vms = [client.poll(id)["vminfo"] for _ in range(6)]
    shown = [(bool(vm["ip"]), bool(vm["host_ip"]), bool(vm.get("port_forwarding"))) for vm in vms]

    assert [(False,) * 3] * 4 + [(True,) * 3] * 2 == shown
    assert {"running"} == {vm["status"] for vm in vms}


@story("start", "node")
def a_node_is_away_while_a_vm_boots(client: Client) -> None:
    client.fault("start", {"node": "offline", "at": "50%", "for": "30s"})

    assert [("Pulling", 10), ("Scheduling", 40), ("Started", 1)] == client.phases(client.start(), 51)


@story("start", "vanish")
def it_vanishes_while_it_boots(client: Client) -> None:
    client.fault("start", {"vanish": True, "after": "3s"})
    id = client.start()

    assert [("Pulling", 10), ("Scheduling", 3), ("Not found", 1)] == client.phases(id, 14)
    assert [] == listed(client)


@story("script", "exit")
def a_script_fails(client: Client) -> None:
    client.fault("script", {"exit": 3, "stdout": "out", "stderr": "boom"})
    id = client.start(startup_script=ECHO, script_monitoring=True)
    client.phases(id, 40)
    told = client.poll(id)

    assert ("Error", "startup script exit code 3") == (told["instance_state"], told["message"])
    assert {"return_code": 3, "did_timeout": False, "stdout": "out", "stderr": "boom"} == told["startup_script"]


@story("script", "timeout")
def a_script_takes_too_long(client: Client) -> None:
    client.fault("script", {"timeout": True, "stdout": "so far"})
    id = client.start(startup_script=ECHO, script_monitoring=True, script_timeout=30)

    assert [("Pulling", 10), ("Scheduling", 50), ("Error", 1)] == client.phases(id, 61)
    assert {"return_code": -1, "did_timeout": True, "stdout": "so far", "stderr": ""} == client.poll(id)[
        "startup_script"
    ]


@story("started", "fail")
def a_started_vm_fails(client: Client) -> None:
    client.fault("started", {"fail": "VM crashed", "after": "5s"})
    id = client.started()

    assert [("Started", 4), ("Error", 1)] == client.phases(id, 5)
    assert "VM crashed" == client.message(id)


@story("started", "stop")
def a_started_vm_stops(client: Client) -> None:
    client.fault("started", {"stop": True, "after": "5s"})
    id = client.started()

    assert [("Started", 4), ("Stopping", 5), ("Stopped", 1)] == client.phases(id, 10)


@story("started", "node")
def a_node_drains_once_a_vm_is_started(client: Client) -> None:
    client.fault("started", {"node": "drain", "after": "5s", "for": "20s"})
    id = client.started()
    states = [client.node()["state"] for _ in range(26)]

    assert ["Active"] * 4 + ["Drain Mode"] * 20 + ["Active"] * 2 == states
    assert [("Started", 1)] == client.phases(id, 1)


@story("started", "vanish")
def a_started_vm_vanishes(client: Client) -> None:
    client.fault("started", {"vanish": True, "after": "5s"})
    id = client.started()

    assert [("Started", 4), ("Not found", 1)] == client.phases(id, 5)
    assert {"status": "FAIL", "message": "Not found"} == client.ask("DELETE", "vm", {"id": id})


@story("terminate", "ignore")
def a_terminate_is_ignored(client: Client) -> None:
    client.fault("terminate", {"ignore": True})
    id = client.started()

    assert {"status": "OK", "message": ""} == client.ask("DELETE", "vm", {"id": id})
    assert [("Started", 20)] == client.phases(id, 20)


def test_a_terminate_is_ignored_as_often_as_the_rule_says(anka: Anka) -> None:
    """Two DELETEs are answered with OK and change nothing; the third terminates."""
    anka.faults.add(match={"event": "terminate"}, do={"ignore": True}, times=2)
    id = start(anka.url).json["body"][0]
    anka.wait(id)
    seen = []
    for _ in range(3):
        answer = ask(anka.url, "DELETE", VM, {"id": id})
        anka.clock.advance("1s")
        state = ask(anka.url, target=f"{VM}?id={id}").json["body"]["instance_state"]
        seen.append((answer.json["status"], state))

    assert [("OK", "Started"), ("OK", "Started"), ("OK", "Terminating")] == seen


@story("terminate", "stall")
def a_terminate_stalls(client: Client) -> None:
    client.fault("terminate", {"stall": True, "for": "10s"})
    id = client.started()
    client.ask("DELETE", "vm", {"id": id})

    assert [("Terminating", 14), ("Terminated", 60), ("Not found", 1)] == client.phases(id, 75)


def save(client: Client, id: str) -> str:
    return str(
        client.ask("POST", "image", {"id": id, "target_vm_id": client.template, "tag": "mine"})["body"]["request_id"]
    )


@story("save_image", "fail")
def a_push_fails(client: Client) -> None:
    client.fault("save_image", {"fail": "connection reset by peer", "at": "50%"})
    id = client.started()
    saved = save(client, id)
    phases = client.phases(id, 20)
    (told,) = [each for each in client.ask("GET", "image")["body"] if each["id"] == saved]

    assert ["Pushing", "Started"] == [state for state, _ in phases]
    assert ("error", "connection reset by peer") == (told["status"], told["error"]["Message"])


@story("save_image", "stall")
def a_push_stalls(client: Client) -> None:
    client.fault("save_image", {"stall": True})
    id = client.started()
    saved = save(client, id)

    assert [("Pushing", 100)] == client.phases(id, 100)
    assert "pending" == client.ask("GET", f"image?id={saved}")["body"]["status"]
    client.remove()
    assert [("Pushing", 1), ("Not found", 1)] == [(state, 1) for state, _ in client.phases(id, 10)]
    assert "done" == client.ask("GET", f"image?id={saved}")["body"]["status"]


def distribute(client: Client) -> Callable[[], tuple[bool, float]]:
    """Send the template to the node; what tells how far it has come."""
    id = client.ask("POST", "registry/vm/distribute", {"template_id": client.template})["body"]["request_id"]

    def tell() -> tuple[bool, float]:
        (told,) = client.ask("GET", f"registry/vm/distribute?id={id}")["body"]["distribute_status"].values()
        return told["status"], told["progress"]

    return tell


@story("distribute", "fail")
def a_distribution_fails(client: Client) -> None:
    client.fault("distribute", {"fail": "disk", "at": "40%"})
    tell = distribute(client)

    assert [(False, 0), (False, 0.1), (False, 0.2), (False, 0.3)] + [(False, 0.4)] * 16 == [tell() for _ in range(20)]


@story("distribute", "stall")
def a_distribution_stalls(client: Client) -> None:
    client.fault("distribute", {"stall": True, "at": "50%", "for": "10s"})
    tell = distribute(client)

    assert [0, 0.1, 0.2, 0.3, 0.4, *[0.5] * 11, 0.6, 0.7, 0.8, 0.9, 1] == [tell()[1] for _ in range(21)]
    assert (True, 1) == tell()


@story("distribute", "bandwidth")
def a_distribution_is_slow(client: Client) -> None:
    client.fault("distribute", {"bandwidth": "4Gbit/s"})
    tell = distribute(client)

    assert [number / 20 for number in range(21)] == [tell()[1] for _ in range(21)]


@story("begin", "node")
def a_node_is_full_from_the_beginning(client: Client) -> None:
    client.fault("begin", {"node": "full", "after": "2s", "for": "40s"}, node="alpha")
    client.node()
    client.node()

    assert [("Scheduling", 37), *PULLED, ("Started", 1)] == client.phases(client.start(), 68)


@pytest.mark.parametrize(
    ("what", "state"),
    [
        ("updating", "Updating"),
        ("unlicensed", "Inactive (Invalid License)"),
        ("unhealthy", "Unhealthy"),
        ("drain", "Drain Mode"),
        ("full", "Active"),
    ],
)
def test_a_client_sees_what_a_rule_makes_of_a_node(client: Client, what: str, state: str) -> None:
    """Its state while it lasts, a start that waits meanwhile, and then a start like any other."""
    client.fault("begin", {"node": what, "for": "20s"}, node="alpha")
    id = client.start()
    shown = client.node()["state"]

    assert state == shown
    assert "Scheduling" == client.phases(id, 1)[0][0]
    later = client.phases(id, 60)
    names = [name for name, _ in later]

    assert (["Scheduling", "Pulling", "Scheduling", "Started"], "Active") == (names, client.node()["state"])


@pytest.mark.parametrize("what", ["updating", "unlicensed", "unhealthy", "drain", "full", "offline"])
def test_a_client_sees_a_node_come_back_by_a_rule(client: Client, what: str) -> None:
    """Online ends what another rule made of it for good: the start that has waited goes on."""
    client.fault("begin", {"node": what})
    client.fault("begin", {"node": "online", "after": "20s"})
    id = client.start()
    phases = client.phases(id, 60)

    assert ["Scheduling", "Pulling", "Scheduling", "Started"] == [name for name, _ in phases]
    assert 15 < phases[0][1] < 22
    assert "Active" == client.node()["state"]


@story("begin", "registry")
def the_registry_is_full_from_the_beginning(client: Client) -> None:
    client.fault("begin", {"registry": "full"})
    id = client.started()
    saved = save(client, id)
    client.phases(id, 10)
    told = client.ask("GET", f"image?id={saved}")["body"]

    assert ("error", "no space left on the registry") == (told["status"], told["error"]["Message"])


@story("begin", "license")
def the_licence_expires(client: Client) -> None:
    client.fault("begin", {"license": "expired", "after": "2s", "for": "40s"})
    client.node()
    client.node()

    assert "Inactive (Invalid License)" == client.node()["state"]
    assert ["Scheduling", "Pulling", "Scheduling", "Started"] == [
        state for state, _ in client.phases(client.start(), 68)
    ]
    assert "Active" == client.node()["state"]


def test_an_answer_can_only_be_repeated_when_there_is_one(anka: Anka) -> None:
    """The first GET spends nothing of the rule; the second gets the first's answer, and the journal says so."""
    anka.faults.add(match={"path": VM}, do={"stale": True}, times=1)
    first = ask(anka.url)
    start(anka.url)
    second, third = ask(anka.url), ask(anka.url)

    assert first.body == second.body != third.body
    assert ["", "stale", ""] == [each.outcome for each in anka.requests.where(method="GET", path=VM)]


@pytest.mark.parametrize("rule", [{"match": {"method": "POST"}, "do": {"stale": True}}, {"do": {"status": 99}}])
def test_a_rule_that_could_not_be_kept_is_refused(anka: Anka, rule: dict[str, Any]) -> None:
    """Only the answer to a GET is repeated, and a status is one of HTTP's."""
    with pytest.raises(mockanka.ScenarioError):
        anka.faults.add(**rule)

    assert 0 == len(anka.faults)


def test_who_is_refused_by_the_second_port_is_cut_off_as_well() -> None:
    """A request that has connections refused gets no answer, by whatever port it came; the port stays."""
    with serving("--clock", "manual", "--control-port", "0") as served:
        control = json.loads(served.line)["control_url"]
        requests.post(f"{control}/_mock/faults", json={"do": {"refuse": "1h"}}, timeout=TIMEOUT)
        with pytest.raises(requests.ConnectionError):
            requests.get(f"{control}{STATUS}", timeout=TIMEOUT)

        assert requests.get(f"{control}/_mock/health", timeout=TIMEOUT).ok
        with pytest.raises(requests.ConnectionError):
            requests.get(f"{served.url}{STATUS}", timeout=TIMEOUT)


def test_the_status_says_that_the_registry_is_down(anka: Anka) -> None:
    """And that it runs again."""
    anka.faults.add(match={"event": "begin"}, do={"registry": "down", "for": "1m"})
    down = ask(anka.url, target=STATUS).json["body"]["registry_status"]
    anka.clock.advance("2m")

    assert ["FAIL", "Running"] == [down, ask(anka.url, target=STATUS).json["body"]["registry_status"]]


def test_a_request_that_offers_an_upgrade_keeps_its_body(anka: Anka) -> None:
    """As Java's client sends it: the offer is passed over."""
    body = json.dumps({"vmid": template(anka.url)}).encode()
    upgrade = b"\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk"
    with closing(raw(anka.url)) as connection:
        connection.sendall(head("POST", VM, body).replace(b"\r\nHost: x", b"\r\nHost: x" + upgrade))
        answer = connection.recv(65536)

    assert b'{"status":"OK"' in answer
    assert [VM] == [each.path for each in anka.requests.where(method="POST")]
