"""A run that does not finish removes its objects, or lists those that remain."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import httpx
import pytest

from mockanka.check.cleanup import Cleanup
from mockanka.check.results import Results
from mockanka.check.write_checks import find_write_target
from mockanka.contract.conformance import contract_of
from mockanka.contract.exchange import Exchange
from mockanka.contract.paths import GROUPS_PATH, INSTANCES_PATH
from mockanka.core import groups
from mockanka.core.release import DEFAULT_RELEASE
from mockanka.remote.client import ClientOptions, ControllerError
from tests.check.simulated import SimulatedController, check_simulated, failures, remaining_objects
from tests.conftest import FULL

REQUESTS_OF_A_RUN = 170
"""A lower bound of the requests of a run in write mode on a named node."""


class FailingOnce(SimulatedController):
    """A controller that fails at request number ``at``, before the request has its effect or after."""

    def __init__(self, at: int, fail: Callable[[], None], after: bool = False) -> None:
        super().__init__()
        self.remaining, self.fail, self.after = at, fail, after

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.remaining -= 1
        if self.remaining == 0 and not self.after:
            self.fail()
        response = super().handle_request(request)
        if self.remaining == 0 and self.after:
            self.fail()
        return response


def interrupt() -> None:
    raise KeyboardInterrupt


def break_connection() -> None:
    raise httpx.ReadError("Connection reset by peer")


def run_in_write_mode(simulated: SimulatedController, options: ClientOptions | None = None) -> Results:
    """Return the results of a run on a named node."""
    client = simulated.client(options)
    target = find_write_target(client, simulated.template_id, None, "mini-01")
    return simulated.run(client, target)


def test_a_run_has_at_least_the_requests_that_are_interrupted_here() -> None:
    """Otherwise the tests below would interrupt nothing."""
    simulated = SimulatedController()
    run_in_write_mode(simulated)

    assert REQUESTS_OF_A_RUN <= len(simulated.exchanges)


def interruptions(first: int, step: int) -> list[Any]:
    """Return requests all through a run, by number, each before it is handled or after it; in full both."""
    return [
        pytest.param(at, after, id=f"{at}-{'after' if after else 'before'}")
        for at in range(first, REQUESTS_OF_A_RUN, step)
        for after in (False, True)
        if FULL or after == at % 2
    ]


@pytest.mark.parametrize(("at", "after"), interruptions(5, 11))
def test_an_interrupt_leaves_no_objects(at: int, after: bool) -> None:
    """The interrupt may come before any request has its effect, or after it and before the response."""
    simulated = FailingOnce(at, interrupt, after)
    results = run_in_write_mode(simulated)

    assert (2, "interrupted", []) == (results.exit_status, results.broken_off, results.leftovers)
    assert [] == remaining_objects(simulated.controller)


@cache
def changing_requests() -> list[int]:
    """Return the numbers of the requests that create or delete objects."""
    simulated = SimulatedController()
    run_in_write_mode(simulated)
    return [number for number, exchange in enumerate(simulated.exchanges, 1) if exchange.method in ("POST", "DELETE")]


def test_an_interrupt_of_a_changing_request_leaves_no_objects() -> None:
    """Each of these requests is interrupted in turn, after it has its effect and before the response."""
    assert len(changing_requests()) > 15
    for at in changing_requests():
        simulated = FailingOnce(at, interrupt, after=True)
        results = run_in_write_mode(simulated)

        assert ("interrupted", []) == (results.broken_off, results.leftovers)
        assert [] == remaining_objects(simulated.controller)


@pytest.mark.parametrize(("at", "after"), interruptions(10, 13))
def test_a_broken_connection_leaves_no_objects(at: int, after: bool) -> None:
    """The request is reported as unanswered, and the run continues."""
    simulated = FailingOnce(at, break_connection, after)
    results = run_in_write_mode(simulated)
    failed = [check_result.check for check_result in results.with_outcome("failed")]

    assert ["answered"] == [check for check in failed if check == "answered"]
    assert ("", []) == (results.broken_off, results.leftovers)
    assert [] == remaining_objects(simulated.controller)


class StoppingController(SimulatedController):
    """A controller that stops when the run has created its instance and its group."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if remaining_objects(self.controller) and len(self.exchanges) > 110:
            raise httpx.ConnectError("Connection refused")
        return super().handle_request(request)


def test_leftovers_have_the_commands_that_remove_them() -> None:
    """Each command has the options for authentication, but no secret."""
    simulated = StoppingController()
    options = ClientOptions(token="s3cret", headers=[("X-Team", "hidden")], insecure=True)
    results = run_in_write_mode(simulated, options)
    commands = [shlex.split(leftover.command) for leftover in results.leftovers]

    assert 2 == results.exit_status
    assert "3 requests in a row have no response" in results.broken_off
    assert sorted(remaining_objects(simulated.controller)) == sorted(leftover.id for leftover in results.leftovers)
    assert {"instance", "group"} == {leftover.kind for leftover in results.leftovers}
    for leftover, command in zip(results.leftovers, commands, strict=True):
        assert ["curl", "-X", "DELETE"] == command[:3]
        assert leftover.id in " ".join(command)
        assert {"-u", "root:TOKEN", "-k", "X-Team: ..."} <= set(command)
        assert command[-1].startswith("http://controller:8090/api/v1/")
    assert "s3cret" not in str(commands)
    assert "hidden" not in str(commands)


class RefusingController(SimulatedController):
    """A controller that refuses to remove objects at a path."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "DELETE" and request.url.path == self.path:
            return httpx.Response(400, json={"status": "FAIL", "message": "it is in use"})
        return super().handle_request(request)


@pytest.mark.parametrize(
    ("path", "kind", "operation"),
    [(GROUPS_PATH, "group", "deleteGroup"), (INSTANCES_PATH, "instance", "terminateVm")],
)
def test_a_refused_removal_fails_the_run(path: str, kind: str, operation: str) -> None:
    """The object is listed as a leftover, and the remark has the controller's message."""
    simulated = RefusingController(path)
    results = run_in_write_mode(simulated)

    assert 1 == results.exit_status
    assert [(kind, id) for id in remaining_objects(simulated.controller)] == [
        (leftover.kind, leftover.id) for leftover in results.leftovers
    ]
    assert [kind] == [leftover.kind for leftover in results.leftovers]
    assert [f"{operation}: not everything could be removed: it is in use"] == results.remarks


def empty_list_of_groups(exchange: Exchange) -> Exchange:
    """Return the exchange with an empty list if it is the list of groups."""
    if (exchange.method, exchange.path) != ("GET", GROUPS_PATH):
        return exchange
    return replace(exchange, response_content=b'{"status":"OK","message":"","body":[]}\n')


def test_a_group_that_is_not_listed_is_removed() -> None:
    """A group whose id the run knows may not be listed yet."""
    simulated = SimulatedController(alter=empty_list_of_groups)
    results = Results(contract_of(DEFAULT_RELEASE), "", "")
    cleanup = Cleanup(simulated.client(), results, simulated.sleep)
    group = groups.create_group(simulated.controller, cleanup.mark)
    cleanup.used_paths.add(GROUPS_PATH)
    cleanup.groups.add(group.id)
    cleanup.remove_all()

    assert (False, []) == (group.id in simulated.controller.groups, results.leftovers)


class HidingController(SimulatedController):
    """A controller that starts an instance without a response, and never lists instances again."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        if request.url.path == "/api/v1/vm" and remaining_objects(self.controller):
            raise httpx.ReadError("gone")
        return response


def test_a_possible_leftover_is_reported() -> None:
    """It has the mark by which it is found, and the command that lists it."""
    results = run_in_write_mode(HidingController())
    (leftover,) = [leftover for leftover in results.leftovers if leftover.kind == "instance"]

    assert leftover.id.startswith("any named mockanka-check-")
    assert "curl http://controller:8090/api/v1/vm" == leftover.command


class InterruptingController(SimulatedController):
    """A controller at which the run and its removal are interrupted."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "DELETE" and remaining_objects(self.controller):
            raise KeyboardInterrupt
        if request.url.path == "/api/v1/vm" and request.method == "PUT" and remaining_objects(self.controller):
            raise KeyboardInterrupt
        return super().handle_request(request)


def test_a_second_interrupt_ends_the_removal() -> None:
    """The remaining objects are listed."""
    simulated = InterruptingController()
    results = run_in_write_mode(simulated)

    assert 2 == results.exit_status
    assert sorted(remaining_objects(simulated.controller)) == sorted(leftover.id for leftover in results.leftovers)
    assert results.leftovers


class VanishingController(SimulatedController):
    """A controller that stops responding after some requests."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if len(self.exchanges) > 20:
            raise httpx.ReadTimeout("")
        return super().handle_request(request)


def test_a_run_ends_after_three_requests_without_a_response() -> None:
    """The results until then are kept."""
    results = check_simulated(VanishingController())

    assert 2 == results.exit_status
    assert "3 requests in a row have no response, the last: GET" in results.broken_off
    assert 20 < len(list(results.with_outcome("passed")))


class UnreliableController(SimulatedController):
    """A controller that does not respond to three requests, with others between them."""

    number = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.number += 1
        if self.number in (20, 40, 60):
            break_connection()
        return super().handle_request(request)


def test_only_requests_in_a_row_without_a_response_end_a_run() -> None:
    """A response in between begins the count anew."""
    simulated = UnreliableController()
    results = run_in_write_mode(simulated)

    assert (True, "") == (simulated.number > 60, results.broken_off)


def test_a_run_has_a_total_limit() -> None:
    """It ends with the results until then, and its objects are removed."""
    simulated = SimulatedController("long-pull")
    client = simulated.client(limit=60)
    results = simulated.run(client, find_write_target(client, simulated.template_id, None, None))

    assert 2 == results.exit_status
    assert "the total limit of 60 s is reached; --limit raises it" in results.broken_off
    assert [] == remaining_objects(simulated.controller)


def denying_nodes(status: int, message: str) -> Callable[[Exchange], Exchange]:
    """Return an alteration that denies requests about nodes."""
    content = f'{{"status":"FAIL","message":"{message}"}}\n'.encode()

    def deny(exchange: Exchange) -> Exchange:
        return replace(exchange, status=status, response_content=content) if "/node" in exchange.path else exchange

    return deny


def test_a_missing_permission_skips_checks() -> None:
    """It fails nothing, in read-only and in write mode, and a remark reports it."""
    for write in (False, True):
        results = check_simulated(SimulatedController(alter=denying_nodes(403, "not yours")), write=write)

        assert (0, []) == (results.exit_status, failures(results))
        assert "listNodes: not checked, the permission is missing: not yours" in results.remarks
        assert "skipped" == results.check_results["listNodes", "unknown-id"].outcome


def test_missing_authentication_ends_the_run() -> None:
    """It does so even if the status can be read without authentication."""
    results = check_simulated(SimulatedController(alter=denying_nodes(401, "Authentication Required")))

    assert 2 == results.exit_status
    assert "HTTP 401 (Authentication Required): authentication is required; give --token" in results.broken_off


@pytest.mark.parametrize(
    ("template", "tag", "node", "complaint"),
    [
        ("nothing", None, None, r"--template: there is no template nothing at .*; there is 14\.5-arm64, 13\.6-arm64"),
        ("14.5-arm64", "t9", None, r"--tag: template 14\.5-arm64 has no tag t9; it has vanilla, xcode-15"),
        ("14.5-arm64", "vanilla", "mini-03", r"--node: there is no node mini-03 at .*; there is mini-01, mini-02"),
    ],
)
def test_a_missing_target_is_an_error(template: str, tag: str | None, node: str | None, complaint: str) -> None:
    """The error names what exists instead."""
    with pytest.raises(ControllerError, match=complaint):
        find_write_target(SimulatedController().client(), template, tag, node)


def test_a_template_with_an_ambiguous_name_is_selected_by_id() -> None:
    """Two templates of the reference have the same name."""
    client = SimulatedController("reference").client()
    complaint = r"android-2 is the name of several; give the id of one: 59adf1a8-.*, 00510971-"
    with pytest.raises(ControllerError, match=complaint):
        find_write_target(client, "android-2", None, None)
    id = "00510971-5c37-4a60-a9c6-ea185397d9b4"

    assert id == find_write_target(client, id, "t1", None).template


class ForgettingController(SimulatedController):
    """A controller that loses its state when the run has created its instance and its group."""

    def __init__(self) -> None:
        super().__init__()
        self.is_forgetful = True

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if self.is_forgetful and request.method == "PUT" and len(remaining_objects(self.controller)) == 2:
            self.is_forgetful = False
            self.simulator.reset()
            self.controller.advance()
        return super().handle_request(request)


def test_what_a_controller_lost_is_not_left_behind() -> None:
    """Objects that are neither listed nor found by their ids are gone."""
    simulated = ForgettingController()
    results = run_in_write_mode(simulated)

    assert not simulated.is_forgetful
    assert ([], []) == (results.leftovers, remaining_objects(simulated.controller))


def without_content(exchange: Exchange) -> Exchange:
    """Return the exchange with a 204 in response to a removal."""
    return replace(exchange, status=204, response_content=b"") if exchange.method == "DELETE" else exchange


def test_an_empty_response_to_a_removal_leaves_nothing_behind() -> None:
    """Only the existence of the object counts."""
    simulated = SimulatedController(alter=without_content)
    results = run_in_write_mode(simulated)

    assert 1 == results.exit_status
    assert ([], []) == (results.leftovers, remaining_objects(simulated.controller))


class AnonymousController(SimulatedController):
    """A controller that does not respond to a start, and lists instances without names."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        if request.method == "POST" and request.url.path == INSTANCES_PATH and remaining_objects(self.controller):
            break_connection()
        return response


def without_names(exchange: Exchange) -> Exchange:
    content = re.sub(rb'"(name|external_id)":"mockanka-check-[^"]*"', rb'"\1":""', exchange.response_content)
    return replace(exchange, response_content=content)


def test_a_start_that_cannot_be_recognised_is_named() -> None:
    """Its response was lost, and no instance has the mark of the run; a refused start is not meant."""
    simulated = AnonymousController(alter=without_names)
    results = run_in_write_mode(simulated)

    assert 1 == len(remaining_objects(simulated.controller))
    assert any("starts without an id in their response: 1; no instance" in remark for remark in results.remarks)
    assert not any("without an id" in remark for remark in run_in_write_mode(SimulatedController()).remarks)
