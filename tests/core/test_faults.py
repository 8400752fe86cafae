"""Fault rules: what they match, how often they fire, and what they count."""

from collections.abc import Mapping
from typing import Any, NoReturn

import pytest

from mockanka.core.faults import (
    LIFECYCLE_FAULTS,
    NO_HIT,
    RESPONSE_FAULTS,
    Amount,
    FaultAction,
    FaultMatch,
    FaultRule,
    FaultRules,
    MatchableRequest,
    apply_rules,
)
from tests.core.builders import build_controller, count_log_entries, node_named, start_instance, version_ref

SCENARIO = """
templates:
  - {name: mac, versions: [{tag: base, size: 10GB}, {tag: tools, size: 5GB}]}
  - {name: other, versions: [{tag: base, size: 1GB}]}
nodes:
  - {name: alpha, cached: [mac]}
  - {name: beta, cached: [mac]}
groups:
  - {name: first, nodes: [alpha]}
  - {name: second, nodes: [beta]}
"""


def make_rule(id: str = "r", action: FaultAction | None = None, **fields: Any) -> FaultRule:
    """Return a rule that matches everything by default, and answers 500."""
    return FaultRule(id, fields.pop("match", FaultMatch()), action or FaultAction(status=500), **fields)


def faults(*rules: FaultRule) -> FaultRules:
    """Return rules in the order in which they were added."""
    fault_rules = FaultRules()
    for rule in rules:
        fault_rules.add(rule)
    return fault_rules


def fired_id(rules: FaultRules, method: str = "GET", path: str = "/api/v1/vm", seed: int = 0) -> str | None:
    """Return the id of the rule that fires at a request without query or body, or None."""
    rule = rules.match_request(seed, MatchableRequest(method, path, dict, dict, lambda: None))
    return rule.id if rule else None


def matches(
    match: FaultMatch,
    query: Mapping[str, str] | None = None,
    body: object = None,
    headers: Mapping[str, str] | None = None,
) -> bool:
    """Return whether a POST with that query, body and headers matches."""
    request = MatchableRequest("POST", "/api/v1/vm", lambda: query or {}, lambda: headers or {}, lambda: body)
    return match.matches_request(request)


def never_read() -> NoReturn:
    """Fail: a query or a body was read that was not needed."""
    raise AssertionError("read without need")


def unread_request(method: str, path: str = "/") -> MatchableRequest:
    """Return a request whose query, headers and body must not be read."""
    return MatchableRequest(method, path, never_read, never_read, never_read)


def test_a_rule_without_limits_fires_at_every_match() -> None:
    """Both counters grow each time."""
    rule = make_rule()

    assert [True] * 5 == [rule.fires(0) for _ in range(5)]
    assert (5, 5) == (rule.matched, rule.applied)


def test_a_rule_does_not_fire_at_skipped_matches() -> None:
    """They are counted as matched."""
    rule = make_rule(skip=2)

    assert [False, False, True, True] == [rule.fires(0) for _ in range(4)]
    assert (4, 2) == (rule.matched, rule.applied)


def test_a_rule_fires_only_so_many_times() -> None:
    """Afterwards it only counts matches."""
    rule = make_rule(times=2)

    assert [True, True, False, False] == [rule.fires(0) for _ in range(4)]
    assert (4, 2) == (rule.matched, rule.applied)


def test_skip_and_times_together_define_a_window() -> None:
    """Matches before and after it do not fire."""
    rule = make_rule(skip=1, times=2)

    assert [False, True, True, False] == [rule.fires(0) for _ in range(4)]


def test_a_rule_fires_about_as_often_as_its_probability() -> None:
    """A rule of 30 % fires at about three in ten matches."""
    rule = make_rule(probability=0.3)
    struck = sum(rule.fires(1) for _ in range(2000))

    assert 500 < struck < 700
    assert (2000, struck) == (rule.matched, rule.applied)


def test_the_same_seed_fires_at_the_same_matches() -> None:
    """Another seed fires at others."""
    first, again, other = (make_rule(probability=0.5) for _ in range(3))
    expected = [first.fires(7) for _ in range(64)]

    assert expected == [again.fires(7) for _ in range(64)]
    assert expected != [other.fires(8) for _ in range(64)]


def test_a_rules_own_seed_takes_precedence() -> None:
    """It fires at the same matches whatever the seed of the controller."""
    first, again = make_rule(probability=0.5, seed=3), make_rule(probability=0.5, seed=3)
    plain = make_rule(probability=0.5)
    expected = [first.fires(1) for _ in range(64)]

    assert expected == [again.fires(2) for _ in range(64)]
    assert expected == [plain.fires(3) for _ in range(64)]


def test_two_rules_of_one_seed_are_independent() -> None:
    """The rule's id is part of the draw, so that two rules do not fire together."""
    first, second = make_rule("a", probability=0.5), make_rule("b", probability=0.5)

    assert [first.fires(1) for _ in range(64)] != [second.fires(1) for _ in range(64)]


def test_skipped_matches_do_not_shift_the_draws() -> None:
    """A draw depends on the number of the match."""
    plain, skipping = make_rule(probability=0.5), make_rule(probability=0.5, skip=10)
    expected = [False] * 10 + [plain.fires(1) for _ in range(64)][10:]

    assert expected == [skipping.fires(1) for _ in range(64)]


def test_times_limits_fires_not_matches() -> None:
    """A rule with a probability and three times goes on until it has fired three times."""
    rule = make_rule(probability=0.2, times=3)

    assert 3 == sum(rule.fires(5) for _ in range(1000))


def test_the_first_rule_that_fires_decides() -> None:
    """Rules are tried in the order in which they were added; those after the first that fires are not tried."""
    rules = faults(make_rule("first", times=1), make_rule("second"))

    assert ["first", "second", "second"] == [fired_id(rules) for _ in range(3)]
    first, second = rules
    assert ((3, 1), (2, 2)) == ((first.matched, first.applied), (second.matched, second.applied))


def test_a_rule_that_does_not_match_counts_nothing() -> None:
    """Only matches are counted."""
    rules = faults(make_rule("posts", match=FaultMatch(method="POST")), make_rule("rest"))

    assert ["rest", "posts"] == [fired_id(rules, "GET"), fired_id(rules, "POST")]
    assert [(1, 1), (1, 1)] == [(rule.matched, rule.applied) for rule in rules]


def test_without_rules_nothing_fires() -> None:
    """Neither query nor body is read."""
    assert None is FaultRules().match_request(0, unread_request("GET"))


def test_lifecycle_rules_are_not_tried_at_requests() -> None:
    """A rule with an event matches no request."""
    rules = faults(make_rule(match=FaultMatch(event="pull")))

    assert None is fired_id(rules)
    assert (True, False) == (rules.has_lifecycle_rules, rules.has_response_rules)


def test_the_rules_know_of_which_kinds_they_are() -> None:
    """The two flags follow additions and removals."""
    rules = faults(make_rule("life", match=FaultMatch(event="pull")), make_rule("door"))
    both = (rules.has_lifecycle_rules, rules.has_response_rules)
    rules.remove("life")

    assert ((True, True), (False, True)) == (both, (rules.has_lifecycle_rules, rules.has_response_rules))
    rules.remove("door")
    assert (False, False, 0) == (rules.has_lifecycle_rules, rules.has_response_rules, len(rules))


def test_ids_of_removed_rules_are_not_used_again() -> None:
    """Ids count all rules that were ever added, and skip those in use."""
    rules = faults(make_rule("fault-1"), make_rule("fault-3"))

    assert "fault-4" == rules.next_id()
    rules.remove("fault-3")
    assert "fault-3" == rules.next_id()
    assert (None, "fault-1") == (rules.get("fault-3"), rules.get("fault-1").id)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("/api/v1/vm", "/api/v1/vm", True),
        ("/api/v1/vm", "/api/v1/vms", False),
        ("/api/v1/*", "/api/v1/vm", True),
        ("/api/v1/*", "/api/v1/registry/vm/distribute", True),
        ("*/vm", "/api/v1/registry/vm", True),
        ("/api/v1/node*", "/api/v1/node", True),
        ("/api/v1/node*", "/api/v1/node/config", True),
        ("*", "/", True),
        ("/api/v1/v?", "/api/v1/vm", True),
        ("/api/v1/vm", "/API/v1/vm", False),
        ("/api/v1.vm", "/api/v1/vm", False),
    ],
)
def test_a_path_is_a_glob_pattern(pattern: str, path: str, expected: bool) -> None:
    """It matches the whole path, case-sensitively; ``*`` matches slashes too."""
    assert expected is FaultMatch(path=pattern).matches_request(unread_request("GET", path))


def test_query_and_body_are_read_only_if_needed() -> None:
    """A rule without them, or whose method or path does not match, does not read them."""
    request = unread_request("POST")
    assert FaultMatch(method="POST").matches_request(request)
    assert not FaultMatch(method="GET", query={"a": "b"}, body={"c": 1}).matches_request(request)
    assert not FaultMatch(query={"a": "b"}, body={"c": 1}).matches_request(request._replace(query=dict))


def test_a_parameter_may_have_to_be_absent() -> None:
    """A parameter that is None must not be there; a blank one is there."""
    match = FaultMatch(query={"id": None})

    assert [True, True, False, False] == [matches(match, query) for query in ({}, {"x": "1"}, {"id": "7"}, {"id": ""})]


@pytest.mark.parametrize(
    ("match", "headers", "expected"),
    [
        (FaultMatch(header={"x-test": "a*"}), {"x-test": "abc"}, True),
        (FaultMatch(header={"x-test": "a*"}), {"x-test": "bc"}, False),
        (FaultMatch(header={"x-test": "*"}), {}, False),
        (FaultMatch(user_agent="Jenkins*"), {"user-agent": "Jenkins/2.1"}, True),
        (FaultMatch(user_agent="Jenkins*", header={"user-agent": "*/3*"}), {"user-agent": "Jenkins/2.1"}, False),
        (FaultMatch(user_agent="Jenkins*"), {"user-agent": "curl/8"}, False),
        (FaultMatch(user_agent="Jenkins*"), {}, False),
        (FaultMatch(user_agent="J*", header={"accept": "*json"}), {"user-agent": "J", "accept": "text/html"}, False),
    ],
)
def test_headers_are_matched_by_patterns(match: FaultMatch, headers: dict[str, str], expected: bool) -> None:
    """Each header of the rule must be there, with a value that its pattern matches; ``user_agent`` is one of them."""
    assert expected is matches(match, headers=headers)


@pytest.mark.parametrize(
    ("nth", "expected"),
    [
        ((1, 1), [True, False, False, False]),
        ((3, 3), [False, False, True, False]),
        ((2, 3), [False, True, True, False]),
    ],
)
def test_a_rule_fires_at_some_of_the_requests_that_it_matches(nth: tuple[int, int], expected: list[bool]) -> None:
    """They are counted from 1."""
    rule = make_rule(match=FaultMatch(nth=nth))

    assert expected == [rule.fires(0) for _ in range(4)]


@pytest.mark.parametrize(
    ("query", "expected"),
    [({"id": "7"}, True), ({"id": "7", "more": ""}, True), ({"id": "8"}, False), ({}, False), ({"ID": "7"}, False)],
)
def test_a_query_may_have_more_parameters_than_the_rule(query: dict[str, str], expected: bool) -> None:
    """Each parameter of the rule must be there with its value."""
    assert expected is matches(FaultMatch(query={"id": "7"}), query)


@pytest.mark.parametrize(
    ("pattern", "body", "expected"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, True),
        ({"a": 1}, {"b": 2}, False),
        ({"a": 1}, {"a": True}, False),
        ({"a": True}, {"a": 1}, False),
        ({"a": False}, {"a": 0}, False),
        ({"a": 1}, {"a": 1.0}, True),
        ({"a": 1}, {"a": "1"}, False),
        ({"a": None}, {"a": None}, True),
        ({"a": None}, {}, False),
        ({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}, "d": 3}, True),
        ({"a": {"b": 1}}, {"a": {"c": 1}}, False),
        ({"a": {"b": 1}}, {"a": [{"b": 1}]}, False),
        ({"a": [1, 2]}, {"a": [1, 2]}, True),
        ({"a": [1, 2]}, {"a": [1, 2, 3]}, False),
        ({"a": [1]}, {"a": [True]}, False),
        ({"a": "x"}, ["a"], False),
        ({"a": "x"}, None, False),
        ({"a": "x"}, "a", False),
    ],
)
def test_a_body_may_have_more_keys_than_the_rule(pattern: dict[str, object], body: object, expected: bool) -> None:
    """At every depth; all else must be equal, and true is not 1."""
    assert expected is matches(FaultMatch(body=pattern), body=body)


BY_NAME_AND_ID = {
    "template": ("mac", "other"),
    "node": ("alpha", "beta"),
    "group": ("first", "second"),
}


@pytest.mark.parametrize("key", BY_NAME_AND_ID)
@pytest.mark.parametrize("by_id", [False, True])
def test_template_node_and_group_are_matched_by_name_and_by_id(key: str, by_id: bool) -> None:
    """Another name or id does not match."""
    controller = build_controller(SCENARIO)
    entities: dict[str, Mapping[str, Any]] = {
        "template": controller.templates,
        "node": controller.nodes,
        "group": controller.groups,
    }
    ids = {entity.name: id for id, entity in entities[key].items()}
    right, wrong = (ids[name] if by_id else name for name in BY_NAME_AND_ID[key])
    event = ("pull", None, node_named(controller), version_ref(controller))

    assert FaultMatch(event="pull", **{key: right}).matches_event(controller, *event)  # type: ignore[arg-type]
    assert not FaultMatch(event="pull", **{key: wrong}).matches_event(controller, *event)  # type: ignore[arg-type]


def test_a_tag_matches_its_version_only() -> None:
    """Not the other versions of the template."""
    controller = build_controller(SCENARIO)
    base, tools = version_ref(controller, serial=0), version_ref(controller)
    match = FaultMatch(event="pull", tag="base")

    assert [True, False] == [match.matches_event(controller, "pull", None, None, ref) for ref in (base, tools)]
    assert not match.matches_event(controller, "pull", None, None, None)


def test_a_group_matches_that_of_the_node_or_of_the_request() -> None:
    """Without a node only the group of the request counts."""
    controller = build_controller(SCENARIO)
    plain, bound = start_instance(controller), start_instance(controller, within="second")
    match = FaultMatch(event="start", group="second")

    assert not match.matches_event(controller, "start", plain, None, plain.ref)
    assert match.matches_event(controller, "start", bound, None, bound.ref)
    assert match.matches_event(controller, "start", plain, node_named(controller, "beta"), plain.ref)
    assert not match.matches_event(controller, "start", plain, node_named(controller), plain.ref)


def test_an_instance_is_matched_by_id_name_and_external_id() -> None:
    """A rule that names several of them needs all."""
    controller = build_controller(SCENARIO)
    instance, other = start_instance(controller, name="build", external_id="7"), start_instance(controller)

    def matching(**fields: str) -> list[bool]:
        match = FaultMatch(event="start", **fields)  # type: ignore[arg-type]
        return [match.matches_event(controller, "start", it, None, it.ref) for it in (instance, other)]

    assert [[True, False]] * 3 == [matching(instance=instance.id), matching(name="build"), matching(external_id="7")]
    assert [False, False] == matching(name="build", external_id="8")
    assert [True, True] == matching(template="mac")


def test_a_rule_matches_its_event_only() -> None:
    """A rule for pulls does not match the boot of a VM."""
    controller = build_controller(SCENARIO)

    assert not FaultMatch(event="pull").matches_event(controller, "start", None, None, None)


def test_a_rule_does_not_match_what_an_event_does_not_have() -> None:
    """A rule that names an instance does not match an event without one."""
    controller = build_controller(SCENARIO)
    keys = ("instance", "name", "external_id", "template", "tag", "node", "group")

    assert [False] * 7 == [
        FaultMatch(event="pull", **{key: "x"}).matches_event(controller, "pull", None, None, None)  # type: ignore[arg-type]
        for key in keys
    ]


def test_a_lifecycle_fault_is_returned_and_logged() -> None:
    """The entry has the rule, the event, the instance and the node."""
    controller = build_controller(SCENARIO)
    controller.faults.add(make_rule("boom", FaultAction(fail="no"), match=FaultMatch(event="pull"), times=1))
    instance, alpha = start_instance(controller), node_named(controller)
    hit = apply_rules(controller, "pull", instance, alpha, instance.ref)
    (entry,) = [entry for entry in controller.log.since(0) if entry.what == "fault"]

    assert ("boom", FaultAction(fail="no")) == hit
    assert ("boom", {"at_event": "pull", "instance": instance.id, "node": alpha.id}) == (entry.subject, entry.detail)
    assert NO_HIT is apply_rules(controller, "pull", instance, alpha, instance.ref)
    assert 1 == count_log_entries(controller, "fault")


def test_an_amount_is_a_share_or_a_number_of_bytes() -> None:
    """40 % of 1000 bytes are 400; an amount is never more than the whole."""
    assert (400, 0, 7, 1000) == (
        Amount(0.4).of(1000),
        Amount(0.0).of(1000),
        Amount(0, 7).of(1000),
        Amount(0, 5000).of(1000),
    )


def test_the_keys_of_all_kinds_are_fields_of_the_action() -> None:
    """``for`` is called ``duration`` there, and ``set`` ``new_values``."""
    fields = set(FaultAction.__dataclass_fields__)
    kinds = [RESPONSE_FAULTS, *LIFECYCLE_FAULTS.values()]
    words = {word for table in kinds for kind, others in table.items() for word in (kind, *others)}

    names = {"for": "duration", "set": "new_values"}

    assert set() == {names.get(word, word) for word in words} - fields
