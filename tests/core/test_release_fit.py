"""A dump of one release is loaded with another: notes name what is lost, and everything else goes on."""

import base64
from collections.abc import Callable

import pytest

from mockanka.core import distributions, failures, instances, nodes, removals, restarts, save_images
from mockanka.core.controller import Controller
from mockanka.core.instance_record import StartRequest
from mockanka.core.lifecycle import NodeState
from mockanka.core.release import KNOWN_RELEASES, Release
from mockanka.core.restarts import RESTART_MESSAGE
from mockanka.core.save_images import SaveRequest
from mockanka.core.templates import PortRule
from mockanka.scenario import Options, Scenario, ScenarioError, dump
from tests.controllers import controller_of, pass_time, state_of
from tests.core.builders import (
    COLD,
    TIMINGS,
    WARM,
    build_controller,
    node_named,
    start_instance,
    start_instances,
    started_instance,
    states,
    template_named,
)

RICH = WARM.replace("capacity: 2", "capacity: 9, vlans: ['12']")
SCRIPT = base64.b64encode(b"true").decode()


def carried(controller: Controller, release: str) -> Controller:
    """Return the controller of a dump at another release."""
    return Scenario.from_data(dump(controller)).controller(Options(release=Release.parse(release)))


def by_key(controller: Controller, release: str) -> Controller:
    """Return the controller of a dump whose release is replaced by hand."""
    data = dump(controller)
    data["controller"]["release"] = release
    return Scenario.from_data(data).controller()


CARRIERS = [carried, by_key]


def at(release: str, text: str = RICH) -> Controller:
    return build_controller(text, release=Release.parse(release))


def sound(controller: Controller) -> None:
    """Require that time passes in the controller, and that its dump makes the same one."""
    again = Scenario.from_data(dump(controller)).controller()
    before, after = state_of(controller), state_of(again)
    assert {**before, "notes": ()} == {**after, "notes": ()}
    assert () == again.notes, "what was lost once is lost again"
    for _ in range(3):
        pass_time(controller, 300)


@pytest.mark.parametrize("carry", CARRIERS)
@pytest.mark.parametrize("release", ["1.8.0", "1.24.0", "1.43.0", "1.46.0", "1.50.1"])
def test_what_both_releases_know_is_carried_whole(carry: Callable[[Controller, str], Controller], release: str) -> None:
    """Nothing is lost, and but for the release it is the same state."""
    controller = at("1.50.1")
    start_instances(controller, count=2, name="mine", tag="base")
    pass_time(controller, 10)
    loaded = carry(controller, release)

    assert () == loaded.notes
    assert {**state_of(controller), "release": loaded.release} == state_of(loaded)
    assert Release.parse(release) == loaded.release
    sound(loaded)


def test_at_its_own_release_nothing_is_touched() -> None:
    """Not even what no other release knows."""
    controller = at("1.50.1")
    start_instances(controller, vlan_tag="12", ports=(PortRule("web", 80),), vnc_password="secret")

    assert state_of(controller) == state_of(carried(controller, "1.50.1"))


LOST = [
    ({"vlan_tag": "12"}, "1.22.0", "vlan_tag came with 1.23.0"),
    ({"ports": (PortRule("web", 80),)}, "1.38.0", "port_forwarding_override came with 1.39.0"),
    ({"ports": ()}, "1.38.0", "port_forwarding_override came with 1.39.0"),
    ({"vnc_password": "secret"}, "1.41.1", "vnc_password came with 1.42.0"),
    ({"script_monitoring": True, "startup_script": SCRIPT}, "1.23.0", "script_monitoring came with 1.24.0"),
    ({"script_fail_handler": 2}, "1.23.0", "script_fail_handler came with 1.24.0"),
]


@pytest.mark.parametrize(("asked", "release", "note"), LOST)
def test_what_a_start_asked_for_is_left_out(asked: dict[str, object], release: str, note: str) -> None:
    """The instance is there, without what the older release does not know; the note names it and its release."""
    controller = at("1.50.1")
    instance = start_instance(controller, **asked)
    loaded = carried(controller, release)
    plain = StartRequest("")

    assert (f"instance {instance.id}: {note}, and is left out",) == loaded.notes
    key = next(iter(asked))
    assert getattr(plain, key) == getattr(loaded.instances[instance.id].request, key)
    sound(loaded)
    assert ["Started"] == states(loaded.instances[instance.id])


@pytest.mark.parametrize(("asked", "release", "note"), LOST)
def test_from_its_release_on_it_is_kept(asked: dict[str, object], release: str, note: str) -> None:
    """The release after the one that loses it has it."""
    controller = at("1.50.1")
    instance = start_instance(controller, **asked)
    loaded = carried(controller, str(KNOWN_RELEASES[KNOWN_RELEASES.index(Release.parse(release)) + 1]))

    assert () == loaded.notes
    assert instance.request == loaded.instances[instance.id].request


def test_a_mac_address_is_left_out() -> None:
    """Before 1.9 nobody hands any out."""
    controller = at("1.50.1", "controller: {mac_addresses: 9}\n" + RICH)
    instance = start_instance(controller)
    loaded = carried(controller, "1.8.0")

    assert (f"instance {instance.id}: mac_address came with 1.9.0, and is left out",) == loaded.notes
    assert loaded.instances[instance.id].request.mac_address is None
    sound(loaded)


def test_a_monitored_script_is_forgotten_with_its_end() -> None:
    """While it runs, and when it has ended: nobody hears of it, and the VM is Started."""
    for seconds in (5, 100):
        controller = at("1.50.1")
        instance = start_instance(controller, startup_script=SCRIPT, script_monitoring=True)
        pass_time(controller, seconds)
        loaded = carried(controller, "1.20.0")

        assert loaded.instances[instance.id].script is None
        sound(loaded)
        assert ["Started"] == states(loaded.instances[instance.id])


# A pull that is over, and the boot behind it.


@pytest.mark.parametrize(
    ("first", "second", "state"), [("1.49.0", "1.50.0", "Scheduling"), ("1.50.0", "1.49.0", "Pulling")]
)
def test_a_boot_behind_a_pull_shows_as_the_release_shows_it(first: str, second: str, state: str) -> None:
    """Scheduling again from 1.50 on, Pulling before; nothing is lost by that, and the VM is up at the same time."""
    controller = at(first, COLD)
    instance = start_instance(controller)
    pass_time(controller, 20)
    loaded = carried(controller, second)
    seen = loaded.instances[instance.id]

    assert ((), state, 1.0) == (loaded.notes, seen.state, seen.progress(loaded))
    for either in (controller, loaded):
        pass_time(either, 15.9)
    assert ["Started"] != states(seen)
    for either in (controller, loaded):
        pass_time(either, 0.1)
    assert ["Started", "Started"] == states(instance, seen)


@pytest.mark.parametrize(("first", "second"), [("1.49.0", "1.50.0"), ("1.50.0", "1.49.0")])
@pytest.mark.parametrize("seconds", [0, 0.5, 8, 16])
def test_before_that_an_instance_is_what_it_was(first: str, second: str, seconds: float) -> None:
    """Scheduling, and Pulling to the moment at which the pull is through."""
    controller = at(first, COLD)
    instance = start_instance(controller)
    pass_time(controller, seconds)
    loaded = carried(controller, second)
    if seconds < 16:
        assert states(instance) == states(loaded.instances[instance.id])
    for either in (controller, loaded):
        pass_time(either, 36 - seconds)

    assert ["Started", "Started"] == states(instance, loaded.instances[instance.id])


# A restart.


def restarting(release: str, seconds: float) -> tuple[Controller, str]:
    controller = at(release)
    instance = started_instance(controller)
    restarts.restart_vm(controller, instance.id)
    pass_time(controller, seconds)
    return controller, instance.id


@pytest.mark.parametrize(
    ("first", "second", "seconds", "state"),
    [
        ("1.46.0", "1.47.0", 3, "Started"),
        ("1.46.0", "1.47.0", 10, "Started"),
        ("1.47.0", "1.46.0", 3, "Started"),
        ("1.47.0", "1.46.0", 10, "Error"),
    ],
)
def test_a_restart_goes_on_and_shows_as_the_release_shows_it(
    first: str, second: str, seconds: float, state: str
) -> None:
    """Error while the VM has stopped, or not; nothing is lost, and it is up again at the same time."""
    controller, id = restarting(first, seconds)
    loaded = carried(controller, second)
    seen = loaded.instances[id]
    shown = seen.state.value
    pass_time(loaded, 25 - seconds)

    assert ((), state) == (loaded.notes, shown)
    assert seen.vm is not None
    assert ("Started", "running", RESTART_MESSAGE) == (seen.state, seen.vm.status, seen.message)


@pytest.mark.parametrize("first", ["1.46.0", "1.50.1"])
@pytest.mark.parametrize("seconds", [3, 10])
def test_a_restart_is_lost_where_there_is_none(first: str, seconds: float) -> None:
    """Before 1.44 the instance is Started with a VM that runs."""
    controller, id = restarting(first, seconds)
    loaded = carried(controller, "1.43.0")
    seen = loaded.instances[id]

    assert (f"instance {id}: its restart came with 1.44.0, and is left out",) == loaded.notes
    assert seen.vm is not None
    assert ("Started", "running", None) == (seen.state, seen.vm.status, seen.restarting_until)
    sound(loaded)
    assert ["Started"] == states(seen)


# Nodes.


def test_drain_mode_is_lost_where_there_is_none() -> None:
    """Before 1.32 the node is Active."""
    controller = at("1.50.1")
    nodes.configure_node(controller, node_named(controller).id, {"drain_mode": True})
    loaded = carried(controller, "1.31.0")

    assert ("node alpha: Drain Mode came with 1.32.0; it is Active",) == loaded.notes
    assert NodeState.ACTIVE is node_named(loaded).condition
    sound(loaded)
    assert NodeState.DRAIN is node_named(carried(controller, "1.32.0")).condition


def test_an_update_of_agents_goes_on_where_nobody_can_ask_for_one() -> None:
    """Nodes are Updating at every release, so nothing is lost: the node is Active when the agent is done."""
    controller = at("1.50.1")
    nodes.update_agents(controller)
    loaded = carried(controller, "1.17.0")

    assert ((), NodeState.UPDATING) == (loaded.notes, node_named(loaded).condition)
    pass_time(loaded, 30)
    assert NodeState.ACTIVE is node_named(loaded).condition
    sound(loaded)


def test_the_removal_of_templates_is_lost_where_there_is_none() -> None:
    """Before 1.20 what is cached stays."""
    controller = at("1.50.1")
    removals.request_template_removal(controller, template_named(controller).id)
    loaded = carried(controller, "1.19.0")

    assert ("node alpha: the removal of templates came with 1.20.0, and is left out",) == loaded.notes
    sound(loaded)
    assert node_named(loaded).cached


# Save image requests.


def test_a_condition_of_a_save_image_request_is_lost() -> None:
    """Before 1.15 a script that fails cancels nothing."""
    controller = at("1.50.1")
    instance = started_instance(controller)
    request = SaveRequest(instance.id, new_template_name="new", script=SCRIPT, cancel_on_script_failure=True)
    save = save_images.create_save_image(controller, request)
    loaded = carried(controller, "1.14.0")

    note = f"save image request {save.id}: cancel_on_script_failure came with 1.15.0, and is left out"
    assert (note,) == loaded.notes
    assert not loaded.save_images[save.id].request.cancel_on_script_failure
    sound(loaded)


# All at once, and to newer releases.


def busy(release: str) -> Controller:
    """Something of everything, in flight."""
    controller = at(release, RICH + "  - {name: beta, capacity: 9}\n")
    several = start_instances(controller, count=3)
    pass_time(controller, 100)
    start_instance(controller, on="beta")
    distributions.create_distribution(controller, template_named(controller).id)
    save_images.create_save_image(controller, SaveRequest(several[0].id, new_template_name="new"))
    instances.terminate_instance(controller, several[1].id)
    instances.stop_instance(controller, several[2].id)
    pass_time(controller, 2)
    return controller


def results(controller: Controller) -> list[tuple[object, ...]]:
    """The instances and requests, and how each has ended."""
    return [
        *((instance.id, instance.state) for instance in controller.instances.values()),
        *((save.id, save.status) for save in controller.save_images.values()),
        *((distribution.id, distribution.deliveries) for distribution in controller.distributions.values()),
    ]


@pytest.mark.parametrize(("first", "second"), [("1.8.0", "1.50.1"), ("1.24.0", "1.46.0"), ("1.50.1", "1.8.0")])
def test_what_is_in_flight_goes_on(first: str, second: str) -> None:
    """Each ends in the other release as it would have ended in its own."""
    controller = busy(first)
    loaded = carried(controller, second)
    assert () == loaded.notes
    sound(loaded)
    for _ in range(3):
        pass_time(controller, 300)

    assert results(controller) == results(loaded)


def test_an_error_keeps_what_its_release_left_of_the_vm() -> None:
    """Values that a dump does not have stay empty."""
    controller = at("1.48.3")
    instance = started_instance(controller)
    instances.fail_instance(controller, instance, "broken")
    vm = carried(controller, "1.50.1").instances[instance.id].vm

    assert vm is not None
    assert ("deleted", "", "") == (vm.status, vm.name, vm.ip)


# A release that nobody knows.


@pytest.mark.parametrize(
    ("asked", "known"), [("1.12.5", "1.12.0"), ("1.50.9", "1.50.1"), ("2.0", str(KNOWN_RELEASES[-1]))]
)
def test_an_unknown_release_is_noted(asked: str, known: str) -> None:
    """The nearest lower one is simulated, and the note says so."""
    full = str(Release.parse(asked))
    expected = (f"release {full} is not known: {known} is simulated, the nearest lower one",)
    by_option = build_controller(WARM, release=Release.parse(asked))
    by_scenario = controller_of(TIMINGS + f"controller: {{release: '{asked}'}}\n" + WARM)

    for controller in (by_option, by_scenario):
        assert (expected, known) == (controller.notes, str(controller.release))


def test_a_scenario_that_is_no_dump_is_refused_what_its_release_lacks() -> None:
    """A scenario written by hand is refused with the reason; only a dump is made to fit."""
    text = "controller: {release: 1.31.0}\nnodes: [{name: alpha, state: Drain Mode}]"
    with pytest.raises(ScenarioError, match=r"nodes\[0\].state: release 1.31.0 knows no Drain Mode"):
        controller_of(text)


def test_what_a_scenario_says_of_instances_is_made_to_fit_all_the_same() -> None:
    """As in a start, what the release does not know is passed over; here with a note."""
    text = "controller: {release: 1.22.0}\n" + RICH + "instances: [{template: mac, node: alpha, vlan_tag: '12'}]\n"
    controller = controller_of(TIMINGS + text)
    (instance,) = controller.instances.values()

    assert (f"instance {instance.id}: vlan_tag came with 1.23.0, and is left out",) == controller.notes
    assert "" == instance.vlan


def test_what_is_known_of_a_vm_in_error_is_lost_before_1_49() -> None:
    """It is deleted, without name, address and ports, as any that failed there; what a fail handler kept runs on."""
    controller = at("1.50.1")
    failed = started_instance(controller)
    failures.fail_instance(controller, failed, "VM is gone")
    loaded = carried(controller, "1.48.0")
    vm = loaded.instances[failed.id].vm

    assert (f"instance {failed.id}: what is known of a VM in Error came with 1.49.0, and is left out",) == loaded.notes
    assert vm is not None
    assert ("deleted", "", "", ()) == (vm.status, vm.name, vm.ip, vm.ports)
    sound(loaded)
