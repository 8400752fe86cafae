"""Small scenarios for the tests of the core, and short ways to start instances and to read their history.

Transfers run at a gigabyte a second, so that sizes in GB are seconds. Everything else has its default duration: 1 s to
be queued, 20 s to boot, 5 s to stop, 5 s to terminate, 60 s to be forgotten.
"""

from textwrap import dedent
from typing import Any

from mockanka.core import groups, instances, nodes, save_images
from mockanka.core.controller import Controller
from mockanka.core.groups import Group
from mockanka.core.instance_record import Instance, StartRequest
from mockanka.core.nodes import Node
from mockanka.core.save_images import SaveImage, SaveRequest
from mockanka.core.templates import Template, VersionRef
from mockanka.units import SECOND
from tests.controllers import controller_of, pass_time

TIMINGS = "timings: {pull_bandwidth: 8Gbit/s, push_bandwidth: 8Gbit/s}\n"

WARM = """
templates:
  - name: mac
    versions: [{tag: base, size: 10GB}, {tag: tools, size: 5GB}]
nodes:
  - {name: alpha, capacity: 2, cached: [mac]}
"""
"""One node, with the template cached."""

COLD = WARM.replace(", cached: [mac]", "")
"""One node, with nothing cached: a pull takes 15 s."""

PAIR = """
templates:
  - name: mac
    versions: [{tag: base, size: 10GB}, {tag: tools, size: 5GB}]
nodes:
  - {name: alpha, capacity: 1, cached: [mac]}
  - {name: beta, capacity: 1, cached: [mac]}
"""
"""Two nodes with one slot each, and the template cached."""


LOST_IN_ERROR = "controller: {lost_instances: error}\n"
"""The setting with which the instances of a node go to Error when it is Offline."""


def build_controller(text: str, **options: object) -> Controller:
    """Return the controller of a scenario in YAML that has no timings, with ``TIMINGS``."""
    return controller_of(TIMINGS + dedent(text), **options)


def template_named(controller: Controller, name: str = "mac") -> Template:
    """Return the first template with that name."""
    return next(template for template in controller.templates.values() if template.name == name)


def node_named(controller: Controller, name: str = "alpha") -> Node:
    """Return the first node with that name."""
    return next(node for node in controller.nodes.values() if node.name == name)


def group_named(controller: Controller, name: str) -> Group:
    """Return the first group with that name."""
    return next(group for group in controller.groups.values() if group.name == name)


def version_ref(controller: Controller, name: str = "mac", serial: int = -1) -> VersionRef:
    """Return the reference to a version by its place in the history; the latest by default."""
    template = template_named(controller, name)
    return VersionRef(template.id, serial % len(template.history))


def start_instances(
    controller: Controller, template: str = "mac", count: int = 1, **request_fields: Any
) -> list[Instance]:
    """Start instances, ``on`` the node and ``within`` the group with that name."""
    if on := request_fields.pop("on", None):
        request_fields["node_id"] = node_named(controller, on).id
    if within := request_fields.pop("within", None):
        request_fields["group_id"] = group_named(controller, within).id
    request = StartRequest(template_named(controller, template).id, **request_fields)
    return [controller.instances[id] for id in instances.start_instances(controller, request, count)]


def start_instance(controller: Controller, template: str = "mac", **request_fields: Any) -> Instance:
    """Start an instance, with the arguments of ``start_instances``."""
    return start_instances(controller, template, **request_fields)[0]


def started_instance(controller: Controller, template: str = "mac", **request_fields: Any) -> Instance:
    """Start an instance, and return it 200 s later, when it is Started."""
    instance = start_instance(controller, template, **request_fields)
    pass_time(controller, 200)
    assert "Started" == instance.state
    return instance


def save_instance(controller: Controller, instance: Instance, target: str = "mac", **request_fields: Any) -> SaveImage:
    """Request that an instance is saved to the template ``target``, or to a new one if that is blank."""
    template_id = template_named(controller, target).id if target else ""
    return save_images.create_save_image(controller, SaveRequest(instance.id, template_id, **request_fields))


def lose_node(controller: Controller, name: str = "alpha") -> None:
    """Let the controller lose contact with a node."""
    nodes.lose_node(controller, node_named(controller, name).id)


def restore_node(controller: Controller, name: str = "alpha") -> None:
    """Bring a lost node back."""
    nodes.restore_node(controller, node_named(controller, name).id)


def set_fallback(controller: Controller, name: str, to: str) -> None:
    """Make a group the fallback of another."""
    groups.update_group(controller, group_named(controller, name).id, {"fallback_id": group_named(controller, to).id})


def node_names(controller: Controller, *instances: Instance) -> list[str | None]:
    """Return the names of the nodes on which instances are."""
    return [controller.nodes[instance.node_id].name if instance.node_id else None for instance in instances]


def states(*instances: Instance) -> list[str]:
    """Return the states of instances."""
    return [instance.state.value for instance in instances]


def state_history(controller: Controller, instance: Instance | str) -> list[tuple[float, str]]:
    """Return the states that an instance, or its id, had by the log, each after the seconds since its creation."""
    id = instance if isinstance(instance, str) else instance.id
    entries = [entry for entry in controller.log.since(0) if entry.what == "instance" and entry.subject == id]
    return [((entry.at - entries[0].at) / SECOND, str(entry.detail["state"])) for entry in entries]


def count_log_entries(controller: Controller, what: str) -> int:
    """Return how often something was logged."""
    return sum(entry.what == what for entry in controller.log.since(0))
