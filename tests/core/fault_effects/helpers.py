"""Helpers of the tests that add fault rules: scenarios, rules written in YAML, and what becomes of an instance."""

import base64
from typing import Any

import yaml

from mockanka.core import distributions, fault_effects
from mockanka.core.controller import Controller
from mockanka.core.distributions import Delivery, Distribution
from mockanka.core.errors import RegistryDown
from mockanka.core.faults import FaultRule
from mockanka.core.instance_record import Instance
from mockanka.core.save_images import SaveImage
from mockanka.scenario.fault_rules import FaultSection, read_rule
from tests.controllers import add_rule
from tests.core.builders import (
    COLD,
    PAIR,
    WARM,
    node_named,
    pass_time,
    save_instance,
    start_instance,
    started_instance,
    state_history,
    template_named,
)

COLD_PAIR = PAIR.replace(", cached: [mac]", "")
"""Two nodes with one slot each, and nothing cached."""

RELEASE_1_32 = "controller: {release: 1.32.0}\n"
"""A release that has Drain Mode and monitored scripts."""

ONE_RETRY = "controller: {retries: 1}\n"
REGISTRY_DOWN = str(RegistryDown())
FAIL_SCRIPT = base64.b64encode(b"fail").decode()

MONITORED = RELEASE_1_32 + WARM + "scripts: [{match: fail, return_code: 3, stderr: boom, takes: 4s}]\n"
"""A node on which ``FAIL_SCRIPT`` fails after 4 s."""

SCENARIOS = {"schedule": WARM, "pull": COLD, "start": WARM}
"""By event, a scenario in which a start causes it."""


def add_fault(controller: Controller, event: str, do: str, times: int | None = None, **match: str) -> FaultRule:
    """Add a rule for an event, with ``do`` in YAML, that fires at most so many times."""
    section = FaultSection.load({"match": {"event": event, **match}, "do": yaml.load(do, yaml.BaseLoader)})
    rule = read_rule(controller, (), section)
    rule.times = times
    add_rule(controller, rule)
    return rule


def remove_fault(controller: Controller, rule: FaultRule) -> None:
    """Remove a rule."""
    fault_effects.remove_rule(controller, rule.id)


def shown_state(controller: Controller, name: str = "alpha") -> str:
    """Return the state of a node as the API shows it."""
    return node_named(controller, name).state(controller.now).value


def history_after(controller: Controller, instance: Instance, seconds: float = 400) -> list[tuple[float, str]]:
    """Let seconds pass, and return the states of an instance with the seconds since its creation."""
    pass_time(controller, seconds)
    return state_history(controller, instance)


def start_distribution(controller: Controller) -> tuple[Distribution, Delivery]:
    """Create a distribution to the node alpha; return it, and its only delivery."""
    alpha = node_named(controller).id
    distribution = distributions.create_distribution(controller, template_named(controller).id, node_ids=[alpha])
    return distribution, distribution.deliveries[alpha]


def begin_push(controller: Controller, seconds: float = 7) -> tuple[Instance, SaveImage]:
    """Save a Started instance, and let seconds pass: the stop takes 5 s, the push that follows about 6 s."""
    instance = started_instance(controller)
    save = save_instance(controller, instance)
    pass_time(controller, seconds)
    return instance, save


def start_promptly(controller: Controller) -> Instance:
    """Return an instance that is Started from this moment on."""
    instance = start_instance(controller)
    pass_time(controller, 21)
    assert "Started" == instance.state
    return instance


def start_monitored(controller: Controller, **request_fields: Any) -> Instance:
    """Start an instance with ``FAIL_SCRIPT``, monitored."""
    return start_instance(controller, startup_script=FAIL_SCRIPT, script_monitoring=True, **request_fields)
