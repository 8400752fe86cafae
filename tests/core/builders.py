"""Small worlds for the tests of the core, and short ways to start instances in them and to tell what became of them.

Transfers run at a gigabyte a second, so sizes in GB are seconds. All else takes as long as it does by default:
1 s to be queued, 20 s to boot, 5 s to stop, 5 s to terminate, 60 s to be forgotten.
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
"""One node, which has the template."""

COLD = WARM.replace(", cached: [mac]", "")
"""One node, which has nothing: a pull takes 15 s."""

PAIR = """
templates:
  - name: mac
    versions: [{tag: base, size: 10GB}, {tag: tools, size: 5GB}]
nodes:
  - {name: alpha, capacity: 1, cached: [mac]}
  - {name: beta, capacity: 1, cached: [mac]}
"""
"""Two nodes of one slot."""


def build_controller(text: str, **options: object) -> Controller:
    """The controller of a scenario without timings, with those above."""
    return controller_of(TIMINGS + dedent(text), **options)


def template_named(controller: Controller, name: str = "mac") -> Template:
    return next(each for each in controller.templates.values() if each.name == name)


def node_named(controller: Controller, name: str = "alpha") -> Node:
    return next(each for each in controller.nodes.values() if each.name == name)


def group_named(controller: Controller, name: str) -> Group:
    return next(each for each in controller.groups.values() if each.name == name)


def version_ref(controller: Controller, name: str = "mac", serial: int = -1) -> VersionRef:
    """A version by its place; the last one unless told otherwise."""
    template = template_named(controller, name)
    return VersionRef(template.id, serial % len(template.history))


def start_instances(controller: Controller, template: str = "mac", count: int = 1, **wanted: Any) -> list[Instance]:
    """Start instances; ``on`` and ``within`` name the node and the group they are bound to."""
    if on := wanted.pop("on", None):
        wanted["node_id"] = node_named(controller, on).id
    if within := wanted.pop("within", None):
        wanted["group_id"] = group_named(controller, within).id
    request = StartRequest(template_named(controller, template).id, **wanted)
    return [controller.instances[id] for id in instances.start_instances(controller, request, count)]


def start_instance(controller: Controller, template: str = "mac", **wanted: Any) -> Instance:
    return start_instances(controller, template, **wanted)[0]


def started_instance(controller: Controller, template: str = "mac", **wanted: Any) -> Instance:
    """One that is Started by now."""
    made = start_instance(controller, template, **wanted)
    pass_time(controller, 200)
    assert "Started" == made.state
    return made


def save_instance(controller: Controller, of: Instance, target: str = "mac", **wanted: Any) -> SaveImage:
    """Ask for an instance to be saved; to a new template when ``target`` is blank."""
    template_id = template_named(controller, target).id if target else ""
    return save_images.create_save_image(controller, SaveRequest(of.id, template_id, **wanted))


def lose_node(controller: Controller, name: str = "alpha") -> None:
    nodes.lose_node(controller, node_named(controller, name).id)


def restore_node(controller: Controller, name: str = "alpha") -> None:
    nodes.restore_node(controller, node_named(controller, name).id)


def set_fallback(controller: Controller, name: str, to: str) -> None:
    groups.update_group(controller, group_named(controller, name).id, {"fallback_id": group_named(controller, to).id})


def node_names(controller: Controller, *instances: Instance) -> list[str | None]:
    """The names of the nodes they are on."""
    return [controller.nodes[each.node_id].name if each.node_id else None for each in instances]


def states(*instances: Instance) -> list[str]:
    return [each.state.value for each in instances]


def state_history(controller: Controller, of: Instance | str) -> list[tuple[float, str]]:
    """Every state an instance was in, with the seconds since it was created; out of the log."""
    id = of if isinstance(of, str) else of.id
    lines = [line for line in controller.log.since(0) if line.what == "instance" and line.subject == id]
    return [((line.at - lines[0].at) / SECOND, str(line.detail["state"])) for line in lines]


def count_log_entries(controller: Controller, what: str) -> int:
    """How often something happened."""
    return sum(line.what == what for line in controller.log.since(0))
