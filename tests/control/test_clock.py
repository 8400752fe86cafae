"""Showing, changing and advancing the clock."""

from __future__ import annotations

import pytest

from mockanka.control.clock import ADVANCE_FORMS
from mockanka.core.instances import terminate_instance
from mockanka.core.lifecycle import LostInstances
from mockanka.core.nodes import lose_node
from mockanka.scenario import dump
from tests.control.client import BEGIN, ControlClient, check_problem


def test_the_clock_has_time_mode_speed_and_step() -> None:
    """GET clock answers with these four."""
    control = ControlClient(clock="step", speed=2.5, step=1_500_000_000)

    assert {"now": BEGIN, "mode": "step", "speed": 2.5, "step": "1.5s"} == control.send("GET", "clock").get_json()


@pytest.mark.parametrize("mode", ["manual", "step"])
@pytest.mark.parametrize("change", [{}, {"mode": "manual"}, {"mode": "step"}, {"speed": 7}, {"step": "1m"}])
def test_a_change_of_the_clock_changes_that_and_nothing_else(mode: str, change: dict[str, object]) -> None:
    """Settings that are not given stay as they are, and so does the time."""
    control = ControlClient(clock=mode, speed=2.5, step=1_500_000_000)
    control.advance(by="90s")
    before = control.send("GET", "clock").get_json()
    after = control.send("PUT", "clock", change).get_json()
    expected = {**before, **change}
    if expected["step"] == "1m":
        expected["step"] = "1m0s"

    assert expected == after == control.send("GET", "clock").get_json()


def test_a_change_lasts_until_the_next_reset(control: ControlClient) -> None:
    """Unless it is kept, a reset brings back the clock of the start."""
    before = control.send("GET", "clock").get_json()
    for change in ({"mode": "step", "speed": 60, "step": "1s"}, {"mode": "step", "keep": False}):
        control.send("PUT", "clock", change)
        control.send("POST", "reset")

        assert before == control.send("GET", "clock").get_json()


def test_a_clock_that_is_kept_runs_so_after_resets_and_loads(control: ControlClient) -> None:
    """Mode, speed and step as they are then are kept, whether this change or an earlier one set them."""
    control.send("PUT", "clock", {"step": "1s"})
    kept = control.send("PUT", "clock", {"mode": "step", "speed": 60, "keep": True}).get_json()
    clocks = []
    for method, path, body in (("POST", "reset", {}), ("POST", "reset", {"scenario": "busy"}), ("PUT", "scenario", {})):
        control.send(method, path, body, content_type="application/json")
        clocks.append(control.send("GET", "clock").get_json())

    assert {"now": BEGIN, "mode": "step", "speed": 60.0, "step": "1s"} == kept
    assert [kept] * 3 == clocks


def test_a_kept_clock_is_changed_until_the_next_reset_or_kept_anew(control: ControlClient) -> None:
    """A change that is not kept, or the clock of a reset, does not last; the last one that is kept does."""
    control.send("PUT", "clock", {"speed": 60, "keep": True})
    control.send("PUT", "clock", {"speed": 7})
    control.send("POST", "reset", {"clock": {"speed": 8}})
    during = control.send("GET", "clock").get_json()["speed"]
    control.send("POST", "reset")
    after = control.send("GET", "clock").get_json()["speed"]
    control.send("PUT", "clock", {"speed": 9, "keep": True})
    control.send("POST", "reset")

    assert (8, 60, 9) == (during, after, control.send("GET", "clock").get_json()["speed"])


@pytest.mark.parametrize(("old", "new"), [("real", "manual"), ("manual", "real"), ("step", "real"), ("real", "real")])
def test_a_change_of_mode_does_not_jump(old: str, new: str) -> None:
    """Time goes on from where it was, when the clock becomes real or stops being real."""
    control = ControlClient(clock=old)
    control.controller.clock.advance(3600 * 10**9)
    before = control.controller.clock.now()
    control.send("PUT", "clock", {"mode": new, "speed": 0.001})
    after = control.controller.clock.now()

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
        ({"step": "-5s"}, "'-5s' is negative: time does not go back"),
        ({"spd": 1}, "unknown key, did you mean 'speed'?"),
        ({"mode": None}, "has no value"),
        ({"keep": "yes please"}, "keep: 'yes please' is neither true nor false"),
        ([], "the body must be a JSON object"),
        ("5", "the body must be a JSON object"),
        ("", "the body is empty; it must be a JSON object"),
        ("{", "the body is not valid JSON"),
        (b"\xff\xfe", "the body is not valid JSON"),
        ("[" * 100_000, "the body is not valid JSON"),
    ],
)
def test_a_bad_change_of_the_clock_is_refused(control: ControlClient, body: object, detail: str) -> None:
    """A wrong change is refused with what would be right, and the clock stays as it is."""
    before = control.send("GET", "clock").get_json()
    status, message = control.refused("PUT", "clock", body)

    assert 400 == status
    assert detail in message
    assert before == control.send("GET", "clock").get_json()


@pytest.mark.parametrize("mode", ["manual", "step", "real"])
def test_time_can_be_moved_in_every_mode(mode: str) -> None:
    """In every mode ``by`` advances the clock by that much, and everything due happens."""
    control = ControlClient(clock=mode, speed=0.000001)
    instance_id = control.start()
    before = control.controller.clock.now()
    response = control.advance(by="30s")

    assert 200 == response.status_code
    assert 0 <= control.controller.clock.now() - before - 30 * 10**9 < 10**9
    assert "Started" == control.controller.instances[instance_id].state


def test_a_year_can_pass_at_once(control: ControlClient) -> None:
    """The clock can be advanced by a year."""
    control.start()
    response = control.advance(by="8784h")

    assert (200, "2025-01-01T00:00:00Z") == (response.status_code, response.get_json()["now"])


@pytest.mark.parametrize("by", ["8766000000000h", "31557600000000000s", "9999999h"])
def test_a_billion_years_are_refused(control: ControlClient, by: str) -> None:
    """More than a thousand years at once are refused, and no time passes."""
    status, message = control.refused("POST", "clock/advance", {"by": by})

    assert (400, BEGIN) == (status, control.now)
    assert "is longer than a thousand years" in message


def test_time_ends_in_the_year_9000(control: ControlClient) -> None:
    """Advancing beyond the year 9000 is refused."""
    statuses = [control.advance(by="8760000h").status_code for _ in range(9)]

    assert [200] * 6 + [400] * 3 == statuses
    assert (400, "that is beyond the year 9000, where time ends") == check_problem(control.advance(by="8760000h"))
    assert control.now.startswith("80")


def test_until_next_goes_to_the_next_event(control: ControlClient) -> None:
    """``next`` advances exactly to the next event; if none is pending, it is refused."""
    control.start()
    times = [control.advance(until="next").get_json()["now"] for _ in range(2)]

    assert ["2024-01-01T00:00:01Z", "2024-01-01T00:00:21Z"] == times
    assert (409, "nothing is on its way, so nothing comes next") == check_problem(control.advance(until="next"))
    assert "2024-01-01T00:00:21Z" == control.now


def test_until_idle_ends_when_all_have_started() -> None:
    """``idle`` advances until nothing makes progress any more."""
    control = ControlClient("cold-cache")
    instance_ids = [control.start() for _ in range(3)]
    response = control.advance(until="idle")

    assert 200 == response.status_code
    assert control.controller.idle
    assert {"Started"} == {control.controller.instances[instance_id].state.value for instance_id in instance_ids}


def test_idle_waits_neither_for_capacity_nor_for_being_forgotten() -> None:
    """``idle`` does not wait for an instance that waits for a slot, or for one that is Terminated."""
    control = ControlClient("busy")
    terminate_instance(control.controller, next(iter(control.controller.instances)))
    control.advance(until="idle")
    states = [instance.state.value for instance in control.controller.instances.values()]

    assert ["Terminated", *["Started"] * 5] == states[:6]
    assert 4 == states.count("Scheduling")
    assert control.now < "2024-01-01T00:01:00Z"


def test_until_an_instance_is_in_a_state(control: ControlClient) -> None:
    """The clock advances to the time at which the instance comes to the state."""
    instance_id = control.start()
    response = control.advance(until={"instance": instance_id, "state": "Started"})

    assert (200, "2024-01-01T00:00:21Z") == (response.status_code, response.get_json()["now"])
    assert "Started" == control.controller.instances[instance_id].state


def test_a_state_that_is_reached_already_takes_no_time(control: ControlClient) -> None:
    """Waiting for the present state of an instance takes no time."""
    instance_id = next(iter(control.controller.instances))
    response = control.advance(until={"instance": instance_id, "state": "Started"})

    assert (200, BEGIN) == (response.status_code, response.get_json()["now"])


def test_an_unknown_instance_is_not_found(control: ControlClient) -> None:
    """Waiting for an unknown instance is answered with 404 and its id."""
    response = control.advance(until={"instance": "nobody", "state": "Started"})

    assert (404, "there is no instance nobody") == check_problem(response)


def test_an_earlier_state_is_never_reached(control: ControlClient) -> None:
    """Waiting for Pulling is refused once the instance is Started."""
    instance_id = next(iter(control.controller.instances))
    response = control.advance(until={"instance": instance_id, "state": "Pulling"})

    assert (409, "an instance that is Started is never Pulling") == check_problem(response)


def test_a_state_that_nothing_leads_to_is_never_reached(control: ControlClient) -> None:
    """Waiting for Terminated is refused while nothing terminates the instance."""
    instance_id = next(iter(control.controller.instances))
    response = control.advance(until={"instance": instance_id, "state": "Terminated"})

    assert (409, f"instance {instance_id} stays Started: nothing is on its way") == check_problem(response)


def test_a_wait_without_capacity_says_what_is_missing() -> None:
    """Waiting for the start of an instance without a free slot is refused with that reason."""
    control = ControlClient("busy")
    instance_id = control.start()
    response = control.advance(until={"instance": instance_id, "state": "Started"})

    assert (409, f"instance {instance_id} stays Scheduling: no free slot (3 nodes)") == check_problem(response)


def test_a_wait_for_an_instance_that_is_forgotten_says_so(control: ControlClient) -> None:
    """An instance that is forgotten before it comes to the state is reported as gone."""
    instance_id = control.start()
    terminate_instance(control.controller, instance_id)
    response = control.advance(until={"instance": instance_id, "state": "Terminated"})

    assert (409, f"instance {instance_id} is gone without having been Terminated") == check_problem(response)


def test_a_wait_for_an_instance_on_a_lost_node_says_that_it_does_not_report(control: ControlClient) -> None:
    """By default the instance is kept."""
    instance_id = next(iter(control.controller.instances))
    lose_node(control.controller, control.controller.instances[instance_id].node_id or "")
    status, message = check_problem(control.advance(until={"instance": instance_id, "state": "Error"}))

    assert (409, f"instance {instance_id} stays Started: node mini-01 does not report") == (status, message)


def test_an_instance_on_a_lost_node_may_go_to_error(control: ControlClient) -> None:
    """Waiting for it ends when it fails, with the reason, if the scenario has lost instances in Error."""
    control.controller.lost_instances = LostInstances.ERROR
    instance_id = next(iter(control.controller.instances))
    waiting_id = control.start(node_id=control.controller.instances[instance_id].node_id)
    lose_node(control.controller, control.controller.instances[instance_id].node_id or "")
    status, message = check_problem(control.advance(until={"instance": instance_id, "state": "Stopped"}))

    assert (409, "an instance that is Error is never Stopped (node mini-01 is offline)") == (status, message)
    assert "Scheduling" == control.controller.instances[waiting_id].state


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({}, ADVANCE_FORMS),
        ({"by": "1s", "until": "idle"}, ADVANCE_FORMS),
        ({"by": "-5s"}, "'-5s' is negative: time does not go back"),
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
def test_a_bad_advance_is_refused(control: ControlClient, body: object, detail: str) -> None:
    """A wrong body is refused with what would be right, and no time passes."""
    status, message = control.refused("POST", "clock/advance", body)

    assert (400, BEGIN) == (status, control.now)
    assert detail in message


def test_a_refused_wait_changes_nothing(control: ControlClient) -> None:
    """A wait that is refused with 409 leaves the time and everything else as it was."""
    instance_id = next(iter(control.controller.instances))
    control.send("POST", f"instances/{instance_id}/stop")
    before = dump(control.controller), control.controller.log.count
    response = control.advance(until={"instance": instance_id, "state": "Error"})

    assert 409 == response.status_code
    assert before == (dump(control.controller), control.controller.log.count)


def test_a_number_of_a_million_digits_is_refused(control: ControlClient) -> None:
    """A duration of a million digits is refused as too long."""
    assert 400 == control.advance(by=f"{'9' * 1_000_001}h").status_code
