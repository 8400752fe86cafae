"""Controllers for tests, and helpers that many tests share."""

from mockanka.core import fault_effects, nodes, usb
from mockanka.core.controller import Controller
from mockanka.core.faults import FaultRule
from mockanka.core.lifecycle import InstanceState
from mockanka.scenario import Options, Scenario, dump
from mockanka.scenario.build import build
from mockanka.scenario.sections import ScenarioSection
from mockanka.units import SECOND

# Small, and full of corner cases: a node with one slot, one in resource mode, one with little disk, devices that two
# nodes have, groups that fall back in a circle, a template with shared layers, and one that is suspended.
CORNERS = """
seed: 5
clock: {mode: manual}
timings:
  schedule: {uniform: [0s, 2s]}
  boot: {lognormal: [20s, 0.5]}
  terminate: {normal: [5s, 3s]}
templates:
  - name: layered
    port_forwarding: [{name: ssh, guest_port: 22}]
    versions: [{tag: base, size: 10GB}, {tag: tools, size: 5GB}, {tag: latest, size: 1GB}]
  - name: suspended
    ram: 2G
    versions: [{tag: only, size: 8GB, state_size: 2GiB}]
  - name: bulky
    versions: [{tag: one, size: 30GB}]
nodes:
  - {name: single, capacity: 1, usb: [phone], cached: ["layered:base"]}
  - {name: pair, capacity: 2, usb: [phone, tablet]}
  - {name: counted, cpus: 4, ram: 12, capacity_mode: resource, cached: [suspended]}
  - {name: cramped, capacity: 3, disk: 52GB, disk_other: 20GB}
groups:
  - {name: first, nodes: [single], fallback: second}
  - {name: second, nodes: [pair], fallback: first}
  - {name: nobody, nodes: []}
scripts:
  - {match: fail, return_code: 3, stderr: boom, takes: 4s}
"""


def controller_of(text: str, **options: object) -> Controller:
    """Return the controller of a scenario in YAML, with a manual clock unless ``options`` say otherwise."""
    return Scenario.from_yaml(text).controller(Options(**{"clock": "manual", **options}))  # type: ignore[arg-type]


def shipped(name: str, **options: object) -> Controller:
    """Return the controller of a scenario that ships, with a manual clock unless ``options`` say otherwise."""
    return Scenario.find(name).controller(Options(**{"clock": "manual", **options}))  # type: ignore[arg-type]


def add_rule(controller: Controller, rule: FaultRule) -> None:
    """Add a fault rule; one for the event ``begin`` fires now."""
    controller.faults.add(rule)
    fault_effects.apply_begin_rule(controller, rule)


def reload(controller: Controller) -> Controller:
    """Return the controller that its dump describes."""
    return build(ScenarioSection.load(dump(controller)), Options())


def pass_time(controller: Controller, seconds: float) -> None:
    """Advance the clock by seconds, and apply all events that are due."""
    controller.clock.advance(round(seconds * SECOND))
    controller.advance()


def state_of(controller: Controller) -> dict[str, object]:
    """Return the state of a controller as plain data that can be compared, without its log and its revisions."""
    keys = "now seed release license registry timings scripts saved_size id_counters placement_due waiting".split()
    keys += "waiting_deliveries mac_addresses retries notes down_until".split()
    parts = "nodes templates groups instances distributions save_images".split()
    return {
        **{key: getattr(controller, key) for key in keys},
        # What can never strike any more is dropped at the next poll, and is in no dump.
        "awaited_polls": [awaited for awaited in controller.awaited_polls if awaited.event.is_current(controller)],
        **{part: list(getattr(controller, part).items()) for part in parts},
        "clock": (controller.clock.now(), controller.clock.mode, controller.clock.speed, controller.clock.step),
        "queue": controller.queue.current_events(controller),
    }


def state_with_rules(controller: Controller) -> dict[str, object]:
    """Return the state of a controller, and its fault rules with their counters."""
    return {**state_of(controller), "faults": list(controller.faults), "added": controller.faults.added}


def require_sound_state(controller: Controller) -> None:
    """Assert what holds in any state of a controller, however it came about."""
    placed = [instance for instance in controller.instances.values() if instance.holds_slot]
    for node in controller.nodes.values():
        occupants = [instance for instance in placed if instance.node_id == node.id]

        assert set(node.occupants) == {instance.id for instance in occupants}
        assert len(occupants) == len(node.occupants)
        running = [instance for instance in occupants if instance.running_vm]
        assert nodes.running_load(controller, node).vm_count == len(running) + node.manual_vms
        claimed = [instance.usb for instance in occupants if instance.usb is not None]
        assert len(usb.find_claimed_devices(controller, node)) == len(claimed) == len(set(claimed))
        ports = [port.host_port for instance in occupants if instance.vm for port in instance.vm.ports]
        assert len(set(ports)) == len(ports)
    numbers = [instance.number for instance in controller.instances.values()]
    assert sorted(set(numbers)) == numbers
    waiting = [id for _, _, id in controller.waiting]
    assert len(set(waiting)) == len(waiting)
    for id in waiting:
        assert controller.instances[id].state is InstanceState.SCHEDULING
        assert not controller.instances[id].holds_slot
