"""A run that does not get to its end leaves nothing behind, or says what it leaves."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import httpx
import pytest

from mockanka.contract.check.checking import Plan, check
from mockanka.contract.check.results import Results
from mockanka.contract.check.run import Pace
from mockanka.contract.check.writing import find_target
from mockanka.contract.exchange import Exchange
from mockanka.contract.transport import Access, Unusable, connect
from tests.conftest import FULL
from tests.contract.check.simulated import Simulated, checked, complaints, left_behind

WHOLE = 170
"""At least as many requests has a run in write mode on a named node."""


class Broken(Simulated):
    """A controller at whose request number ``at`` something happens, before it arrives or once it has been done."""

    def __init__(self, at: int, what: Callable[[], None], done: bool = False) -> None:
        super().__init__()
        self.at, self.what, self.done = at, what, done

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.at -= 1
        if self.at == 0 and not self.done:
            self.what()
        answer = super().handle_request(request)
        if self.at == 0 and self.done:
            self.what()
        return answer


def interrupt() -> None:
    raise KeyboardInterrupt


def breaks() -> None:
    raise httpx.ReadError("Connection reset by peer")


def written(simulated: Simulated, access: Access | None = None) -> Results:
    """The results of a run in write mode; what goes wrong before it begins is none of its business."""
    remote = connect("http://controller:8090", access, transport=simulated, clock=simulated.now)
    target = find_target(remote, simulated.template, None, "mini-01")
    return check(remote, Plan(target=target, pace=Pace(interval=2.0)), simulated.sleep)


def test_a_whole_run_has_more_requests_than_are_interrupted_here() -> None:
    """Else the numbers below would end nothing."""
    simulated = Simulated()
    written(simulated)

    assert WHOLE <= len(simulated.seen)


def places(first: int, step: int) -> list[Any]:
    """Requests all through a run, by their numbers, each before it is done or after it; in full both."""
    return [
        pytest.param(at, done, id=f"{at}-{'after' if done else 'before'}")
        for at in range(first, WHOLE, step)
        for done in (False, True)
        if FULL or done == at % 2
    ]


@pytest.mark.parametrize(("at", "done"), places(5, 11))
def test_an_interrupt_leaves_nothing_behind(at: int, done: bool) -> None:
    """Whichever request it hits, also when it was done and its answer never came."""
    simulated = Broken(at, interrupt, done)
    results = written(simulated)

    assert (2, "interrupted", []) == (results.status, results.broken_off, results.left)
    assert [] == left_behind(simulated.house.controller)


@cache
def making() -> list[int]:
    """The requests that start, create and delete something, by their numbers."""
    simulated = Simulated()
    written(simulated)
    return [place for place, each in enumerate(simulated.seen, 1) if each.method in ("POST", "DELETE")]


def test_an_interrupt_of_a_request_that_makes_something_leaves_nothing_behind() -> None:
    """Each of them in turn, once it was done and before its answer came."""
    assert len(making()) > 15
    for at in making():
        simulated = Broken(at, interrupt, done=True)
        results = written(simulated)

        assert ("interrupted", []) == (results.broken_off, results.left)
        assert [] == left_behind(simulated.house.controller)


@pytest.mark.parametrize(("at", "done"), places(10, 13))
def test_a_connection_that_breaks_once_leaves_nothing_behind(at: int, done: bool) -> None:
    """The request is told as unanswered, and the run goes on."""
    simulated = Broken(at, breaks, done)
    results = written(simulated)

    assert ["answered"] == [row.check for row in results.of("failed") if row.check == "answered"]
    assert ("", []) == (results.broken_off, results.left)
    assert [] == left_behind(simulated.house.controller)


class Dying(Simulated):
    """A controller that answers nothing once it has started our instance and made our group."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if left_behind(self.house.controller) and len(self.seen) > 110:
            raise httpx.ConnectError("Connection refused")
        return super().handle_request(request)


def test_what_cannot_be_removed_is_listed_with_the_commands_that_would() -> None:
    """Each thing that is there, with the ways in that were given but no secret."""
    simulated = Dying()
    access = Access(token="s3cret", headers=[("X-Team", "hidden")], insecure=True)
    results = written(simulated, access)
    commands = [shlex.split(each.command) for each in results.left]

    assert 2 == results.status
    assert "3 requests in a row have no answer" in results.broken_off
    assert sorted(left_behind(simulated.house.controller)) == sorted(each.id for each in results.left)
    assert {"instance", "group"} == {each.kind for each in results.left}
    for left, command in zip(results.left, commands, strict=True):
        assert ["curl", "-X", "DELETE"] == command[:3]
        assert left.id in " ".join(command)
        assert {"-u", "root:TOKEN", "-k", "X-Team: ..."} <= set(command)
        assert command[-1].startswith("http://controller:8090/api/v1/")
    assert "s3cret" not in str(commands)
    assert "hidden" not in str(commands)


class Stubborn(Simulated):
    """A controller that refuses to remove groups."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "DELETE" and request.url.path == "/api/v1/group":
            return httpx.Response(400, json={"status": "FAIL", "message": "it is loved"})
        return super().handle_request(request)


def test_what_the_controller_refuses_to_remove_fails_the_run() -> None:
    """The reason is the controller's own."""
    results = written(Stubborn())

    assert 1 == results.status
    assert ["group"] == [each.kind for each in results.left]
    assert "it is loved" in " ".join(results.remarks)


class Blind(Simulated):
    """A controller that starts an instance, does not say so, and shows no list from then on."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        lost = request.url.path == "/api/v1/vm" and left_behind(self.house.controller)
        answer = super().handle_request(request)
        if lost or (request.url.path == "/api/v1/vm" and left_behind(self.house.controller)):
            raise httpx.ReadError("gone")
        return answer


def test_what_may_be_there_and_cannot_be_looked_for_is_told() -> None:
    """By the mark that it has, and the command that lists it."""
    results = written(Blind())
    (left,) = [each for each in results.left if each.kind == "instance"]

    assert left.id.startswith("any named mockanka-check-")
    assert "curl http://controller:8090/api/v1/vm" == left.command


class Interrupting(Simulated):
    """A controller whose removals are interrupted as well."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "DELETE" and left_behind(self.house.controller):
            raise KeyboardInterrupt
        if request.url.path == "/api/v1/vm" and request.method == "PUT" and left_behind(self.house.controller):
            raise KeyboardInterrupt
        return super().handle_request(request)


def test_a_second_interrupt_ends_the_removal_and_lists_what_is_left() -> None:
    """Who insists need not wait, and is told what to do."""
    simulated = Interrupting()
    results = written(simulated)

    assert 2 == results.status
    assert sorted(left_behind(simulated.house.controller)) == sorted(each.id for each in results.left)
    assert results.left


def test_a_controller_that_dies_ends_a_run_soon() -> None:
    """Three requests without an answer are enough; what was checked before is told."""
    simulated = Simulated()

    class Gone(Simulated):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            if len(self.seen) > 20:
                raise httpx.ReadTimeout("")
            return super().handle_request(request)

    results = checked(Gone())

    assert 2 == results.status
    assert "3 requests in a row have no answer, the last: GET" in results.broken_off
    assert 20 < len(list(results.of("passed")))
    assert [] == simulated.seen


def test_a_run_has_a_limit_on_the_whole() -> None:
    """It ends with what was found until then, and removal is not what it ends."""
    simulated = Simulated("long-pull")
    remote = connect("http://controller:8090", transport=simulated, clock=simulated.now, limit=60)
    target = find_target(remote, simulated.template, None, None)
    results = check(remote, Plan(target=target, pace=Pace(interval=2.0)), simulated.sleep)

    assert 2 == results.status
    assert "the limit of 60 s on the whole is reached; --limit raises it" in results.broken_off
    assert [] == left_behind(simulated.house.controller)


def denying(status: int, message: str) -> Callable[[Exchange], Exchange]:
    """Nodes are denied, everything else is not."""
    content = f'{{"status":"FAIL","message":"{message}"}}\n'.encode()

    def deny(exchange: Exchange) -> Exchange:
        return replace(exchange, status=status, content=content) if "/node" in exchange.path else exchange

    return deny


def test_what_we_may_not_do_is_left_out_and_said() -> None:
    """A permission that lacks fails nothing, in read-only and in write mode."""
    for write in (False, True):
        results = checked(Simulated(spoil=denying(403, "not yours")), write=write)

        assert (0, []) == (results.status, complaints(results))
        assert "listNodes: not checked, we may not: not yours" in results.remarks
        assert "skipped" == results.rows["listNodes", "unknown-id"].outcome


def test_a_login_that_is_missing_ends_the_run() -> None:
    """Also where the status is told to everyone: nothing can be said of the rest."""
    results = checked(Simulated(spoil=denying(401, "Authentication Required")))

    assert 2 == results.status
    assert "HTTP 401 (Authentication Required): it wants to know who asks; give --token" in results.broken_off


@pytest.mark.parametrize(
    ("template", "tag", "node", "complaint"),
    [
        ("nothing", None, None, r"--template: there is no template nothing at .*; there is 14\.5-arm64, 13\.6-arm64"),
        ("14.5-arm64", "t9", None, r"--tag: template 14\.5-arm64 has no tag t9; it has vanilla, xcode-15"),
        ("14.5-arm64", "vanilla", "mini-03", r"--node: there is no node mini-03 at .*; there is mini-01, mini-02"),
    ],
)
def test_what_is_to_be_used_must_be_there(template: str, tag: str | None, node: str | None, complaint: str) -> None:
    """What there is instead is told."""
    with pytest.raises(Unusable, match=complaint):
        find_target(Simulated().remote, template, tag, node)


def test_a_template_is_named_by_its_id_if_its_name_is_not_its_own() -> None:
    """Two templates of the reference have one name."""
    simulated = Simulated("reference")
    with pytest.raises(Unusable, match=r"android-2 is the name of several; give the id of one: 59adf1a8-.*, 00510971-"):
        find_target(simulated.remote, "android-2", None, None)
    id = "00510971-5c37-4a60-a9c6-ea185397d9b4"

    assert id == find_target(simulated.remote, id, "t1", None).template
