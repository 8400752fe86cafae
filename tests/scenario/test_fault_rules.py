"""Fault rules as they are written: what is refused, and that what is in force survives a dump, at any moment."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from mockanka.core import distributions, fault_effects, instances, nodes, save_images
from mockanka.core.controller import Controller
from mockanka.core.faults import EVENT_MATCH_KEYS, LIFECYCLE_FAULTS, REQUEST_MATCH_KEYS, RESPONSE_FAULTS, FaultAction
from mockanka.core.instance_record import StartRequest
from mockanka.core.operations import OPERATION_METHODS, methods_by_path
from mockanka.core.release import DEFAULT_RELEASE
from mockanka.core.save_images import SaveRequest
from mockanka.scenario import Scenario, ScenarioError, dump, to_yaml
from mockanka.scenario.fault_rules import FaultSection, read_rule, restore_rule
from tests.conftest import FULL
from tests.controllers import CORNERS, add_rule, controller_of, pass_time, state_of

INVENTORY = """\
templates:
  - {name: mac, versions: [{tag: base, size: 10GB}, {tag: tools, size: 5GB}]}
  - {name: win, versions: [{tag: only, size: 1GB}]}
nodes:
  - {name: alpha, id: N1}
groups:
  - {name: mine, id: G1, nodes: [alpha]}
  - {name: other, id: G2}
faults:
"""
"""Nine lines that are right; the first fault stands on line 10."""


def problems_of(text: str, inventory: str = INVENTORY) -> list[str]:
    with pytest.raises(ScenarioError) as raised:
        Scenario.from_yaml(inventory + text, "w.yaml").controller()
    return raised.value.problems


def rule(text: str) -> str:
    return f"  - {text}\n"


# What is refused.

KNOWN_EVENTS = "known are begin, distribute, pull, save_image, schedule, script, start, started, terminate"
REFUSED = {
    # unknown keys and words
    "{does: {fail: x}}": (
        ("do", "is missing"),
        ("does", "unknown key, did you mean 'do'?"),
    ),
    "{match: {evnt: pull}, do: {fail: x}}": (("match.evnt", "unknown key, did you mean 'event'?"),),
    "{match: {event: pull}, do: {fial: x}}": (("do.fial", "unknown key, did you mean 'final'?"),),
    "{match: {event: pulls}, do: {fail: x}}": (("match.event", "'pulls' is not known: did you mean 'pull'?"),),
    "{match: {event: xyzzy}, do: {fail: x}}": (("match.event", f"'xyzzy' is not known: {KNOWN_EVENTS}"),),
    "{match: {method: PATCH}, do: {status: 500}}": (
        ("match.method", "'PATCH' is not known: known are DELETE, GET, POST, PUT"),
    ),
    "{match: {event: pull}, do: {node: offlin}}": (("do.node", "'offlin' is not known: did you mean 'offline'?"),),
    "{match: {event: pull}, do: {registry: up}}": (("do.registry", "'up' is not known: known are down, full"),),
    "{match: {event: begin}, do: {license: lost}}": (("do.license", "'lost' is not known: known are expired"),),
    "{match: {event: start}, do: {without: [ip, vmids]}}": (
        ("do.without", "'vmids' is not known: did you mean 'vmid'?"),
    ),
    "{do: {connection: break}}": (("do.connection", "'break' is not known: known are close, reset"),),
    # values
    "{match: {event: pull}, do: {fail: x, at: 101%}}": (("do.at", "101% is more than 100%"),),
    "{match: {event: pull}, do: {fail: x, at: 0.4}}": (("do.at", "'0.4' is no percentage: write it like 40%"),),
    "{match: {event: pull}, do: {fail: x, at: -4%}}": (("do.at", "-4% is less than 0%"),),
    "{match: {event: pull}, do: {fail: x, at: nan%}}": (("do.at", "nan is not zero or more"),),
    "{do: {cut: 101%}}": (("do.cut", "101% is more than 100%"),),
    "{do: {cut: half}}": (("do.cut", "'half' is no part: write it like 40%, or as a number of bytes"),),
    "{match: {event: started}, do: {fail: x, after: 3 min}}": (
        ("do.after", "'3 min' is no duration: write it like 20s, 1m30s or 250ms"),
    ),
    "{match: {event: pull}, do: {stall: true, for: 0s}}": (("do.for", "must be longer than zero"),),
    "{match: {event: pull}, do: {stall: false}}": (("do.stall", "is true, or left out"),),
    "{match: {event: start}, do: {without: []}}": (("do.without", "is empty"),),
    "{match: {event: pull}, do: {bandwidth: fast}}": (
        ("do.bandwidth", "'fast' is no bandwidth: write it like 1Gbit/s, 100Mbit/s or 10MB/s"),
    ),
    "{do: {status: 100}}": (("do.status", "100 is not between 200 and 599"),),
    "{do: {status: 600}}": (("do.status", "600 is not between 200 and 599"),),
    "{do: {delay: fast}}": (("do.delay", "'fast' is no duration: write it like 20s, 1m30s or 250ms"),),
    "{do: {refuse: 0s}}": (("do.refuse", "must be longer than zero"),),
    "{match: {event: script}, do: {exit: x}}": (("do.exit", "'x' is not a whole number"),),
    "{do: {status: 500}, times: 0}": (("times", "0 is not between 1 and 1000000000"),),
    "{do: {status: 500}, skip: -1}": (("skip", "-1 is not between 0 and 1000000000"),),
    "{do: {status: 500}, probability: 0}": (("probability", "0 is not above zero"),),
    "{do: {status: 500}, probability: 1.1}": (("probability", "1.1 is more than 1"),),
    "{do: {status: 500}, seed: x}": (("seed", "'x' is not a whole number"),),
    "{do: {status: 500}, id: ''}": (("id", "is empty"),),
    "{match: {body: x}, do: {status: 500}}": (("match.body", "must be keys with values"),),
    "{match: {query: [id]}, do: {status: 500}}": (("match.query", "must be keys with values"),),
    "{match: pull, do: {fail: x}}": (("match", "must be keys with values"),),
    "{match: {event: pull}, do: fail}": (("do", "must be keys with values"),),
    # what does not go together
    "{match: {event: pull}, do: {}}": (("do", "it must have one of fail, stall, bandwidth, node, registry, vanish"),),
    "{match: {event: pull}, do: {at: 40%}}": (
        ("do", "at is not an action at event pull; it must have one of fail, stall, bandwidth, node, registry, vanish"),
    ),
    "{match: {event: pull}, do: {status: 500}}": (
        (
            "do",
            "status is not an action at event pull; it must have one of fail, stall, bandwidth, node, registry, vanish",
        ),
    ),
    "{match: {event: pull}, do: {fail: x, for: 3s}}": (
        ("do", "for does not go with fail at event pull; with fail goes at, final"),
    ),
    "{match: {event: pull}, do: {fail: x, stall: true}}": (
        ("do", "stall does not go with fail at event pull; with fail goes at, final"),
    ),
    "{match: {event: schedule}, do: {fail: x, final: true}}": (
        ("do", "final does not go with fail at event schedule; with fail goes nothing else"),
    ),
    "{match: {event: started}, do: {vanish: true, every: 20s}}": (
        ("do", "every needs a for that is shorter: the instance is shown in between"),
    ),
    "{match: {event: started}, do: {vanish: true, every: 999ms, for: 1ms}}": (
        ("do", "every is 1s or more: in a long time it would be too many events"),
    ),
    "{match: {event: started}, do: {vanish: true, every: 20s, for: 20s}}": (
        ("do", "every needs a for that is shorter: the instance is shown in between"),
    ),
    "{match: {event: begin}, do: {end: true}}": (
        ("do", "at event begin there is no instance: end needs the name of one"),
    ),
    "{match: {event: begin}, do: {restart: {release: 1.51.2}}}": (("do.restart.for", "is missing"),),
    "{match: {event: begin}, do: {restart: {for: 0s}}}": (("do.restart.for", "must be longer than zero"),),
    "{match: {event: begin}, do: {restart: {for: 1s, release: new}}}": (
        ("do.restart.release", f"'new' is no release: give one like {DEFAULT_RELEASE}"),
    ),
    "{match: {event: begin, node: alpha}, do: {restart: {for: 1s}}}": (
        ("match", "the action does not concern a node: leave out node and group"),
    ),
    "{match: {event: started}, do: {stop: true, after: 1s, after_polls: 2}}": (
        ("do", "after counts time and after_polls counts polls: give one of them"),
    ),
    "{match: {event: started}, do: {stop: true, after_polls: 0}}": (
        ("do.after_polls", "0 is not between 1 and 1000000"),
    ),
    "{match: {event: begin}, do: {end: x, after_polls: 2}}": (
        ("do", "after_polls does not go with end at event begin; with end goes after"),
    ),
    "{match: {event: started}, do: {end: ''}}": (("do.end", "is empty"),),
    "{match: {event: pull}, do: {end: true}}": (
        (
            "do",
            "end is not an action at event pull; it must have one of fail, stall, bandwidth, node, registry, vanish",
        ),
    ),
    "{match: {event: terminate}, do: {ignore: true, for: 3s}}": (
        ("do", "for does not go with ignore at event terminate; with ignore goes nothing else"),
    ),
    "{match: {event: pull}, do: {node: drain, lost_instances: error}}": (
        ("do", "lost_instances goes with node: offline; no other state loses a node"),
    ),
    "{do: {refuse: 3s, delay: 3s}}": (("do", "delay does not go with refuse; with refuse goes nothing else"),),
    "{do: {vanish: true}}": (
        (
            "do",
            "vanish is not an action of response faults; it must have one of "
            "refuse, unreachable, connection, cut, fail, status, body, content_type, dribble, stale, without, set, "
            "merge_patch, delay",
        ),
    ),
    # matches that nothing meets
    "{match: {template: mac}, do: {status: 500}}": (("match.template", "is matched by lifecycle faults: add event"),),
    "{match: {event: pull, method: GET}, do: {fail: x}}": (
        ("match.method", "is matched by response faults, and event by lifecycle faults: a rule has one of them"),
    ),
    "{match: {event: schedule, node: alpha}, do: {fail: x}}": (
        ("match.node", "is not known at event schedule, so nothing would ever match"),
    ),
    "{match: {event: distribute, instance: x}, do: {fail: x}}": (
        ("match.instance", "is not known at event distribute, so nothing would ever match"),
    ),
    "{match: {event: begin, template: mac}, do: {node: full}}": (
        ("match.template", "is not known at event begin, so nothing would ever match"),
    ),
    "{match: {event: begin, node: alpha}, do: {registry: down}}": (
        ("match", "the action does not concern a node: leave out node and group"),
    ),
    "{match: {path: /api/v1/vms}, do: {delay: 1s}}": (
        ("match.path", "no operation has the path '/api/v1/vms': did you mean '/api/v1/vm'?"),
    ),
    "{match: {path: /_mock/health}, do: {status: 500}}": (
        ("match.path", "requests to the control API are never matched"),
    ),
    "{match: {path: api/v2/vm}, do: {status: 500}}": (
        ("match.path", "a path begins with a slash: write it like '/api/v2/vm'"),
    ),
    "{match: {path: '/api/v1/vm?id=x'}, do: {body: x}}": (
        ("match.path", "parameters are matched by query: leave '/api/v1/vm' as path"),
    ),
    "{match: {nth: 2-5}, skip: 5, do: {status: 500}}": (
        ("skip", "nth counts the skipped requests as well, so it would never be applied"),
    ),
    "{match: {path: /api/v1/status, method: POST}, do: {status: 500}}": (
        ("match.method", "/api/v1/status takes no POST, only GET"),
    ),
    "{match: {path: /api/v1/registry/revert}, do: {stale: true}}": (
        ("match", "only the answer to a GET can be repeated"),
    ),
    "{match: {path: /api/v1/node/*}, do: {stale: true}}": (("match", "only the answer to a GET can be repeated"),),
    "{match: {method: POST}, do: {stale: true}}": (("match", "only the answer to a GET can be repeated"),),
    "{do: {connection: timeout}}": (
        ("do.connection", "'timeout' is not known: an attempt to connect times out with unreachable: 5s"),
    ),
    "{do: {connection: close, at: 50%}}": (
        ("do", "at goes with connection: reset; one that is closed has no answer at all"),
    ),
    "{match: {event: begin, node: alpha, group: other}, do: {node: full}}": (
        ("match", "node 'alpha' is not in group 'other', so it would never be applied"),
    ),
    "{match: {event: begin, group: G2}, do: {node: full}}": (
        ("match", "no node is in group 'G2', so it would never be applied"),
    ),
    # what only a dump has
    "{do: {status: 503}, times: 1, fired: 1}": (
        ("fired", "is counted by the controller, and stands only in a dump; leave it out here"),
    ),
    "{do: {status: 503}, seen: 0}": (
        ("seen", "is counted by the controller, and stands only in a dump; leave it out here"),
    ),
    # names that are not there
    "{match: {event: pull, template: mca}, do: {fail: x}}": (
        ("match.template", "there is no template 'mca': did you mean 'mac'?"),
    ),
    "{match: {event: pull, tag: bas}, do: {fail: x}}": (("match.tag", "there is no tag 'bas': did you mean 'base'?"),),
    "{match: {event: pull, template: win, tag: base}, do: {fail: x}}": (
        ("match.tag", "there is no tag 'base': known are only"),
    ),
    "{match: {event: pull, node: aplha}, do: {fail: x}}": (
        ("match.node", "there is no node 'aplha': did you mean 'alpha'?"),
    ),
    "{match: {event: pull, group: ours}, do: {fail: x}}": (
        ("match.group", "there is no group 'ours': known are mine, other"),
    ),
}


@pytest.mark.parametrize("text", REFUSED)
def test_a_wrong_rule_is_refused_with_file_line_and_key(text: str) -> None:
    """Each problem names where it stands and what would be right."""
    expected = [f"w.yaml:10: faults[0].{key}: {why}" for key, why in REFUSED[text]]

    assert expected == problems_of(rule(text))


def test_a_rule_that_begins_where_there_are_no_nodes_is_refused() -> None:
    """It begins once, and there is nothing it could make of a node; the registry is there all the same."""
    offline = rule("{match: {event: begin}, do: {node: offline}}")
    inventory = "templates: []\nfaults:\n"

    assert ["w.yaml:3: faults[0].match: there are no nodes, so it would never be applied"] == problems_of(
        offline, inventory
    )
    assert 1 == len(controller_of(inventory + rule("{match: {event: begin}, do: {registry: down}}")).faults)


def test_a_rule_that_begins_and_meets_no_node_is_not_applied() -> None:
    """A dump may have a rule whose node is gone: it is in force, and nothing is counted or recorded."""
    controller = controller_of(INVENTORY + rule("{do: {status: 500}}"))
    written = {"match": {"event": "begin", "node": "gone"}, "do": {"node": "offline"}}
    restored = restore_rule(controller, (), FaultSection.load(written))
    add_rule(controller, restored)

    assert (0, 0) == (restored.matched, restored.applied)
    assert not [line for line in controller.log.since(0) if line.what == "fault"]


def test_the_counts_of_a_dump_are_taken() -> None:
    """A dump says how often a rule has matched and been applied."""
    (counted,) = controller_of(
        INVENTORY + rule("{do: {status: 503}, times: 1, seen: 3, fired: 1}") + "pending: []\n"
    ).faults

    assert (3, 1) == (counted.matched, counted.applied)


def test_the_line_is_that_of_the_key() -> None:
    """A rule over many lines is refused at the line in question."""
    text = "  - match:\n      event: pull\n    do:\n      fail: x\n      at: 400%\n"

    assert ["w.yaml:14: faults[0].do.at: 400% is more than 100%"] == problems_of(text)


def test_two_rules_of_one_id_are_refused() -> None:
    """An id is one rule's, whether it was given or made."""
    twice = rule("{id: a, do: {status: 500}}") * 2
    generated = rule("{do: {status: 500}}") + rule("{id: fault-1, do: {status: 500}}")

    assert ["w.yaml:11: faults[1].id: there is another fault 'a'"] == problems_of(twice)
    assert ["w.yaml:11: faults[1].id: there is another fault 'fault-1'"] == problems_of(generated)


def test_drain_is_known_to_a_release_that_has_it() -> None:
    """At 1.32.0 a node may be drained by a rule."""
    controller = controller_of(
        "controller: {release: 1.32.0}\n" + INVENTORY + rule("{match: {event: begin}, do: {node: drain}}")
    )
    pass_time(controller, 0)

    assert ["Drain Mode"] == [node.state(controller.now) for node in controller.nodes.values()]


def test_drain_is_refused_by_a_release_that_does_not_have_it() -> None:
    """Before 1.32.0 no rule can bring a node there."""
    inventory = "controller: {release: 1.31.0}\n" + INVENTORY
    why = "release 1.31.0 knows no Drain Mode: it came with 1.32.0"

    assert [f"w.yaml:11: faults[0].do.node: {why}"] == problems_of(
        rule("{match: {event: begin}, do: {node: drain}}"), inventory
    )


def test_an_operation_that_came_later_cannot_be_meant() -> None:
    """Nothing would ever meet a rule for what the simulated release does not know."""
    match = "{match: {path: /api/v1/rpc/vm/restart}, do: {delay: 1s}}"
    refused = problems_of(rule(match), "controller: {release: 1.43.0}\n" + INVENTORY)

    assert 1 == len(refused)
    assert refused[0].startswith("w.yaml:11: faults[0].match.path: no operation has the path '/api/v1/rpc/vm/restart'")
    assert refused[0].endswith("(release 1.43.0)")
    assert controller_of("controller: {release: 1.44.0}\n" + INVENTORY + rule(match)).faults


@pytest.mark.parametrize("key", ["template", "node", "group"])
def test_names_and_ids_that_are_there_are_taken(key: str) -> None:
    """A match may name a template, a node, a group either way."""
    inventory = controller_of(INVENTORY.replace("faults:\n", ""))
    entities = {"template": inventory.templates, "node": inventory.nodes, "group": inventory.groups}[key]
    for id, entity in entities.items():
        for name in (id, entity.name):
            controller = controller_of(
                INVENTORY + rule(f"{{match: {{event: pull, {key}: '{name}'}}, do: {{fail: x}}}}")
            )
            assert [name] == [getattr(added.match, key) for added in controller.faults]


@pytest.mark.parametrize("path", methods_by_path())
def test_every_operation_can_be_meant(path: str) -> None:
    """Each path with each of its methods, and with no other."""
    for method in OPERATION_METHODS:
        text = rule(f"{{match: {{path: {path}, method: {method}}}, do: {{status: 500}}}}")
        if method in methods_by_path()[path]:
            assert 1 == len(controller_of(INVENTORY + text).faults)
        else:
            (problem,) = problems_of(text)
            assert f"{path} takes no {method}" in problem


@pytest.mark.parametrize("event", LIFECYCLE_FAULTS)
@pytest.mark.parametrize("key", REQUEST_MATCH_KEYS)
def test_no_rule_matches_requests_and_events(event: str, key: str) -> None:
    """A request's keys and an event exclude each other."""
    values = {"query": "{a: b}", "header": "{a: b}", "body": "{a: b}", "method": "GET", "nth": "2"}
    value = values.get(key, "/api/v1/vm")
    (problem,) = problems_of(rule(f"{{match: {{event: {event}, {key}: {value}}}, do: {{fail: x}}}}"))

    assert f"match.{key}: is matched by response faults" in problem


# What survives.

VALUES: dict[str, Any] = {
    "at": "35%",
    "after": "1m30s",
    "after_polls": 3,
    "for": "2h",
    "every": "3h",
    "end": "nobody",
    "restart": {"for": "10s"},
    "fail": "no luck",
    "bandwidth": "200Mbit/s",
    "node": "offline",
    "lost_instances": "error",
    "registry": "full",
    "license": "expired",
    "without": ["ip", "host_ip"],
    "set": {"vm.arch": None, "x": [1, {"y": 2.5}]},
    "merge_patch": {"vm": {"arch": None}},
    "item": {"name": "x"},
    "exit": 3,
    "stdout": "out",
    "stderr": "err",
    "acts": False,
    "delay": {"uniform": ["1s", "2s"]},
    "status": 503,
    "body": '{"a": 1}',
    "content_type": "text/html",
    "refuse": "5s",
    "unreachable": "5s",
    "connection": "reset",
    "cut": "40%",
    "dribble": "3s",
}


NEEDS: dict[str, dict[str, Any]] = {"every": {"for": "2h"}}
"""By key, other keys that it requires."""


def _do(kind: str, others: frozenset[str]) -> list[dict[str, Any]]:
    """A kind alone, with each of what goes with it, and with all of it."""
    values = {key: VALUES.get(key, True) for key in (kind, *sorted(others))}
    alone = {kind: values[kind]}
    whole = {key: value for key, value in values.items() if key != "after_polls"}  # it excludes after
    found = [alone, *({**alone, **NEEDS.get(key, {}), key: values[key]} for key in sorted(others)), whole]
    return found if len(others) > 1 else found[: 1 + len(others)]


EVERY = [
    *(
        (event, do)
        for event, kinds in LIFECYCLE_FAULTS.items()
        for kind, others in kinds.items()
        for do in _do(kind, others)
    ),
    *((None, do) for kind, others in RESPONSE_FAULTS.items() for do in _do(kind, others)),
    (None, {"cut": "0%"}),
    (None, {"cut": 17}),
    (None, {"connection": "reset", "at": "0%"}),
    (None, {"connection": "close"}),
    (None, {"delay": "0s"}),
    (None, {"delay": {"lognormal": ["2s", 0.25]}}),
    (None, {"body": ""}),
    (None, {"delay": {"wall": "40s"}}),
    (None, {"set": {"a": 1}, "item": 3}),
    (None, {"set": {}}),
    (None, {"merge_patch": {}}),
    (None, {"merge_patch": {}, "set": {}}),
    (None, {"stale": "10s"}),
    (None, {"body": {"a": [1, 1.5, None, True, "x"]}}),
    (None, {"body": "1.50"}),
    (None, {"fail": ""}),
    (None, {"status": 500, "acts": True}),
    ("pull", {"fail": ""}),
    ("pull", {"fail": "x", "at": "100%"}),
    ("pull", {"fail": "x", "at": "0.1%"}),
    ("pull", {"fail": "x", "at": "33.33333333333333%"}),
    ("script", {"exit": 0}),
    ("script", {"exit": -(2**31)}),
    ("start", {"without": "ip"}),
    ("begin", {"restart": {"for": "10s", "release": "1.51.2"}, "after": "1m"}),
    ("schedule", {"end": True}),
    ("started", {"end": True, "after": "1m"}),
]


def loaded_by_yaml(controller: Controller) -> Controller:
    return Scenario.from_yaml(to_yaml(dump(controller))).controller()


def loaded_by_json(controller: Controller) -> Controller:
    return Scenario.from_json(json.dumps(dump(controller))).controller()


LOADERS: list[Callable[[Controller], Controller]] = [loaded_by_yaml, loaded_by_json]


def with_rule(item: dict[str, Any]) -> Controller:
    inventory = yaml.safe_load("controller: {release: 1.32.0}\n" + INVENTORY)
    return Scenario.from_data({**inventory, "faults": [item], "clock": {"mode": "manual"}}).controller()


@pytest.mark.parametrize(("event", "do"), EVERY, ids=lambda part: json.dumps(part))
def test_every_kind_of_rule_survives(event: str | None, do: dict[str, Any]) -> None:
    """Written, dumped and loaded, a rule is what it was, with its counts; and so is its dump."""
    skip = 0 if event == "begin" else 1  # it begins once only
    controller = with_rule({"match": {"event": event} if event else {}, "do": do, "skip": skip, "times": 3, "seed": -5})
    (rule,) = controller.faults
    rule.matched, rule.applied = 7, 3
    copies = [load(controller) for load in LOADERS]

    assert [[rule]] * 2 == [list(copy.faults) for copy in copies]
    assert dump(controller)["faults"] == dump(copies[0])["faults"]


MATCHES: list[dict[str, Any]] = [
    {},
    {"method": "POST", "path": "/api/v1/vm"},
    {"path": "/api/v1/*", "query": {"id": "7", "empty": ""}},
    {"query": {"id": None}, "header": {"x-test": "a*"}, "user_agent": "curl*", "nth": 3},
    {"nth": "2-5"},
    {"body": {"a": 1, "b": True, "c": "1", "d": [1, {"e": None}], "f": 1.5}},
    *({"event": "pull", key: name} for key, name in {"template": "mac", "tag": "base", "node": "N1"}.items()),
    {"event": "start", "group": "mine", "instance": "some id", "name": "1.50", "external_id": "yes"},
]


@pytest.mark.parametrize("match", MATCHES, ids=json.dumps)
def test_every_match_survives(match: dict[str, Any]) -> None:
    """A rule matches the same after a dump, to the type of each value."""
    do = {"fail": "x"} if "event" in match else {"status": 500}
    controller = with_rule({"match": match, "do": do, "probability": 0.25})
    (rule,) = controller.faults
    copies = [list(load(controller).faults) for load in LOADERS]

    assert [[rule]] * 2 == copies
    assert [repr(rule)] * 2 == [repr(faults[0]) for faults in copies]


def test_every_key_is_in_the_tables() -> None:
    """The tests above know each field of what can be done, and each key of a match."""
    done = {key for _, do in EVERY for key in do}
    matched = {key for match in MATCHES for key in match}

    assert set(FaultAction.__dataclass_fields__) == {
        {"for": "duration", "set": "new_values"}.get(key, key) for key in done
    }
    assert {*REQUEST_MATCH_KEYS, *EVENT_MATCH_KEYS} == matched


def test_ids_go_on_after_a_dump() -> None:
    """The next rule's id is the one it would have been, also when some were removed."""
    controller = with_rule({"do": {"status": 500}})
    for _ in range(3):
        controller.faults.add(read_rule(controller, (), FaultSection.load({"do": {"stale": True}})))
    controller.faults.remove("fault-4")

    assert ["fault-5"] * 2 == [load(controller).faults.next_id() for load in LOADERS]
    assert [4] * 2 == [load(controller).faults.added for load in LOADERS]


def test_a_rule_for_what_is_gone_survives() -> None:
    """The node and the template that a rule names may have been deleted meanwhile."""
    controller = controller_of(
        INVENTORY
        + rule("{match: {event: pull, node: alpha, template: mac, tag: base}, do: {fail: x}}")
        + rule("{match: {event: start, group: mine}, do: {fail: x}}")
    )
    nodes.delete_node(controller, "N1")
    controller.groups.clear()
    controller.templates.clear()

    assert [list(controller.faults)] * 2 == [list(load(controller).faults) for load in LOADERS]


def test_a_hidden_instance_is_hidden_in_the_loaded_controller() -> None:
    """It is shown again when its time is over, and not before."""
    controller = controller_of(INVENTORY + rule("{match: {event: schedule}, do: {vanish: true, for: 45s}}"))
    (id,) = instances.start_instances(controller, StartRequest(next(iter(controller.templates))))
    pass_time(controller, 30)
    copies = [load(controller) for load in LOADERS]
    before = [copy.instances[id].hidden for copy in (controller, *copies)]
    for copy in copies:
        pass_time(copy, 20)

    assert [True] * 3 == before
    assert [False] * 2 == [copy.instances[id].hidden for copy in copies]


def test_a_rule_applied_at_the_beginning_is_not_applied_again() -> None:
    """A rule that was applied when it was added is not applied again when its dump is loaded."""
    controller = controller_of(INVENTORY + rule("{match: {event: begin}, do: {node: offline, for: 1m}}"))
    pass_time(controller, 90)
    copy = loaded_by_yaml(controller)
    pass_time(copy, 1)

    assert [(1, 1)] == [(rule.matched, rule.applied) for rule in copy.faults]
    assert [None] == [node.lost_at for node in copy.nodes.values()]


def test_the_state_of_a_registry_belongs_to_a_dump() -> None:
    """A scenario that is written turns the registry by a rule."""
    text = "controller: {registry_state: down}"
    expected = "belongs to a dump; write a fault that sets the state of the registry"

    assert [f"w.yaml:1: controller.registry_state: {expected}"] == problems_of(text, "")


def test_a_broken_monitored_script_in_a_scenario_does_not_break_the_simulation() -> None:
    """A script that is not base64 is refused with the scenario, or found out late; time goes on in any case."""
    text = "instances:\n  - {template: mac, startup_script: '!', script_monitoring: true}\n"
    try:
        controller = controller_of("controller: {release: 1.32.0}\n" + INVENTORY.replace("faults:\n", text))
    except ScenarioError:
        return
    pass_time(controller, 300)

    assert ["Error"] == [instance.state for instance in controller.instances.values()]


# In the middle of it.

MIDDLE = """
  - {id: a, match: {event: EVENT}, do: DO, times: 3, skip: SKIP}
  - {id: b, match: {event: EVENT}, do: DO, probability: 0.6}
"""
BARE_AND_WHOLE = [
    (event, _do(kind, others)[index])
    for event, kinds in LIFECYCLE_FAULTS.items()
    for kind, others in kinds.items()
    for index in ((0, -1) if others else (0,))
]
"""Each kind with nothing beside it, and with all: key by key they are dumped above."""

LIFE_RULES = [
    (event, json.dumps({**do, **{key: value for key, value in {"for": "45s", "every": "1m"}.items() if key in do}}))
    for event, do in (EVERY if FULL else BARE_AND_WHOLE)
    if event and do.get("at") != "33.33333333333333%"
]
LOADED = (1, 2, 5) if FULL else (2, 5)
"""The half minutes after which it is loaded, from JSON if the number is odd."""


def whole(controller: Controller) -> dict[str, object]:
    """The state, with the rules and what they counted."""
    return {
        **state_of(controller),
        "faults": list(controller.faults),
        "added": controller.faults.added,
    }


def busy(event: str, do: str) -> Controller:
    """A controller in which everything happens that lifecycle faults can match."""
    text = CORNERS.replace("seed: 5", "seed: 5\ncontroller: {release: 1.32.0, retries: 1}")
    skip = "0" if event == "begin" else "1"  # it begins once only
    faults = MIDDLE.replace("EVENT", event).replace("DO", do).replace("SKIP", skip)
    controller = controller_of(text + "faults:" + faults)
    templates = list(controller.templates)
    ids: list[str] = []
    for template_id in (*templates, *templates):
        request = StartRequest(template_id, startup_script="ZmFpbA==", script_monitoring=template_id == templates[0])
        ids += instances.start_instances(controller, request, 2)
    distributions.create_distribution(controller, templates[1])
    return controller


def go_on(controller: Controller) -> None:
    """Half a minute in which somebody saves, and somebody terminates."""
    pass_time(controller, 29)
    running = [
        instance.id for instance in controller.instances.values() if instance.state == "Started" and not instance.hidden
    ]
    for id in running[:1]:
        save_images.create_save_image(controller, SaveRequest(id, new_template_name="new", script="ZmFpbA=="))
    for id in running[1:2]:
        instances.terminate_instance(controller, id)
    pass_time(controller, 1)


@pytest.mark.parametrize(("event", "do"), LIFE_RULES)
def test_a_dump_in_the_middle_of_a_fault_goes_on_like_the_original(event: str, do: str) -> None:
    """Whatever the fault and whenever the dump: the loaded controller goes on as the original, to the last count."""
    controller = busy(event, do)
    copies: list[Controller] = []
    for number in range(9):
        assert [whole(controller)] * len(copies) == [whole(running) for running in copies]
        if number in LOADED:
            copies.append(LOADERS[number % 2](controller))
        for running in (controller, *copies):
            go_on(running)
    for running in (controller, *copies):
        for id in ("a", "b"):
            fault_effects.remove_rule(running, id)
        pass_time(running, 3)

    assert [whole(controller)] * len(copies) == [whole(running) for running in copies]
    for running in (controller, *copies):
        pass_time(running, 1000)
    assert [whole(controller)] * len(copies) == [whole(running) for running in copies]
    assert [] != [line for line in controller.log.since(0) if line.what == "fault"]
