"""Limits of scenarios: what loads can be answered, and what the core refuses is reported with its place."""

from __future__ import annotations

import inspect
import time
from typing import Any

import pytest

from mockanka.core import errors, fault_effects
from mockanka.core.errors import IllegalTransition, Refusal
from mockanka.scenario import Scenario, ScenarioError
from mockanka.scenario.inventory import Inventory
from mockanka.scenario.references import References
from mockanka.scenario.workloads import Workloads

TEMPLATE = "templates: [{name: t, versions: [{tag: v, size: 1}]}]\n"
LONG = "0x" + "f" * 4000
REFUSALS = [
    refusal for _, refusal in inspect.getmembers(errors, inspect.isclass) if refusal.__module__ == errors.__name__
]


def problem(text: str) -> str:
    with pytest.raises(ScenarioError) as raised:
        Scenario.from_yaml(text).controller()
    return str(raised.value)


@pytest.mark.parametrize("number", [LONG, "9223372036854775808", "-9223372036854775809", "0b" + "1" * 5000])
def test_metadata_has_numbers_of_64_bits_as_in_requests(number: str) -> None:
    """A longer one could be loaded, but no response could have it."""
    text = problem(TEMPLATE + f"instances:\n- template: t\n  metadata: {{n: {number}}}\n")
    assert text.startswith("scenario:4: instances[0].metadata: n: ")
    assert "is not between -9223372036854775808 and 9223372036854775807" in text
    assert len(text) < 300


@pytest.mark.parametrize(
    "fault",
    [
        f"match: {{path: /api/v1/vm}}, do: {{set: {{n: {LONG}}}}}",
        f"match: {{path: /api/v1/vm}}, do: {{body: {{n: [{LONG}]}}}}",
    ],
)
def test_a_fault_cannot_have_a_number_that_no_answer_can_have(fault: str) -> None:
    """Python writes no number of more than 4,300 digits."""
    assert "a number of 16000 bits has more than 1000 digits" in problem(f"faults:\n- {{{fault}}}\n")


@pytest.mark.parametrize("key", ["capacity", "vcpu_override", "ram_override"])
def test_whole_numbers_have_64_bits(key: str) -> None:
    """The controller keeps them in its own integers."""
    text = problem(f"nodes:\n- name: n\n  {key}: 9223372036854775808\n")
    assert text.startswith(f"scenario:3: nodes[0].{key}: 9223372036854775808 is not ")


def test_a_number_of_any_length_from_python_is_refused_in_short() -> None:
    """The message does not repeat it."""
    with pytest.raises(ScenarioError, match=r"nodes\[0\].capacity: .*(is not between|of more than 29 digits)"):
        Scenario.from_data({"nodes": [{"name": "n", "capacity": 10**5000}]})


def make_refusal(refusal_class: type[Exception]) -> Exception:
    parameters = [name for name in inspect.signature(refusal_class.__init__).parameters if name != "self"]
    if refusal_class in (Refusal, IllegalTransition):
        return refusal_class("refused")
    values = {"number": 1, "wanted": 1, "free": 1, "offset": 1}
    return refusal_class(*(values.get(name, "x") for name in parameters))


@pytest.mark.parametrize("refusal_class", REFUSALS, ids=lambda refusal_class: refusal_class.__name__)
@pytest.mark.parametrize(
    ("loader", "method", "place"),
    [
        (Inventory, "_template", "scenario:2: templates[0]: "),
        (Inventory, "_node", "scenario:4: nodes[0]: "),
        (Workloads, "_instance", "scenario:6: instances[0]: "),
        (Workloads, "_distribution", "scenario:8: distributions[0]: "),
        (Workloads, "_save_image", "scenario:10: save_images[0]: "),
    ],
)
def test_every_refusal_of_the_core_is_reported_with_its_place(
    monkeypatch: pytest.MonkeyPatch, refusal_class: type[Exception], loader: type, method: str, place: str
) -> None:
    """Each class of refusals becomes an error with file, line and section, whatever is being loaded."""
    refusal = make_refusal(refusal_class)

    def refuse(*arguments: object) -> None:
        raise refusal

    monkeypatch.setattr(loader, method, refuse)
    text = (
        "templates:\n- {name: t, versions: [{tag: v, size: 1}]}\nnodes:\n- {name: n}\ninstances:\n"
        "- {template: t, node: n, id: i}\ndistributions:\n- {template: t}\nsave_images:\n"
        "- {instance: i, template: t}\n"
    )
    assert problem(text).startswith(place)
    assert str(refusal) in problem(text)


@pytest.mark.parametrize(
    ("owner", "name", "place"),
    [
        (fault_effects, "apply_begin_rule", "scenario:4: faults[1]: "),
        (Inventory, "match_observed", "scenario:1: "),
        (References, "group", "scenario:1: "),
    ],
)
def test_a_refusal_while_a_scenario_is_completed_is_reported(
    monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, place: str
) -> None:
    """It is reported for the whole scenario if no section is behind it; a rule that begins at once is named."""

    def refuse(*arguments: object) -> None:
        if name != "apply_begin_rule" or arguments[1].id == "second":  # type: ignore[attr-defined]
            raise Refusal("cannot be")

    monkeypatch.setattr(owner, name, refuse)
    text = (
        "nodes: [{name: n}]\nfaults:\n- {match: {event: begin}, do: {node: full}, id: first}\n"
        "- {match: {event: begin}, do: {node: full}, id: second}\n"
        "groups: [{name: g}, {name: h, fallback: g}]\n"
    )

    assert problem(text) == f"{place}cannot be"


def test_many_instances_on_one_node_load_in_linear_time() -> None:
    """Free addresses and ports are not searched anew for each VM."""
    text = TEMPLATE + "nodes: [{name: n, capacity: 8000}]\ninstances: [{template: t, node: n, count: 8000}]\n"
    began = time.process_time()
    controller = Scenario.from_yaml(text).controller()
    assert time.process_time() - began < 5  # it took 20 s when the VMs of a node were gone through for each
    vms = [instance.vm for instance in controller.instances.values() if instance.vm]
    assert len({vm.ip for vm in vms}) == 8000


def test_many_keys_of_metadata_load_in_linear_time() -> None:
    """Keys are not counted anew for each key."""
    keys = ", ".join(f"k{number}: 1" for number in range(40_000))
    began = time.process_time()
    Scenario.from_yaml(TEMPLATE + f"instances: [{{template: t, metadata: {{{keys}}}}}]\n")
    assert time.process_time() - began < 8  # it took 20 s when keys were counted for each
