"""Fault rules made of what was written, and written out again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from marshmallow import ValidationError

from mockanka.core.controller import Controller
from mockanka.core.errors import UnknownToRelease
from mockanka.core.faults import FaultAction, FaultMatch, FaultRule
from mockanka.core.lifecycle import NodeState
from mockanka.core.nodes import require_known_state
from mockanka.core.operations import methods_by_path
from mockanka.scenario.fault_sections import Fault, require_operation
from mockanka.scenario.references import InvalidScenario
from mockanka.scenario.source import Path, nearest

Data = Mapping[str, Any]

FAULT = Fault()
COUNT_KEYS = {
    "skip": "skip",
    "times": "times",
    "probability": "probability",
    "seed": "seed",
    "seen": "matched",
    "fired": "applied",
}
"""The keys of a rule beside ``match`` and ``do``, and the fields of ``FaultRule`` that they set."""
_PLAIN = FaultRule("", FaultMatch(), FaultAction())


def make(controller: Controller, path: Path, item: Data, is_dump: bool = False) -> FaultRule:
    """The rule that was written. Raises Broken if it names what is not there, or has an id that is taken."""
    wanted, do = dict(item.get("match", {})), dict(item["do"])
    if not is_dump:
        _refuse_counts(path, item)
        _require_names(controller, (*path, "match"), wanted)
        _require_operation(controller, (*path, "match"), wanted)
        if do.get("node") == "drain":
            try:
                require_known_state(controller, NodeState.DRAIN)
            except UnknownToRelease as wrong:
                raise InvalidScenario((*path, "do", "node"), str(wrong)) from None
        if "node" in do and wanted.get("event") == "begin":
            _require_a_node(controller, (*path, "match"), wanted)
    if "without" in do:
        do["without"] = tuple(do["without"])
    id = item.get("id") or controller.faults.next_id()
    if controller.faults.get(id) is not None:
        raise InvalidScenario((*path, "id"), f"there is another fault {id!r}")
    counted = {name: item[key] for key, name in COUNT_KEYS.items() if key in item}
    return FaultRule(id, FaultMatch(**wanted), FaultAction(**do), **counted)


def written(rule: FaultRule) -> dict[str, Any]:
    """A rule as it is written, with its counts."""
    plain: dict[str, Any] = FAULT.dump(raw(rule))
    return plain


def raw(rule: FaultRule) -> dict[str, Any]:
    """The same, before the schema has put it into words."""
    return {
        "id": rule.id,
        "match": _differing(rule.match, _PLAIN.match),
        "do": _differing(rule.action, _PLAIN.action),
        "skip": rule.skip or None,
        "times": rule.times,
        "probability": rule.probability if rule.probability < 1 else None,
        "seed": rule.seed,
        "seen": rule.matched,
        "fired": rule.applied,
    }


def _differing(thing: Any, plain: Any) -> dict[str, Any]:
    names = [each.name for each in fields(thing)]
    return {name: getattr(thing, name) for name in names if getattr(thing, name) != getattr(plain, name)}


def _require_operation(controller: Controller, path: Path, wanted: Data) -> None:
    """Refuse a match at the door that no request to the simulated release can meet."""
    if "event" not in wanted:
        try:
            require_operation(wanted, methods_by_path(controller.release))
        except ValidationError as wrong:
            ((key, (text,)),) = wrong.messages_dict.items()
            raise InvalidScenario((*path, key), f"{text} (release {controller.release})") from None


def _refuse_counts(path: Path, item: Data) -> None:
    for key in ("seen", "fired"):
        if key in item:
            raise InvalidScenario(
                (*path, key), "is counted by the controller, and stands only in a dump; leave it out here"
            )


def _require_a_node(controller: Controller, path: Path, wanted: Data) -> None:
    """Refuse a rule that begins now and finds no node to strike: there is no second time."""
    match = FaultMatch(**wanted)
    if any(match.matches_event(controller, "begin", None, each, None) for each in controller.nodes.values()):
        return
    if not controller.nodes:
        raise InvalidScenario(path, "there are no nodes, so it would never strike")
    of = f"node {wanted['node']!r} is not" if "node" in wanted else "no node is"
    raise InvalidScenario(path, f"{of} in group {wanted['group']!r}, so it would never strike")


def _require_names(controller: Controller, path: Path, wanted: Data) -> None:
    """Refuse a match that names a template, tag, node or group that is not there: nothing would ever meet it."""
    templates = controller.templates.values()
    named = [each for each in templates if wanted.get("template", each.id) in (each.id, each.name)]
    known = {
        "template": {name: id for id, each in controller.templates.items() for name in (each.name, id)},
        "node": {name: id for id, each in controller.nodes.items() for name in (each.name, id)},
        "group": {name: id for id, each in controller.groups.items() for name in (each.name, id)},
        "tag": {version.tag: "" for each in named for version in each.versions},
    }
    for key, names in known.items():
        if key in wanted and wanted[key] not in names:
            readable = [name for name, id in names.items() if name != id]
            raise InvalidScenario((*path, key), f"there is no {key} {wanted[key]!r}: {nearest(wanted[key], readable)}")
