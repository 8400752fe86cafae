"""A state machine that applies random operations and faults to a controller, and checks invariants after each step."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mockanka.api.app import create_app
from mockanka.api.instance_cache import InstanceCache
from mockanka.core import (
    distributions,
    fault_effects,
    groups,
    instances,
    nodes,
    placement,
    removals,
    restarts,
    save_images,
    templates,
    time_control,
    usb,
)
from mockanka.core.controller import Controller
from mockanka.core.distributions import DeliveryStage
from mockanka.core.errors import Refusal
from mockanka.core.events import Event, EventQueue
from mockanka.core.instance_record import Instance, StartRequest
from mockanka.core.lifecycle import LEGAL_TRANSITIONS, InstanceState, LostInstances, NodeState
from mockanka.core.placement import determine_requirements
from mockanka.core.pulls import PullEnded
from mockanka.core.release import Release
from mockanka.core.save_images import SaveRequest, SaveStage
from mockanka.core.templates import PortRule
from mockanka.scenario import Options, Scenario
from mockanka.scenario.fault_rules import FaultSection, restore_rule
from mockanka.units import SECOND
from tests.conftest import FULL, examples
from tests.controllers import CORNERS, add_rule, reload, state_with_rules

NODES_WITH_VLANS = CORNERS.replace("{name: single,", "{name: single, vlans: ['7', '12'],").replace(
    "{name: pair,", "{name: pair, arch: amd64, vlans: ['12'],"
)
NODES_WITH_WORKERS = NODES_WITH_VLANS.replace("{name: cramped,", "{name: cramped, workers: 1,")
SCENARIO = Scenario.from_yaml(
    NODES_WITH_WORKERS
    + """
controller: {mac_addresses: 12, registry_disk: 90GB}
instances:
  - {template: layered, tag: base, node: single, usb_device: phone}
  - {template: layered, node: pair}
  - {template: suspended, node: counted}
  - {template: layered, node: cramped, state: Pulling}
"""
)
RELEASES = ["1.50.1", "1.8.0", "1.24.0", "1.32.0", "1.43.0", "1.46.0"]
"""The default comes first, because Hypothesis shrinks failures towards it."""
TAGS = st.sampled_from([None, None, "base", "tools", "latest", "only", "pushed"])
PICK = st.integers(0, 10**6)
TIMES = st.sampled_from([0, 1, SECOND, 3 * SECOND, 10 * SECOND, 30 * SECOND, 90 * SECOND, 300 * SECOND])
RARE_OPERATIONS = "configure trouble trouble cancel cancel remove drain agents regroup revert delete".split()
SCRIPTS = st.sampled_from(["", "", "ZmFpbA==", "bm90aGluZw==", "not base64"])

FAULTS: list[dict[str, Any]] = [
    {"match": {"event": "schedule"}, "do": {"stall": True}, "times": 1},
    {"match": {"event": "schedule"}, "do": {"fail": "not today"}, "probability": 0.3},
    {"match": {"event": "pull"}, "do": {"fail": "broken pipe", "at": "40%"}, "times": 2},
    {"match": {"event": "pull", "tag": "base"}, "do": {"stall": True, "at": "30%"}},
    {"match": {"event": "pull"}, "do": {"stall": True, "at": "70%", "for": "20s"}, "times": 2},
    {"match": {"event": "pull", "node": "pair"}, "do": {"bandwidth": "200Mbit/s"}},
    {"match": {"event": "pull"}, "do": {"registry": "down", "at": "50%", "for": "30s"}, "times": 1},
    {"match": {"event": "pull"}, "do": {"node": "offline", "at": "50%", "for": "1m"}, "times": 1},
    {"match": {"event": "start"}, "do": {"fail": "no hypervisor", "at": "50%"}, "times": 2},
    {"match": {"event": "start"}, "do": {"fail": "no licence", "final": True}, "times": 1},
    {"match": {"event": "start", "template": "layered"}, "do": {"stall": True}, "times": 1},
    {"match": {"event": "start"}, "do": {"without": ["ip", "port_forwarding"], "for": "10s"}},
    {"match": {"event": "start"}, "do": {"vanish": True, "after": "15s", "for": "20s"}, "times": 2},
    {"match": {"event": "script"}, "do": {"exit": 7, "stderr": "no"}},
    {"match": {"event": "started"}, "do": {"fail": "panic", "after": "10s"}, "times": 2},
    {"match": {"event": "started", "group": "second"}, "do": {"stop": True}, "times": 1},
    {"match": {"event": "started"}, "do": {"vanish": True, "after": "5s"}, "times": 1},
    {"match": {"event": "terminate"}, "do": {"ignore": True}, "times": 2},
    {"match": {"event": "terminate"}, "do": {"stall": True}, "times": 1},
    {"match": {"event": "save_image"}, "do": {"fail": "no route", "at": "50%"}, "times": 1},
    {"match": {"event": "save_image"}, "do": {"stall": True}, "times": 1},
    {"match": {"event": "distribute", "node": "cramped"}, "do": {"stall": True, "at": "40%"}},
    {"match": {"event": "begin", "node": "pair"}, "do": {"node": "full", "after": "5s", "for": "30s"}},
    {"match": {"event": "begin", "node": "counted"}, "do": {"node": "offline", "for": "5m"}},
    {"match": {"event": "begin", "node": "counted"}, "do": {"node": "offline", "for": "5m", "lost_instances": "error"}},
    {"match": {"event": "started"}, "do": {"node": "offline", "for": "5m", "lost_instances": "keep"}, "times": 1},
    {"match": {"event": "begin", "node": "counted"}, "do": {"node": "offline", "after": "3s", "for": "1m"}},
    {"match": {"event": "begin"}, "do": {"node": "updating", "for": "2m"}},
    {"match": {"event": "begin", "node": "single"}, "do": {"node": "unhealthy", "after": "10s"}},
    {"match": {"event": "begin"}, "do": {"license": "expired", "for": "1m"}},
    {"match": {"event": "begin"}, "do": {"license": "expired", "after": "30s", "for": "2m"}},
    {"match": {"event": "begin"}, "do": {"registry": "down", "after": "20s", "for": "20s"}},
    {"match": {"event": "begin"}, "do": {"registry": "full", "for": "1m"}},
    {"match": {"event": "pull"}, "do": {"node": "registry-unreachable", "at": "50%", "for": "30s"}, "times": 1},
    {"match": {"event": "begin", "node": "pair"}, "do": {"node": "registry-unreachable", "for": "1m"}},
]
"""Fault rules of all kinds for this scenario."""


@dataclass
class Watch:
    """Values that the invariants compare with those of earlier steps."""

    steps: int = 0
    log_number: int = 0
    states: dict[str, InstanceState] = field(default_factory=dict)
    progress: dict[tuple[str, int], float] = field(default_factory=dict)
    deliveries: dict[tuple[str, str], float] = field(default_factory=dict)
    updated: dict[str, int] = field(default_factory=dict)
    started: set[str] = field(default_factory=set)
    tolerated: dict[str, set[str]] = field(default_factory=dict)
    """The instances on a node when its limits were last changed: they may be too many for the new limits."""


def add_fault_item(controller: Controller, item: dict[str, Any]) -> None:
    """Add a fault rule; it may name what has been deleted, as rules in a dump may."""
    add_rule(controller, restore_rule(controller, (), FaultSection.load(item)))


def advance_copy_to_end(controller: Controller) -> Controller:
    """Return a copy of the controller as it is when it is idle."""
    end = copy.deepcopy(controller)
    while not end.idle and time_control.advance_to_next(end):
        pass
    return end


class ControllerMachine(RuleBasedStateMachine):
    """Random operations at random times on a controller with four nodes."""

    def __init__(self) -> None:
        super().__init__()
        self.controller = SCENARIO.controller(Options(clock="manual"))
        self.journal: list[Callable[[Controller], object]] = []
        self.watch = Watch()

    @property
    def controller(self) -> Controller:
        return self._controller

    @controller.setter
    def controller(self, controller: Controller) -> None:
        """Replace the controller, as a reset does: answers that are kept must not become stale."""
        if hasattr(self, "_controller"):
            self._controller.replace_with(controller)
        else:
            self._controller = controller
            self.cache = InstanceCache(controller)

    @initialize(
        seed=st.integers(0, 3),
        retries=st.sampled_from([2, 0, 1]),
        lost_instances=st.sampled_from([None, None, *LostInstances]),
        release=st.sampled_from(RELEASES),
    )
    def choose_scenario(self, seed: int, retries: int, lost_instances: LostInstances | None, release: str) -> None:
        self.options = Options(clock="manual", seed=seed, release=Release.parse(release))
        self.retries, self.lost_instances = retries, lost_instances
        self.controller = SCENARIO.controller(self.options)
        self.controller.retries, self.controller.lost_instances = retries, lost_instances
        self.watch = Watch()
        for instance in self.controller.instances.values():
            self.watch.states[instance.id] = instance.state
            if instance.state is InstanceState.STARTED:
                self.watch.started.add(instance.id)
        self.template_ids = list(self.controller.templates)
        self.node_ids = list(self.controller.nodes)
        self.group_ids = list(self.controller.groups)

    def do(self, operation: Callable[[Controller], object]) -> None:
        """Carry out an operation, and remember it; a refusal must not change the state."""
        self.journal.append(operation)
        before = copy.deepcopy(state_with_rules(self.controller))
        try:
            operation(self.controller)
        except (Refusal, time_control.Never):
            assert before == state_with_rules(self.controller), "a refusal changed something"

    def has(self, *features: str) -> bool:
        """Return whether the release has all these features."""
        return all(map(self.controller.release.has, features))

    def pick_instance(self, pick: int, *states: InstanceState) -> str:
        """Return the id of an instance in one of these states, or in any; an unknown id if there is none."""
        ids = [instance.id for instance in self.controller.instances.values() if not states or instance.state in states]
        return ids[pick % len(ids)] if ids else "nobody"

    # Operations.

    @rule(
        which=st.integers(0, 2),
        tag=TAGS,
        count=st.integers(1, 3),
        node_pick=st.none() | st.integers(0, 3),
        group_pick=st.none() | st.integers(0, 2),
        device=st.sampled_from([None, None, "phone", "tablet", "toaster"]),
        priority=st.sampled_from([1, 1000, 1000, 10_000]),
        vcpu=st.sampled_from([None, None, 1, 6]),
    )
    def start(
        self,
        which: int,
        tag: str | None,
        count: int,
        node_pick: int | None,
        group_pick: int | None,
        device: str | None,
        priority: int,
        vcpu: int | None,
    ) -> None:
        request = StartRequest(
            template_id=self.template_ids[which],
            tag=tag,
            node_id=None if node_pick is None else self.node_ids[node_pick],
            group_id=None if group_pick is None else self.group_ids[group_pick],
            usb_device=device,
            priority=priority,
            vcpu=vcpu,
        )
        self.do(lambda c: instances.start_instances(c, request, count))

    @rule(which=st.sampled_from([0, 0, 1]), count=st.integers(1, 2))
    def start_plainly(self, which: int, count: int) -> None:
        self.do(lambda c: instances.start_instances(c, StartRequest(self.template_ids[which]), count))

    @rule(count=st.integers(1, 2), device=st.sampled_from(["phone", "phone", "tablet"]))
    def start_with_a_device(self, count: int, device: str) -> None:
        self.do(lambda c: instances.start_instances(c, StartRequest(self.template_ids[0], usb_device=device), count))

    @rule(which=st.integers(0, 2), first=st.sampled_from(["base", None]), pick=st.sampled_from([0, 1, 3, 3]))
    def start_on_one_node(self, which: int, first: str | None, pick: int) -> None:
        for tag in (first if which == 0 else None, None):
            request = StartRequest(self.template_ids[which], tag=tag, node_id=self.node_ids[pick])
            self.do(lambda c, request=request: instances.start_instances(c, request))  # type: ignore[misc]

    @rule(
        which=st.sampled_from([0, 0, 1]),
        count=st.sampled_from([1, 1, 2]),
        address=st.sampled_from([None, None, None, "0A:0B:0C:0D:0E:0F", "no address"]),
        vlan=st.sampled_from([None, "12", "7", "99"]),
        ports=st.sampled_from([None, (), (PortRule("web", 80), PortRule("ssh", 22))]),
        password=st.sampled_from([None, "secret"]),
    )
    def start_with_newer_fields(
        self, which: int, count: int, address: str | None, vlan: str | None, ports: Any, password: str | None
    ) -> None:
        """As in the API, fields that the release does not have are left out."""
        fields = {"mac_address": address, "vlan_tag": vlan, "ports": ports, "vnc_password": password}
        features = ("mac-addresses", "vlans", "start-overrides", "vnc-password")
        known: dict[str, Any] = {
            key: value for (key, value), feature in zip(fields.items(), features, strict=True) if self.has(feature)
        }
        request = StartRequest(self.template_ids[which], **known)
        self.do(lambda c: instances.start_instances(c, request, count))

    @precondition(lambda self: self.has("script-monitoring"))
    @rule(script=SCRIPTS, limit=st.sampled_from([2, 90]), handler=st.integers(0, 2), warm=st.booleans())
    def start_with_a_script(self, script: str, limit: int, handler: int, warm: bool) -> None:
        request = StartRequest(
            self.template_ids[0],
            tag="base" if warm else None,
            startup_script=script,
            script_monitoring=True,
            script_timeout=limit * SECOND,
            script_fail_handler=handler,
        )
        self.do(lambda c: instances.start_instances(c, request))

    @precondition(lambda self: self.has("restart"))
    @rule(pick=PICK, device=st.sampled_from([None, None, "phone"]), password=st.sampled_from([None, "other"]))
    def restart(self, pick: int, device: str | None, password: str | None) -> None:
        id = self.pick_instance(pick, InstanceState.STARTED, InstanceState.ERROR)
        self.do(lambda c: restarts.restart_vm(c, id, device, password))

    @rule(pick=PICK)
    def terminate(self, pick: int) -> None:
        id = self.pick_instance(pick)
        self.do(lambda c: instances.terminate_instance(c, id))

    @rule(phase=st.sampled_from(["booting", "booting", "pulling", "waiting", "pushing", "restarting"]), pick=PICK)
    def terminate_early(self, phase: str, pick: int) -> None:
        phases: dict[str, Callable[[Instance], bool]] = {
            "booting": lambda instance: instance.booting,
            "pulling": lambda instance: instance.pulling,
            "waiting": lambda instance: instance.state is InstanceState.SCHEDULING,
            "pushing": lambda instance: instance.state is InstanceState.PUSHING,
            "restarting": lambda instance: instance.restarting_until is not None,
        }
        ids = [instance.id for instance in self.controller.instances.values() if phases[phase](instance)]
        id = ids[pick % len(ids)] if ids else "nobody"
        self.do(lambda c: instances.terminate_instance(c, id))

    @rule(pick=PICK, name=st.sampled_from(["a", None]), value=st.integers(0, 2))
    def update(self, pick: int, name: str | None, value: int) -> None:
        id = self.pick_instance(pick)
        self.do(lambda c: instances.update_instance(c, id, {"name": name, "metadata": {"n": value}}))

    @precondition(
        lambda self: any(instance.state is InstanceState.STARTED for instance in self.controller.instances.values())
    )
    @rule(pick=PICK)
    def stop(self, pick: int) -> None:
        id = self.pick_instance(pick, InstanceState.STARTED)
        self.do(lambda c: instances.stop_instance(c, id))

    @rule(
        pick=PICK, which=st.integers(-1, 2), tag=st.sampled_from(["", "pushed", "tools"]), revert=st.booleans(),
        suspend=st.booleans(), script=SCRIPTS, cancel=st.booleans(),
    )  # fmt: skip
    def save(self, pick: int, which: int, tag: str, revert: bool, suspend: bool, script: str, cancel: bool) -> None:
        target = "" if which < 0 else self.template_ids[which]
        request = SaveRequest(
            self.pick_instance(pick, InstanceState.STARTED), target, "" if target else "new", tag,
            suspend=suspend, script=script, revert_before_push=revert, revert_tag=tag,
            cancel_on_script_failure=cancel and self.has("script-result"),
        )  # fmt: skip
        self.do(lambda c: save_images.create_save_image(c, request))

    @rule(which=st.integers(0, 2), tag=TAGS, nodes=st.lists(st.integers(0, 3), max_size=2, unique=True))
    def distribute(self, which: int, tag: str | None, nodes: list[int]) -> None:
        ids = [self.node_ids[index] for index in nodes]
        self.do(lambda c: distributions.create_distribution(c, self.template_ids[which], tag, None, ids))

    def cancel_a_distribution(self, pick: int) -> None:
        ids = list(self.controller.distributions)
        if ids and self.has("distribution-cancel"):
            id = ids[-1 - pick % len(ids)]
            self.do(lambda c: distributions.cancel_distribution(c, id))

    def remove_a_template(self, which: int, nodes: list[int]) -> None:
        ids = [self.node_ids[index] for index in nodes]
        if self.has("template-removal"):
            self.do(lambda c: removals.request_template_removal(c, self.template_ids[which], ids))

    def revert(self, which: int, tag: str | None) -> None:
        self.do(lambda c: templates.revert_template(c, self.template_ids[which], tag))

    @rule(data=st.data(), what=st.sampled_from(RARE_OPERATIONS))
    def disturb(self, data: st.DataObject, what: str) -> None:
        """Carry out a rare operation. One rule draws them all, so that most steps do not disturb the instances."""
        pick = data.draw(st.integers(0, 3))
        if what == "configure":
            self.configure(pick, data.draw(st.integers(0, 4)), data.draw(st.sampled_from(["number", "resource"])))
        elif what == "trouble":
            self.trouble_a_node(pick, data.draw(st.sampled_from(["lose", "restore", "restore", "update", "updated"])))
        elif what == "cancel":
            self.cancel_a_distribution(pick)
        elif what == "remove":
            self.remove_a_template(pick % 3, data.draw(st.lists(st.integers(0, 3), max_size=2, unique=True)))
        elif what == "drain":
            self.drain(pick, data.draw(st.booleans()))
        elif what == "agents":
            self.update_agents()
        elif what == "regroup":
            fallback = data.draw(st.none() | st.integers(0, 2))
            self.regroup(pick % 3, fallback, data.draw(st.lists(st.integers(0, 3), max_size=2)))
        elif what == "revert":
            self.revert(pick % 3, data.draw(TAGS))
        elif len(self.journal) > 20:
            self.delete(data.draw(st.sampled_from(["node", "template", "group"])), pick % 3)

    def configure(self, pick: int, capacity: int, mode: str) -> None:
        id = self.node_ids[pick]
        if id in self.controller.nodes:
            self.watch.tolerated[id] = set(self.controller.nodes[id].occupants)
        changes: dict[str, object] = {"capacity": capacity, "capacity_mode": mode, "ip": f"10.9.9.{capacity}"}
        self.do(lambda c: nodes.configure_node(c, id, changes))

    def drain(self, pick: int, drained: bool) -> None:
        id = self.node_ids[pick]
        if self.has("drain-mode"):
            self.do(lambda c: nodes.configure_node(c, id, {"drain_mode": drained}))

    def update_agents(self) -> None:
        if self.has("node-update"):
            self.do(nodes.update_agents)

    def trouble_a_node(self, pick: int, trouble: str) -> None:
        id = self.node_ids[pick]
        operations: dict[str, Callable[[Controller], object]] = {
            "lose": lambda c: nodes.lose_node(c, id),
            "restore": lambda c: nodes.restore_node(c, id),
            "update": lambda c: nodes.set_node_state(c, id, NodeState.UPDATING),
            "updated": lambda c: nodes.set_node_state(c, id, NodeState.ACTIVE),
        }
        self.do(operations[trouble])

    def regroup(self, pick: int, fallback: int | None, nodes: list[int]) -> None:
        id, ids = self.group_ids[pick], [self.node_ids[index] for index in nodes]
        if fallback is None:
            self.do(lambda c: groups.remove_nodes_from_groups(c, [id], ids))
        else:
            self.do(lambda c: groups.update_group(c, id, {"fallback_id": self.group_ids[fallback]}))
            self.do(lambda c: groups.add_nodes_to_groups(c, [id], ids))

    def delete(self, what: str, pick: int) -> None:
        operations: dict[str, Callable[[Controller], object]] = {
            "node": lambda c: nodes.delete_node(c, self.node_ids[pick]),
            "template": lambda c: templates.delete_template(c, self.template_ids[pick]),
            "group": lambda c: groups.delete_group(c, self.group_ids[pick]),
        }
        self.do(operations[what])

    # Faults.

    @rule(which=st.integers(0, len(FAULTS) - 1))
    def add_a_fault(self, which: int) -> None:
        if len(self.controller.faults) < 4:
            self.do(lambda c: add_fault_item(c, FAULTS[which]))

    @precondition(lambda self: len(self.controller.faults))
    @rule(pick=PICK)
    def remove_a_fault(self, pick: int) -> None:
        ids = [rule.id for rule in self.controller.faults]
        id = ids[pick % len(ids)]
        progress = self._progress()
        self.do(lambda c: fault_effects.remove_rule(c, id))

        # Approximately, because times are whole nanoseconds.
        assert pytest.approx(progress, abs=1e-9) == self._progress(), "a released pull has jumped"

    def _progress(self) -> list[float]:
        c = self.controller
        return [
            *(instance.progress(c) for instance in c.instances.values()),
            *(
                distribution.progress(c, id)
                for distribution in c.distributions.values()
                for id in distribution.deliveries
            ),
        ]

    # Time.

    @rule(length=TIMES)
    def pass_more_time(self, length: int) -> None:
        """Pass time; twice among the rules, so that instances make progress between operations."""
        self.pass_time(length)

    @rule(length=TIMES)
    def pass_time(self, length: int) -> None:
        self.do(lambda c: time_control.advance_by(c, length))

    @rule(steps=st.sampled_from([1, 1, 2, 3, 100]))
    def go_to_next_events(self, steps: int) -> None:
        for _ in range(min(steps, 3)):
            self.do(time_control.advance_to_next)
        if steps > 3:
            self.do(time_control.settle)

            assert self.controller.idle or list(fault_effects.describe_stalls(advance_copy_to_end(self.controller)))

    # What must make no difference.

    @rule(what=st.sampled_from(["dump", "poll", "drop"]), length=TIMES.filter(bool))
    def make_no_difference(self, what: str, length: int) -> None:
        if what == "dump":
            self.controller = reload(self.controller)
            self.watch.log_number = 0
        elif what == "poll":
            self.polling_often_changes_nothing(length)
        else:
            self.outdated_events_change_nothing(length)

    def polling_often_changes_nothing(self, length: int) -> None:
        polled, left_alone = copy.deepcopy(self.controller), copy.deepcopy(self.controller)
        client = create_app(polled).test_client()
        for _ in range(5):
            polled.clock.advance(length // 5)
            for path in (
                "vm",
                "node",
                "image",
                "usb",
                "vlan",
                "registry/vm",
                "registry/disk",
                "registry/vm/distribute",
            ):
                client.get(f"/api/v1/{path}")
        left_alone.clock.advance(length // 5 * 5)
        left_alone.advance()

        assert state_with_rules(left_alone) == state_with_rules(polled)

    def outdated_events_change_nothing(self, length: int) -> None:
        with_outdated, without = copy.deepcopy(self.controller), copy.deepcopy(self.controller)
        current = without.queue.current_events(without)
        without.queue = EventQueue()
        for at, event in current:
            without.schedule(at, event)
        for controller in (with_outdated, without):
            time_control.advance_by(controller, length)

        assert state_with_rules(without) == state_with_rules(with_outdated)

    # Invariants.

    @invariant()
    def only_legal_transitions(self) -> None:
        self._check_transitions()

    def _check_transitions(self) -> None:
        for entry in self.controller.log.since(self.watch.log_number):
            self.watch.log_number = entry.number
            if entry.what == "instance":
                after = InstanceState(str(entry.detail["state"]))
                before = self.watch.states.get(entry.subject)

                # A fault removes an instance from any state, which is no transition of the lifecycle.
                vanished = after is InstanceState.GONE and entry.detail["cause"] == "vanished"
                assert vanished or (after in LEGAL_TRANSITIONS[before] if before else after is InstanceState.SCHEDULING)
                cause = str(entry.detail["cause"])
                if (before, after) == (InstanceState.ERROR, InstanceState.STARTED):
                    assert "restarted" == cause
                    assert self.has("restart")
                    assert not self.has("quiet-restart")
                if (before, after) == (InstanceState.PULLING, InstanceState.SCHEDULING):
                    assert (cause == "pulled" and self.has("scheduling-after-pull")) or cause.startswith("start failed")
                self.watch.states[entry.subject] = after
                if after is InstanceState.STARTED:
                    self.watch.started.add(entry.subject)
        for instance in self.controller.instances.values():
            assert self.watch.states[instance.id] is instance.state, "a state changed and the log does not know"

    @invariant()
    def no_node_above_its_capacity(self) -> None:
        for node in self.controller.nodes.values():
            if set(node.occupants) <= self.watch.tolerated.get(node.id, set()):
                continue
            if node.capacity_mode == "number":
                assert len(node.occupants) <= node.capacity
            else:
                needs = [
                    determine_requirements(self.controller, self.controller.instances[id]) for id in node.occupants
                ]
                assert sum(need.vcpus for need in needs) <= node.vcpu_limit
                assert sum(need.vram for need in needs) <= node.vram_limit

    @invariant()
    def no_node_works_on_more_tasks_than_it_has_workers(self) -> None:
        for node in self.controller.nodes.values():
            booting = [id for id in node.occupants if self.controller.instances[id].booting]

            assert len(node.pulls) <= 1
            assert len(booting) + len(node.pulls) <= node.workers

    @invariant()
    def nothing_waits_that_a_node_would_take(self) -> None:
        c = self.controller
        if c.placement_due:  # the next advance takes it
            return
        for _, _, id in c.waiting:
            assert placement.choose_node(c, determine_requirements(c, c.instances[id])) is None
        for _, distribution_id, node_id in c.waiting_deliveries:
            delivery = c.distributions[distribution_id].deliveries[node_id]

            assert delivery.stage is DeliveryStage.SENT
            assert delivery.until is None
            assert c.nodes[node_id].lost_at is not None or placement.explain_busy(c, c.nodes[node_id])

    @invariant()
    def node_counters_equal_what_runs(self) -> None:
        # In Error a VM runs while it restarts before 1.47, or if its failed script leaves it running.
        running = (
            InstanceState.STARTED,
            InstanceState.STOPPING,
            InstanceState.PUSHING,
            InstanceState.TERMINATING,
            InstanceState.ERROR,
        )
        for node in self.controller.nodes.values():
            on_node = [instance for instance in self.controller.instances.values() if instance.node_id == node.id]
            vms = [
                instance.vm for instance in on_node if instance.vm and instance.holds_slot and instance.state in running
            ]

            assert set(node.occupants) == {instance.id for instance in on_node if instance.holds_slot}
            # A node that a fault makes full runs VMs that were started by hand.
            count = len(vms) + node.manual_vms
            assert nodes.running_load(self.controller, node) == (
                count,
                sum(v.cpus for v in vms),
                sum(v.ram for v in vms),
            )

    @invariant()
    def progress_never_falls(self) -> None:
        for instance in self.controller.instances.values():
            progress = instance.progress(self.controller)
            # A retry on another node pulls from the beginning.
            attempt = (instance.id, len(instance.failed_on))

            assert self.watch.progress.get(attempt, 0.0) <= progress <= 1.0
            self.watch.progress[attempt] = progress
        for distribution in self.controller.distributions.values():
            for node_id in distribution.deliveries:
                progress = distribution.progress(self.controller, node_id)

                assert self.watch.deliveries.get((distribution.id, node_id), 0.0) <= progress <= 1.0
                self.watch.deliveries[distribution.id, node_id] = progress

    @invariant()
    def the_time_of_the_last_update_never_falls(self) -> None:
        for instance in self.controller.instances.values():
            updated = instance.updated(self.controller)

            assert self.watch.updated.get(instance.id, 0) <= updated <= self.controller.now
            self.watch.updated[instance.id] = updated

    @invariant()
    def every_scheduled_end_has_an_event(self) -> None:
        c = self.controller
        queued = set(c.queue.current_events(c))
        lost = {node.id for node in c.nodes.values() if node.lost_at is not None}
        for instance in c.instances.values():
            if instance.until is not None and (instance.node_id in c.nodes or not instance.holds_slot):
                assert instance.until <= c.now or (instance.until, instances.phase_end_event(instance)) in queued
        for save in c.save_images.values():
            if save.until is not None and save.until > c.now and save.node_id in c.nodes:
                assert (save.until, save_images.save_stage_end_event(save)) in queued
        for distribution in c.distributions.values():
            for id, delivery in distribution.deliveries.items():
                if delivery.until is not None and delivery.until > c.now and id in c.nodes:
                    assert (delivery.until, distributions.delivery_stage_end_event(distribution, id)) in queued
        for instance in c.instances.values():
            if (until := instance.restarting_until) is not None and until > c.now:
                assert (until, restarts.RestartStageEnded(instance.id, until)) in queued
        for node in c.nodes.values():
            if (until := node.overrides.get("updating")) is not None and until > c.now:
                ends = {
                    (until, nodes.NodeUpdated(node.id, until)),
                    (until, nodes.NodeOverrideEnded(node.id, "updating", until)),
                }
                assert ends & queued
            for id, until in node.removals.items():
                assert until <= c.now or (until, removals.TemplateRemoved(node.id, id, until)) in queued
        for node in c.nodes.values():
            for pull in node.pulls.values():
                if (end := pull.expected_end) is not None:  # a stalled pull has no end
                    assert end <= c.now or (end, PullEnded(node.id, pull.ref, end)) in queued
        if not lost:
            # What ended while a node was lost is due now that it is back.
            overdue: list[Event] = [
                *(
                    instances.phase_end_event(instance)
                    for instance in c.instances.values()
                    if instance.until is not None and instance.until < c.now
                ),
                *(
                    restarts.RestartStageEnded(instance.id, until)
                    for instance in c.instances.values()
                    if (until := instance.restarting_until) is not None and until < c.now
                ),
                *(
                    removals.TemplateRemoved(node.id, id, until)
                    for node in c.nodes.values()
                    for id, until in node.removals.items()
                    if until < c.now
                ),
            ]
            assert [] == [event for event in overdue if (c.now, event) not in queued]
            for node in c.nodes.values():
                if (until := node.overrides.get("updating")) is not None and until < c.now:
                    assert (c.now, nodes.NodeUpdated(node.id, until)) in queued

    @invariant()
    def cached_responses_are_fresh(self) -> None:
        instances = self.controller.instances.values()
        kept = [self.cache.list_response(), *map(self.cache.instance_response, instances)]
        fresh = InstanceCache(self.controller)

        assert kept == [fresh.list_response(), *map(fresh.instance_response, instances)]

    @invariant()
    def no_usb_device_is_claimed_twice(self) -> None:
        for node in self.controller.nodes.values():
            claims = [device for id in node.occupants if (device := self.controller.instances[id].usb)]

            assert len(set(claims)) == len(claims)
            assert set(claims) <= set(node.usb)
        for count in usb.count_usb_devices(self.controller).values():
            assert count.available >= 0

    @invariant()
    def no_mac_address_is_assigned_twice(self) -> None:
        addresses = [
            instance.request.mac_address
            for instance in self.controller.instances.values()
            if instance.request.mac_address
        ]

        assert len(set(addresses)) == len(addresses)
        assert not addresses or self.has("mac-addresses")

    @invariant()
    def instances_are_on_nodes_that_fit(self) -> None:
        for node in self.controller.nodes.values():
            for id in node.occupants:
                need = determine_requirements(self.controller, self.controller.instances[id])

                assert node.arch in ("", need.arch)
                assert not need.vlan or need.vlan in node.vlans

    @invariant()
    def files_in_use_are_cached_or_being_pulled(self) -> None:
        for node in self.controller.nodes.values():
            cached = {file for ref in node.cached for file in templates.get_version(self.controller, ref).files}
            pulled = {file for pull in node.pulls.values() for file in pull.files}
            needed = {self.controller.instances[id].ref for id in node.occupants} | {*node.pulls}

            assert {
                file for ref in needed for file in templates.get_version(self.controller, ref).files
            } <= cached | pulled

    @invariant()
    def only_an_instance_with_a_vm_restarts(self) -> None:
        for instance in self.controller.instances.values():
            if instance.restarting_until is not None:
                assert instance.vm is not None
                assert instance.holds_slot
                assert instance.state is InstanceState.STARTED or (
                    instance.state is InstanceState.ERROR and not self.has("quiet-restart")
                )
                assert instance.vm.status in ("running", "stopped")
            elif instance.state is InstanceState.STARTED:
                assert instance.vm is not None
                assert instance.vm.status == "running"

    @invariant()
    def template_size_is_the_union_of_its_layers(self) -> None:
        for template in self.controller.templates.values():
            union = {file for version in template.versions for file in version.images + version.state_files}

            assert template.size == sum(file.size for file in union)

    @invariant()
    def vms_on_a_node_share_no_port(self) -> None:
        for node in self.controller.nodes.values():
            vms = [vm for id in node.occupants if (vm := self.controller.instances[id].vm)]
            ports = [port.host_port for vm in vms for port in vm.ports]

            assert len(set(ports)) == len(ports)
            assert len({vm.vnc_port for vm in vms}) == len(vms)  # VMs on arm64 have none, and no node here is arm64

    @invariant()
    def disks_are_never_overfull(self) -> None:
        for node in self.controller.nodes.values():
            reserved = sum(file.size for pull in node.pulls.values() for file in pull.files)
            stored = {file for ref in node.cached for file in templates.get_version(self.controller, ref).files}

            assert sum(file.size for file in stored) + reserved + node.disk_other <= node.disk_size

    @invariant()
    def an_offline_node_has_the_instances_that_it_may_keep(self) -> None:
        """Nothing starts there; what runs stays if it is kept, and what terminates in any case."""
        c = self.controller
        to_come = {event.node_id for _, event in c.queue.current_events(c) if isinstance(event, nodes.NodeTimedOut)}
        by_release = LostInstances.KEEP if self.has("lost-instances-kept") else LostInstances.TERMINATE
        for node in c.nodes.values():
            if not node.is_offline(c.now) or node.id in to_come:
                continue
            found = {c.instances[id].state for id in node.occupants}
            assert not found & {InstanceState.SCHEDULING, InstanceState.PULLING}
            if (node.lost_instances or c.lost_instances or by_release) is not LostInstances.KEEP:
                assert found <= {InstanceState.TERMINATING}

    @invariant()
    def only_a_lost_node_has_a_policy_of_its_own(self) -> None:
        for node in self.controller.nodes.values():
            assert node.lost_instances is None or node.lost_at is not None

    @invariant()
    def no_start_is_tried_more_often_than_allowed(self) -> None:
        for instance in self.controller.instances.values():
            assert len(instance.failed_on) <= self.controller.retries

    @invariant()
    def only_an_instance_that_had_a_vm_is_terminated(self) -> None:
        for instance in self.controller.instances.values():
            assert instance.vm is not None or instance.state is not InstanceState.TERMINATED

    @invariant()
    def pushing_means_a_request_is_pending(self) -> None:
        pending = {save.request.instance_id for save in self.controller.save_images.values() if not save.is_finished}

        assert pending == {
            instance.id for instance in self.controller.instances.values() if instance.state is InstanceState.PUSHING
        }

    @invariant()
    def requests_that_are_not_finished_are_listed_by_template(self) -> None:
        waiting: dict[str, list[str]] = {}
        active: dict[str, set[str]] = {}
        for save in self.controller.save_images.values():
            if save.stage is SaveStage.WAITING:
                waiting.setdefault(save.request.template_id, []).append(save.id)
            elif not save.is_finished:
                active.setdefault(save.request.template_id, set()).add(save.id)

        assert waiting == {template: list(saves) for template, saves in self.controller.waiting_saves.items()}
        assert active == self.controller.active_saves

    @invariant()
    def a_save_image_request_waits_only_for_another(self) -> None:
        saves = [save for save in self.controller.save_images.values() if not save.is_finished]
        targets = {save.request.template_id for save in saves}
        active = [save.request.template_id for save in saves if save.stage is not SaveStage.WAITING]

        assert targets == set(active)
        assert len({target for target in active if target}) == len([target for target in active if target])

    @invariant()
    def a_vm_is_shown_only_after_it_was_up(self) -> None:
        """The instance was Started, or its monitored script has failed."""
        self._check_transitions()
        for instance in self.controller.instances.values():
            failed = instance.script is not None and instance.script.return_code != 0
            assert instance.shown_vm is None or instance.id in self.watch.started or failed

    @invariant()
    def dump_and_load_is_equal(self) -> None:
        """After every fifth step by default, because it takes most of the time; with ``FULL`` after each step."""
        self.watch.steps += 1
        if not FULL and self.watch.steps % 5:
            return
        loaded = reload(self.controller)

        assert state_with_rules(self.controller) == state_with_rules(loaded)

    def teardown(self) -> None:
        """Check that the same seed and operations give the same state without the dumps that were loaded in between."""
        if not hasattr(self, "options"):
            return
        again = SCENARIO.controller(self.options)
        again.retries, again.lost_instances = self.retries, self.lost_instances
        for operation in self.journal:
            try:
                operation(again)
            except (Refusal, time_control.Never):
                continue

        assert state_with_rules(again) == state_with_rules(self.controller)


TestController = ControllerMachine.TestCase
TestController.settings = settings(
    max_examples=examples(50, 150),
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
