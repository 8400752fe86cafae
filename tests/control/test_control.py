"""The control API: each route, each refusal, and that a refusal changes nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from mockanka import __version__
from mockanka.control import create_control
from mockanka.control.clock import ADVANCE_FORMS
from mockanka.core.instance_record import StartRequest
from mockanka.core.instances import start_instances, terminate_instance
from mockanka.core.nodes import lose_node
from mockanka.core.release import Release
from mockanka.scenario import Options, Scenario, dump
from mockanka.simulator.simulator import Simulator
from tests.controllers import state_of

BEGIN = "2024-01-01T00:00:00Z"


class Control:
    """A house and its control API."""

    def __init__(self, name: str = "default", **options: Any) -> None:
        self.house = Simulator(Scenario.named(name), Options(**{"clock": "manual", **options}))
        self.client: FlaskClient = create_control(self.house).test_client()

    def ask(self, method: str, path: str, body: object = None, **more: Any) -> TestResponse:
        data = body if isinstance(body, str | bytes | None) else json.dumps(body)
        return self.client.open(f"/_mock/{path}", method=method, data=data, **more)

    def advance(self, **body: object) -> TestResponse:
        return self.ask("POST", "clock/advance", body)

    @property
    def now(self) -> str:
        return str(self.ask("GET", "clock").get_json()["now"])

    def start(self, **more: Any) -> str:
        controller = self.house.controller
        return start_instances(controller, StartRequest(next(iter(controller.templates)), **more))[0]


@pytest.fixture
def control() -> Control:
    return Control()


def problem_of(answer: TestResponse) -> tuple[int, str]:
    """Status and detail of a refusal, which must be a well-formed problem."""
    assert "application/problem+json" == answer.content_type
    body = answer.get_json(force=True)
    assert answer.status_code == body["status"]
    assert {"type", "title", "status", "detail"} <= set(body)
    return answer.status_code, body["detail"]


def flat(control: Control, method: str, path: str, body: object = None, **more: Any) -> tuple[int, str]:
    """A refusal's status and detail, without the escapes of the JSON in it."""
    status, detail = problem_of(control.ask(method, path, body, **more))
    return status, detail.replace('\\"', '"')


# What is there.


def test_the_index_leads_to_everything(control: Control) -> None:
    """The index names the release and links that all answer."""
    body = control.ask("GET", "").get_json()

    assert (__version__, "1.50.1") == (body["mockanka"], body["release"])
    assert {"health", "clock", "advance", "reset", "scenario", "events"} <= set(body["links"])
    assert not [link for link in body["links"].values() if control.client.options(link).status_code != 200]


def test_health_is_ok(control: Control) -> None:
    """Health answers 200 in plain JSON."""
    answer = control.ask("GET", "health")

    assert (200, "application/json", {"status": "ok"}) == (answer.status_code, answer.content_type, answer.get_json())


@pytest.mark.parametrize("path", ["nope", "health/", "clock/advance/now", "scenario/default", "Clock"])
def test_an_unknown_path_is_a_problem(control: Control, path: str) -> None:
    """What is not there is answered as a problem."""
    assert 404 == problem_of(control.ask("GET", path))[0]


@pytest.mark.parametrize("path", ["faults", "clock", "scenario", "instances/nobody", "report", "requests", "events"])
def test_an_unknown_parameter_is_refused(control: Control, path: str) -> None:
    """Who misspells a filter is told so, and does not get everything."""
    status, detail = problem_of(control.ask("GET", f"{path}?x=1"))

    assert (400, "there is no parameter 'x'") == (status, detail.partition(";")[0])


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "clock", "PUT"),
        ("GET", "clock/advance", "POST"),
        ("GET", "reset", "POST"),
        ("POST", "scenario", "PUT"),
        ("POST", "health", "GET"),
        ("PATCH", "events", "GET"),
    ],
)
def test_an_unknown_method_is_a_problem(control: Control, method: str, path: str, allowed: str) -> None:
    """A method that is not there is answered as a problem that names those that are."""
    answer = control.ask(method, path)

    assert 405 == problem_of(answer)[0]
    assert allowed in answer.headers["Allow"].split(", ")


# The clock.


def test_the_clock_shows_its_four_sides() -> None:
    """The clock answers with its time, mode, speed and step."""
    control = Control(clock="step", speed=2.5, step=1_500_000_000)

    assert {"now": BEGIN, "mode": "step", "speed": 2.5, "step": "1.5s"} == control.ask("GET", "clock").get_json()


@pytest.mark.parametrize("mode", ["manual", "step"])
@pytest.mark.parametrize("change", [{}, {"mode": "manual"}, {"mode": "step"}, {"speed": 7}, {"step": "1m"}])
def test_a_change_of_the_clock_changes_that_and_nothing_else(mode: str, change: dict[str, object]) -> None:
    """What is not among the changes stays as it is, and so does the time."""
    control = Control(clock=mode)
    control.advance(by="90s")
    before = control.ask("GET", "clock").get_json()
    after = control.ask("PUT", "clock", change).get_json()
    expected = {**before, **change}
    if expected["step"] == "1m":
        expected["step"] = "1m0s"

    assert expected == after == control.ask("GET", "clock").get_json()


@pytest.mark.parametrize(("old", "new"), [("real", "manual"), ("manual", "real"), ("step", "real"), ("real", "real")])
def test_a_change_of_mode_does_not_jump(old: str, new: str) -> None:
    """Time goes on from where it was, into and out of a clock that runs by itself."""
    control = Control(clock=old)
    control.house.controller.clock.advance(3600 * 10**9)
    before = control.house.controller.clock.now()
    control.ask("PUT", "clock", {"mode": new, "speed": 0.001})
    after = control.house.controller.clock.now()

    assert 0 <= after - before < 60 * 10**9


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"mode": "stp"}, "'stp' is not known: did you mean 'step'?"),
        ({"speed": 0}, "0 is not above zero"),
        ({"speed": -1}, "-1 is not above zero"),
        ('{"speed": NaN}', "NaN is no JSON number"),
        ('{"speed": Infinity}', "Infinity is no JSON number"),
        ({"speed": True}, "True is not a number"),
        ({"step": 5}, "5 has no unit"),
        ({"step": "-5s"}, "'-5s' is less than nothing: time does not go back"),
        ({"spd": 1}, "unknown key, did you mean 'speed'?"),
        ({"mode": None}, "has no value"),
        ([], "the body must be a JSON object"),
        ("5", "the body must be a JSON object"),
        ("", "the body is empty; it must be a JSON object"),
        ("{", "the body is not valid JSON"),
        (b"\xff\xfe", "the body is not valid JSON"),
        ("[" * 100_000, "the body is not valid JSON"),
    ],
)
def test_a_bad_change_of_the_clock_is_refused(control: Control, body: object, detail: str) -> None:
    """A change that makes no sense is refused with what would be right, and the clock stays as it is."""
    before = control.ask("GET", "clock").get_json()
    status, said = flat(control, "PUT", "clock", body)

    assert 400 == status
    assert detail in said
    assert before == control.ask("GET", "clock").get_json()


# Advancing.


@pytest.mark.parametrize("mode", ["manual", "step", "real"])
def test_time_can_be_moved_in_every_mode(mode: str) -> None:
    """Whatever the mode, ``by`` moves the clock by that much and what is due happens."""
    control = Control(clock=mode, speed=0.000001)
    id = control.start()
    before = control.house.controller.clock.now()
    answer = control.advance(by="30s")

    assert 200 == answer.status_code
    assert 0 <= control.house.controller.clock.now() - before - 30 * 10**9 < 10**9
    assert "Started" == control.house.controller.instances[id].state


def test_a_year_can_pass_at_once(control: Control) -> None:
    """A year is moved by like a second."""
    control.start()
    answer = control.advance(by="8784h")

    assert (200, "2025-01-01T00:00:00Z") == (answer.status_code, answer.get_json()["now"])


@pytest.mark.parametrize("by", ["8766000000000h", "31557600000000000s", "9999999h"])
def test_a_billion_years_are_refused(control: Control, by: str) -> None:
    """More than a thousand years at once are refused, and no time passes."""
    status, said = flat(control, "POST", "clock/advance", {"by": by})

    assert (400, BEGIN) == (status, control.now)
    assert "is longer than a thousand years" in said


def test_time_ends_where_no_moment_can_be_written(control: Control) -> None:
    """Thousand years after thousand years are refused once they lead beyond the year 9000."""
    statuses = [control.advance(by="8760000h").status_code for _ in range(9)]

    assert [200] * 6 + [400] * 3 == statuses
    assert (400, "that is beyond the year 9000, where time ends") == problem_of(control.advance(by="8760000h"))
    assert control.now.startswith("80")


def test_until_next_goes_to_the_next_event(control: Control) -> None:
    """``next`` goes exactly to the moment at which something happens; with nothing to come it says so."""
    control.start()
    times = [control.advance(until="next").get_json()["now"] for _ in range(2)]

    assert ["2024-01-01T00:00:01Z", "2024-01-01T00:00:21Z"] == times
    assert (409, "nothing is on its way, so nothing comes next") == problem_of(control.advance(until="next"))
    assert "2024-01-01T00:00:21Z" == control.now


def test_until_idle_ends_when_all_have_started() -> None:
    """``idle`` goes on until nothing is on its way any more."""
    control = Control("cold-cache")
    ids = [control.start() for _ in range(3)]
    answer = control.advance(until="idle")

    assert 200 == answer.status_code
    assert control.house.controller.idle
    assert {"Started"} == {control.house.controller.instances[id].state.value for id in ids}


def test_idle_waits_neither_for_capacity_nor_for_being_forgotten() -> None:
    """Who waits for a slot that nobody frees, and who is Terminated, is not on its way."""
    control = Control("busy")
    terminate_instance(control.house.controller, next(iter(control.house.controller.instances)))
    control.advance(until="idle")
    states = [each.state.value for each in control.house.controller.instances.values()]

    assert ["Terminated", *["Started"] * 5] == states[:6]
    assert 4 == states.count("Scheduling")
    assert control.now < "2024-01-01T00:01:00Z"


def test_until_an_instance_is_in_a_state(control: Control) -> None:
    """The clock goes to the moment at which the instance comes to its state."""
    id = control.start()
    answer = control.advance(until={"instance": id, "state": "Started"})

    assert (200, "2024-01-01T00:00:21Z") == (answer.status_code, answer.get_json()["now"])
    assert "Started" == control.house.controller.instances[id].state


def test_what_is_so_already_takes_no_time(control: Control) -> None:
    """Waiting for what is the case returns at once."""
    id = next(iter(control.house.controller.instances))
    answer = control.advance(until={"instance": id, "state": "Started"})

    assert (200, BEGIN) == (answer.status_code, answer.get_json()["now"])


def test_an_unknown_instance_is_not_found(control: Control) -> None:
    """Waiting for an instance that is not there is 404, and names it."""
    answer = control.advance(until={"instance": "nobody", "state": "Started"})

    assert (404, "there is no instance nobody") == problem_of(answer)


def test_a_state_that_is_behind_will_never_be(control: Control) -> None:
    """An instance that is Started is never Pulling again, and the refusal says so."""
    id = next(iter(control.house.controller.instances))
    answer = control.advance(until={"instance": id, "state": "Pulling"})

    assert (409, "an instance that is Started is never Pulling") == problem_of(answer)


def test_a_state_nobody_brings_about_will_never_be(control: Control) -> None:
    """An instance that runs on is not terminated by waiting, and the refusal says that nothing is on its way."""
    id = next(iter(control.house.controller.instances))
    answer = control.advance(until={"instance": id, "state": "Terminated"})

    assert (409, f"instance {id} stays Started: nothing is on its way") == problem_of(answer)


def test_a_wait_without_capacity_says_what_is_missing() -> None:
    """Waiting for the start of one that finds no slot says why it finds none."""
    control = Control("busy")
    id = control.start()
    answer = control.advance(until={"instance": id, "state": "Started"})

    assert (409, f"instance {id} stays Scheduling: no free slot (3 nodes)") == problem_of(answer)


def test_a_wait_past_the_end_says_that_it_is_gone(control: Control) -> None:
    """An instance that is forgotten on the way is reported as gone."""
    id = control.start()
    terminate_instance(control.house.controller, id)
    answer = control.advance(until={"instance": id, "state": "Terminated"})

    assert (409, f"instance {id} is gone without having been Terminated") == problem_of(answer)


def test_an_instance_on_a_lost_node_goes_to_error(control: Control) -> None:
    """Waiting for an instance whose node is lost ends when it fails, and says why."""
    id = next(iter(control.house.controller.instances))
    terminated = control.start(node_id=control.house.controller.instances[id].node_id)
    lose_node(control.house.controller, control.house.controller.instances[id].node_id or "")
    status, said = problem_of(control.advance(until={"instance": id, "state": "Stopped"}))

    assert (409, "an instance that is Error is never Stopped (node mini-01 is offline)") == (status, said)
    assert "Scheduling" == control.house.controller.instances[terminated].state


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({}, ADVANCE_FORMS),
        ({"by": "1s", "until": "idle"}, ADVANCE_FORMS),
        ({"by": "-5s"}, "'-5s' is less than nothing: time does not go back"),
        ({"by": "soon"}, "'soon' is no duration"),
        ({"by": 5}, "5 has no unit"),
        ({"by": None}, "has no value"),
        ({"until": "idl"}, "until: 'idl' is not known: did you mean 'idle'?"),
        ({"until": 5}, 'until: must be "idle", "next" or {"instance": ID, "state": STATE}'),
        ({"until": ["idle"]}, 'until: must be "idle", "next" or {"instance": ID, "state": STATE}'),
        ({"until": {"instance": "x"}}, "is missing"),
        ({"until": {"instance": "x", "state": "Startd"}}, "'Startd' is not known: did you mean 'Started'?"),
        ({"until": {"instance": "x", "state": "gone"}}, "'gone' is not known"),
        ({"until": {"instance": 5, "state": "Started"}}, "5 is not text"),
        ({"until": {"instance": "x", "state": "Error", "stat": 1}}, "unknown key, did you mean 'state'?"),
        ({"untill": "next"}, "unknown key, did you mean 'until'?"),
        (None, "the body is empty; it must be a JSON object"),
        ("{", "the body is not valid JSON"),
        ("null", "the body must be a JSON object"),
        ("[]", "the body must be a JSON object"),
        ('"idle"', "the body must be a JSON object"),
    ],
)
def test_a_bad_advance_is_refused(control: Control, body: object, detail: str) -> None:
    """What cannot be waited for is refused with what can, and no time passes."""
    status, said = flat(control, "POST", "clock/advance", body)

    assert (400, BEGIN) == (status, control.now)
    assert detail in said.replace('\\"', '"').replace("\\", "")


# Reset.


@pytest.mark.parametrize("body", [None, "{}", "  "])
def test_a_reset_begins_anew(control: Control, body: str | None) -> None:
    """A reset without more goes back to the scenario, at its start."""
    before = dump(control.house.controller)
    control.start()
    control.advance(by="5m")
    answer = control.ask("POST", "reset", body)

    assert (200, before) == (answer.status_code, dump(control.house.controller))


def test_a_reset_by_name_loads_what_ships(control: Control) -> None:
    """A scenario's name brings that scenario."""
    control.ask("POST", "reset", {"scenario": "fleet"})

    assert 100 == len(control.house.controller.nodes)


def test_a_reset_with_a_scenario_in_full_loads_it(control: Control) -> None:
    """A scenario given as JSON, typed as JSON is, is loaded."""
    answer = control.ask("POST", "reset", {"scenario": {"nodes": [{"name": "a", "capacity": 7}]}, "seed": 5})
    (node,) = control.house.controller.nodes.values()

    assert (200, "a", 7, 5) == (answer.status_code, node.name, node.capacity, control.house.controller.seed)


VLAN = {
    "controller": {"release": "1.22.0"},
    "templates": [{"name": "mac", "versions": [{"tag": "base"}]}],
    "nodes": [{"name": "a", "cached": ["mac"]}],
    "instances": [{"template": "mac", "id": "one", "vlan_tag": "12"}],
}
"""A scenario that says more than its release knows."""


@pytest.mark.parametrize(("method", "path", "body"), [("POST", "reset", {"scenario": VLAN}), ("PUT", "scenario", VLAN)])
def test_what_a_release_does_not_know_is_noted(control: Control, method: str, path: str, body: object) -> None:
    """Beginning anew answers with what was left out; nothing, if nothing was."""
    answers = [
        control.ask(method, path, body, content_type="application/json").get_json(),
        control.ask("POST", "reset").get_json(),
        control.ask("POST", "reset", {"scenario": "default"}).get_json(),
    ]
    noted = {"status": "ok", "notes": ["instance one: vlan_tag came with 1.23.0, and is left out"]}

    assert [noted, noted, {"status": "ok", "notes": []}] == answers


def test_a_reset_with_a_seed_makes_other_ids(control: Control) -> None:
    """Another seed makes another world of the same scenario, and for this time only."""
    first = set(control.house.controller.nodes)
    control.ask("POST", "reset", {"seed": 9})
    second = set(control.house.controller.nodes)
    control.ask("POST", "reset", {})

    assert first.isdisjoint(second)
    assert first == set(control.house.controller.nodes)


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"scenario": "defualt"}, "did you mean 'default'?"),
        ({"scenario": "/etc/passwd"}, "no scenario of that name ships"),
        ({"scenario": "scenarios/default.yaml"}, "no scenario of that name ships"),
        (
            {"scenario": {"nodes": [{"name": "a", "capacty": 3}]}},
            "nodes[0].capacty: unknown key, did you mean 'capacity'?",
        ),
        (
            {"scenario": {"instances": [{"template": "x"}]}},
            "instances[0].template: there is no template 'x': there are none",
        ),
        ({"scenario": 5}, "must be keys with values"),
        ({"scenario": None}, "scenario"),
        ({"sed": 5}, "unknown key, did you mean 'seed'?"),
        ({"seed": "x"}, "'x' is not a whole number"),
        ({"seed": 1.5}, "1.5 is not a whole number"),
        ({"seed": 2**63}, str(2**63)),
        ("[]", "the body must be a JSON object"),
        ("{", "the body is not valid JSON"),
    ],
)
def test_a_bad_reset_changes_nothing(control: Control, body: object, detail: str) -> None:
    """A reset that is refused says why and leaves everything as it was."""
    control.start()
    control.advance(by="10s")
    before = state_of(control.house.controller)
    status, said = flat(control, "POST", "reset", body)

    assert 400 == status
    assert detail in said
    assert before == state_of(control.house.controller)


# Scenarios.


def test_the_scenario_is_json_unless_yaml_is_asked_for(control: Control) -> None:
    """Whoever accepts YAML gets YAML; everyone else gets JSON; both say the same."""
    kinds = {
        accept: control.ask("GET", "scenario", headers={"Accept": accept} if accept else {})
        for accept in (
            "",
            "*/*",
            "image/png",
            "application/json",
            "application/yaml",
            "application/x-yaml",
            "text/yaml",
        )
    }

    assert {"application/json"} == {kinds[each].content_type for each in ("", "*/*", "image/png", "application/json")}
    assert ["application/yaml", "application/x-yaml", "text/yaml"] == [
        kinds[each].content_type for each in ("application/yaml", "application/x-yaml", "text/yaml")
    ]
    assert kinds[""].get_json() == yaml.safe_load(kinds["application/yaml"].text) == dump(control.house.controller)


@pytest.mark.parametrize(("accept", "kind"), [("application/json", "application/json"), ("text/yaml", "text/yaml")])
def test_what_was_got_can_be_put(accept: str, kind: str) -> None:
    """The whole state goes out and comes in again, in either kind, in the middle of everything."""
    control, other = Control("cold-cache"), Control("empty")
    for _ in range(3):
        control.start()
    control.advance(by="20s")
    text = control.ask("GET", "scenario", headers={"Accept": accept}).data
    answer = other.ask("PUT", "scenario", text, content_type=kind)

    assert 200 == answer.status_code
    assert state_of(control.house.controller) == state_of(other.house.controller)


def test_the_scenario_shown_is_that_of_now() -> None:
    """What came due since the last request has happened in the scenario that is shown."""
    control = Control()
    id = control.start()
    control.house.controller.clock.advance(60 * 10**9)
    shown = control.ask("GET", "scenario").get_json()

    assert "2024-01-01T00:01:00Z" == shown["clock"]["start"]
    assert {"Started"} == {each["state"] for each in shown["instances"]}
    assert id in [each["id"] for each in shown["instances"]]


YAML_WITH_MISTAKE = "nodes:\n  - {name: a, capacty: 3}\n"


@pytest.mark.parametrize(
    ("body", "kind", "detail"),
    [
        (YAML_WITH_MISTAKE, "application/yaml", "request:2: nodes[0].capacty: unknown key, did you mean 'capacity'?"),
        (YAML_WITH_MISTAKE, None, "request:2: nodes[0].capacty: unknown key, did you mean 'capacity'?"),
        ('{"nods": []}', "application/json", "request: nods: unknown key, did you mean 'nodes'?"),
        ("{", "application/json", "request: not valid JSON: "),
        ("- a", "application/yaml", "must be keys with values"),
        (b"\xff", "application/yaml", "the body is not UTF-8: "),
        (b"\xff\xfe\xfd", "application/json", "request: not valid JSON: "),
        ("[" * 5000, "application/yaml", "request"),
        ("[" * 100_000, "application/json", "request"),
        ("a: &a [*a]", "application/yaml", "is nested in itself, or too deep"),
        (
            "templates: [{name: os, versions: [{}]}]\ninstances: [{template: os, version: 3}]",
            "text/yaml",
            "instances[0].version",
        ),
        ("nodes: [{name: 'a{n.x}', count: 1}]", "text/yaml", "nodes[0].name"),
    ],
)
def test_a_broken_scenario_is_refused_and_changes_nothing(
    control: Control, body: str | bytes, kind: str | None, detail: str
) -> None:
    """A scenario that cannot be loaded is refused as it is on the command line, and everything stays."""
    control.start()
    before = state_of(control.house.controller)
    status, said = flat(control, "PUT", "scenario", body, content_type=kind)

    assert 400 == status
    assert detail in said
    assert before == state_of(control.house.controller)


NEWER = "controller: {release: 1.8.0}\nnodes: [{name: a}]\nfaults: [{match: {event: begin}, do: {node: drain}}]\n"


def test_a_scenario_is_judged_by_the_release_it_will_run_with(control: Control) -> None:
    """A release given at the start beats the scenario's, so what that one did not know is no mistake."""
    newer = Simulator(Scenario.named("default"), Options(clock="manual", release=Release(1, 50, 1)))
    client = create_control(newer).test_client()
    in_full = {"scenario": {"controller": {"release": "1.8.0"}, "nodes": [{"name": "b", "state": "Drain Mode"}]}}

    assert 200 == client.put("/_mock/scenario", data=NEWER).status_code
    assert (["a"], 1) == ([each.name for each in newer.controller.nodes.values()], len(newer.controller.faults))
    assert 200 == client.post("/_mock/reset", json=in_full).status_code
    assert "1.8.0 knows no Drain Mode" in flat(control, "PUT", "scenario", NEWER)[1]
    assert "1.8.0 knows no Drain Mode" in flat(control, "POST", "reset", in_full)[1]
    assert 2 == len(control.house.controller.nodes)


def test_every_problem_of_a_scenario_is_told(control: Control) -> None:
    """All faults that were found stand in the answer, one by one."""
    answer = control.ask("PUT", "scenario", "nods: []\nclok: {}\n")

    assert [
        "request:1: nods: unknown key, did you mean 'nodes'?",
        "request:2: clok: unknown key, did you mean 'clock'?",
    ] == answer.get_json(force=True)["problems"]


def test_a_scenario_in_json_is_read_as_yaml_where_nothing_is_said(control: Control) -> None:
    """JSON without a content type is taken too."""
    answer = control.ask("PUT", "scenario", '{"nodes": [{"name": "a", "cpus": 3}]}')

    assert (200, [3]) == (answer.status_code, [node.cpus for node in control.house.controller.nodes.values()])


@pytest.mark.parametrize("clock", ["manual", "step"])
def test_control_calls_do_not_move_the_clock(clock: str) -> None:
    """Looking moves no clock, not even one that steps."""
    control = Control(clock=clock)
    for path in ("", "health", "clock", "scenario", "events", "nope"):
        control.ask("GET", path)

    assert BEGIN == control.now


# Events.


def test_events_are_listed_in_order(control: Control) -> None:
    """What happened is listed with its number, its time, its kind and whom it befell."""
    id = control.start()
    control.advance(by="1s")
    events = control.ask("GET", "events").get_json()["events"]

    assert [1, 2, 3] == [event["number"] for event in events]
    assert [BEGIN, "2024-01-01T00:00:01Z", "2024-01-01T00:00:01Z"] == [event["at"] for event in events]
    assert [("instance", id), ("placed", id), ("VM cloned", id)] == [
        (each["event"], each["subject"]) for each in events
    ]


def test_events_can_be_asked_for_since(control: Control) -> None:
    """``since`` leaves out what one has seen."""
    control.start()
    control.advance(by="1s")
    numbers = [
        [event["number"] for event in control.ask("GET", "events", query_string=f"since={since}").get_json()["events"]]
        for since in (0, 2, 3, 99)
    ]

    assert [[1, 2, 3], [3], [], []] == numbers


@pytest.mark.parametrize("since", ["x", "-1", "1.5", "²"])
def test_a_since_that_is_no_number_is_refused(control: Control, since: str) -> None:
    """``since`` is the number of an event."""
    status, said = problem_of(control.ask("GET", "events", query_string={"since": since}))

    assert (400, f"since must be a whole number, 0 or more, not {since!r}") == (status, said)
