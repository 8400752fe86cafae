"""Fault rules by themselves: what they match, how often they strike, and what they count."""

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
    apply_rules,
)
from tests.core.builders import build_controller, count_log_entries, node_named, start_instance, version_ref

LAND = """
templates:
  - {name: mac, versions: [{tag: base, size: 10GB}, {tag: tools, size: 5GB}]}
  - {name: other, versions: [{tag: base, size: 1GB}]}
nodes:
  - {name: alpha, cached: [mac]}
  - {name: beta, cached: [mac]}
groups:
  - {name: mine, nodes: [alpha]}
  - {name: yours, nodes: [beta]}
"""


def rule(id: str = "r", do: FaultAction | None = None, **more: Any) -> FaultRule:
    return FaultRule(id, more.pop("match", FaultMatch()), do or FaultAction(status=500), **more)


def faults(*rules: FaultRule) -> FaultRules:
    made = FaultRules()
    for each in rules:
        made.add(each)
    return made


def ask(rules: FaultRules, method: str = "GET", path: str = "/api/v1/vm", seed: int = 0) -> str | None:
    """The id of the rule that strikes at a request without query or body."""
    struck = rules.match_request(seed, method, path, dict, lambda: None)
    return struck.id if struck else None


def meets(match: FaultMatch, query: Mapping[str, str] | None = None, body: object = None) -> bool:
    return match.matches_request("POST", "/api/v1/vm", lambda: query or {}, lambda: body)


def never_read() -> NoReturn:
    raise AssertionError("read for nothing")


def test_a_rule_without_limits_strikes_each_time() -> None:
    """What says nothing of how often strikes at everything it matches."""
    mine = rule()

    assert [True] * 5 == [mine.fires(0) for _ in range(5)]
    assert (5, 5) == (mine.matched, mine.applied)


def test_skip_lets_the_first_ones_through() -> None:
    """The first so many matches are counted, and not struck."""
    mine = rule(skip=2)

    assert [False, False, True, True] == [mine.fires(0) for _ in range(4)]
    assert (4, 2) == (mine.matched, mine.applied)


def test_times_ends_a_rule() -> None:
    """After so many strikes a rule only counts what it sees."""
    mine = rule(times=2)

    assert [True, True, False, False] == [mine.fires(0) for _ in range(4)]
    assert (4, 2) == (mine.matched, mine.applied)


def test_skip_and_times_together_are_a_window() -> None:
    """Skipped first, then struck so many times, then let through."""
    mine = rule(skip=1, times=2)

    assert [False, True, True, False] == [mine.fires(0) for _ in range(4)]


def test_probability_strikes_about_so_often() -> None:
    """A rule of 30% strikes at about three in ten."""
    mine = rule(probability=0.3)
    struck = sum(mine.fires(1) for _ in range(2000))

    assert 500 < struck < 700
    assert (2000, struck) == (mine.matched, mine.applied)


def test_probability_is_the_same_for_the_same_seed() -> None:
    """Draws hash seed, rule and count: the same seed gives the same strikes, another one others."""
    first, again, other = (rule(probability=0.5) for _ in range(3))
    expected = [first.fires(7) for _ in range(64)]

    assert expected == [again.fires(7) for _ in range(64)]
    assert expected != [other.fires(8) for _ in range(64)]


def test_a_rules_own_seed_beats_the_controllers() -> None:
    """With a seed of its own, a rule strikes at the same ones whatever the world's seed is."""
    first, again = rule(probability=0.5, seed=3), rule(probability=0.5, seed=3)
    plain = rule(probability=0.5)
    expected = [first.fires(1) for _ in range(64)]

    assert expected == [again.fires(2) for _ in range(64)]
    assert expected == [plain.fires(3) for _ in range(64)]


def test_two_rules_of_one_seed_are_independent() -> None:
    """The rule's id is part of the draw, so that two of them do not strike in step."""
    first, second = rule("a", probability=0.5), rule("b", probability=0.5)

    assert [first.fires(1) for _ in range(64)] != [second.fires(1) for _ in range(64)]


def test_skipped_matches_do_not_move_the_draws() -> None:
    """The draw belongs to the match's number: what is skipped does not shift what comes after it."""
    plain, skipping = rule(probability=0.5), rule(probability=0.5, skip=10)
    expected = [False] * 10 + [plain.fires(1) for _ in range(64)][10:]

    assert expected == [skipping.fires(1) for _ in range(64)]


def test_times_counts_strikes_not_matches() -> None:
    """A rule of some probability and three times goes on until it has struck three times."""
    mine = rule(probability=0.2, times=3)

    assert 3 == sum(mine.fires(5) for _ in range(1000))


def test_the_first_that_fires_decides() -> None:
    """Rules are asked in the order in which they were added; those behind the one that fired are not asked."""
    rules = faults(rule("first", times=1), rule("second"))

    assert ["first", "second", "second"] == [ask(rules) for _ in range(3)]
    first, second = rules
    assert ((3, 1), (2, 2)) == ((first.matched, first.applied), (second.matched, second.applied))


def test_a_rule_that_does_not_match_counts_nothing() -> None:
    """What a rule is not about is not seen by it."""
    rules = faults(rule("posts", match=FaultMatch(method="POST")), rule("rest"))

    assert ["rest", "posts"] == [ask(rules, "GET"), ask(rules, "POST")]
    assert [(1, 1), (1, 1)] == [(each.matched, each.applied) for each in rules]


def test_no_rule_no_strike() -> None:
    """Without rules nothing is struck, and nothing is read."""
    assert None is FaultRules().match_request(0, "GET", "/", never_read, never_read)


def test_rules_of_life_are_not_asked_at_the_door() -> None:
    """A rule with an event strikes there only."""
    rules = faults(rule(match=FaultMatch(event="pull")))

    assert None is ask(rules)
    assert (True, False) == (rules.has_lifecycle_rules, rules.has_response_rules)


def test_rules_are_known_by_where_they_strike() -> None:
    """Who asks knows beforehand whether there is any rule for life, or for the door; also when some are removed."""
    rules = faults(rule("life", match=FaultMatch(event="pull")), rule("door"))
    both = (rules.has_lifecycle_rules, rules.has_response_rules)
    rules.remove("life")

    assert ((True, True), (False, True)) == (both, (rules.has_lifecycle_rules, rules.has_response_rules))
    rules.remove("door")
    assert (False, False, 0) == (rules.has_lifecycle_rules, rules.has_response_rules, len(rules))


def test_ids_count_all_there_ever_were() -> None:
    """An id is not used again when its rule is gone, and one that was given away is passed over."""
    rules = faults(rule("fault-1"), rule("fault-3"))

    assert "fault-4" == rules.next_id()
    rules.remove("fault-3")
    assert "fault-3" == rules.next_id()
    assert (None, "fault-1") == (rules.get("fault-3"), rules.get("fault-1").id)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("path", "asked", "expected"),
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
def test_a_star_in_a_path_stands_for_anything(path: str, asked: str, expected: bool) -> None:
    """A path is the whole path, letter by letter; ``*`` is any part of it, also with slashes."""
    assert expected is FaultMatch(path=path).matches_request("GET", asked, never_read, never_read)


def test_query_and_body_are_read_only_when_they_matter() -> None:
    """Who matches by method or path does not cost the reading of a body; nor does who does not match by them."""
    assert FaultMatch(method="POST").matches_request("POST", "/", never_read, never_read)
    assert not FaultMatch(method="GET", query={"a": "b"}, body={"c": 1}).matches_request(
        "POST", "/", never_read, never_read
    )
    assert not FaultMatch(query={"a": "b"}, body={"c": 1}).matches_request("POST", "/", dict, never_read)


@pytest.mark.parametrize(
    ("query", "expected"),
    [({"id": "7"}, True), ({"id": "7", "more": ""}, True), ({"id": "8"}, False), ({}, False), ({"ID": "7"}, False)],
)
def test_a_query_has_what_is_named_among_whatever_else(query: dict[str, str], expected: bool) -> None:
    """Each named parameter must be there with that value."""
    assert expected is meets(FaultMatch(query={"id": "7"}), query)


@pytest.mark.parametrize(
    ("wanted", "there", "expected"),
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
def test_a_body_has_what_is_named_among_whatever_else(wanted: dict[str, object], there: object, expected: bool) -> None:
    """Objects may have more keys, at every depth; all else is equal or not, and true is not 1, however deep."""
    assert expected is meets(FaultMatch(body=wanted), body=there)


BY_NAME_AND_ID = {
    "template": ("mac", "other"),
    "node": ("alpha", "beta"),
    "group": ("mine", "yours"),
}


@pytest.mark.parametrize("key", BY_NAME_AND_ID)
@pytest.mark.parametrize("by_id", [False, True])
def test_template_node_and_group_are_matched_by_name_and_by_id(key: str, by_id: bool) -> None:
    """Either says which one is meant; another one is not."""
    controller = build_controller(LAND)
    things: dict[str, Mapping[str, Any]] = {
        "template": controller.templates,
        "node": controller.nodes,
        "group": controller.groups,
    }
    ids = {each.name: id for id, each in things[key].items()}
    right, wrong = (ids[name] if by_id else name for name in BY_NAME_AND_ID[key])
    event = ("pull", None, node_named(controller), version_ref(controller))

    assert FaultMatch(event="pull", **{key: right}).matches_event(controller, *event)  # type: ignore[arg-type]
    assert not FaultMatch(event="pull", **{key: wrong}).matches_event(controller, *event)  # type: ignore[arg-type]


def test_a_tag_is_that_of_the_version_in_question() -> None:
    """A tag matches the version that is pulled or started, not all of its template's."""
    controller = build_controller(LAND)
    base, tools = version_ref(controller, serial=0), version_ref(controller)
    match = FaultMatch(event="pull", tag="base")

    assert [True, False] == [match.matches_event(controller, "pull", None, None, ref) for ref in (base, tools)]
    assert not match.matches_event(controller, "pull", None, None, None)


def test_a_group_is_the_nodes_or_the_one_asked_for() -> None:
    """While an instance has no node, its group is the one it was asked into; then its node's groups count too."""
    controller = build_controller(LAND)
    plain, bound = start_instance(controller), start_instance(controller, within="yours")
    match = FaultMatch(event="start", group="yours")

    assert not match.matches_event(controller, "start", plain, None, plain.ref)
    assert match.matches_event(controller, "start", bound, None, bound.ref)
    assert match.matches_event(controller, "start", plain, node_named(controller, "beta"), plain.ref)
    assert not match.matches_event(controller, "start", plain, node_named(controller), plain.ref)


def test_an_instance_is_matched_by_id_name_and_external_id() -> None:
    """Each of the three says which one is meant; all that are given must be right."""
    controller = build_controller(LAND)
    mine, other = start_instance(controller, name="mine", external_id="7"), start_instance(controller)

    def met(**wanted: str) -> list[bool]:
        match = FaultMatch(event="start", **wanted)  # type: ignore[arg-type]
        return [match.matches_event(controller, "start", each, None, each.ref) for each in (mine, other)]

    assert [[True, False]] * 3 == [met(instance=mine.id), met(name="mine"), met(external_id="7")]
    assert [False, False] == met(name="mine", external_id="8")
    assert [True, True] == met(template="mac")


def test_an_event_is_only_met_by_its_own_rules() -> None:
    """A rule for pulls is not asked when a VM boots."""
    controller = build_controller(LAND)

    assert not FaultMatch(event="pull").matches_event(controller, "start", None, None, None)


def test_what_is_not_known_at_an_event_is_not_met() -> None:
    """A rule that names an instance does not strike where there is none."""
    controller = build_controller(LAND)
    keys = ("instance", "name", "external_id", "template", "tag", "node", "group")

    assert [False] * 7 == [
        FaultMatch(event="pull", **{key: "x"}).matches_event(controller, "pull", None, None, None)  # type: ignore[arg-type]
        for key in keys
    ]


def test_strike_says_what_the_rule_does_and_notes_it() -> None:
    """A strike in life is told in the log, with the rule, the event, the instance and the node."""
    controller = build_controller(LAND)
    controller.faults.add(rule("boom", FaultAction(fail="no"), match=FaultMatch(event="pull"), times=1))
    mine, alpha = start_instance(controller), node_named(controller)
    blow = apply_rules(controller, "pull", mine, alpha, mine.ref)
    (line,) = [each for each in controller.log.since(0) if each.what == "fault"]

    assert ("boom", FaultAction(fail="no")) == blow
    assert ("boom", {"at_event": "pull", "instance": mine.id, "node": alpha.id}) == (line.subject, line.detail)
    assert NO_HIT is apply_rules(controller, "pull", mine, alpha, mine.ref)
    assert 1 == count_log_entries(controller, "fault")


def test_a_part_is_a_share_or_a_number_of_bytes() -> None:
    """40% of 1000 bytes are 400; so many bytes are never more than there are."""
    assert (400, 0, 7, 1000) == (
        Amount(0.4).of(1000),
        Amount(0.0).of(1000),
        Amount(0, 7).of(1000),
        Amount(0, 5000).of(1000),
    )


def test_what_goes_with_a_kind_is_something_that_can_be_done() -> None:
    """Every word of the two tables is a field of Do; ``for`` is called ``lasts`` there."""
    fields = set(FaultAction.__dataclass_fields__)
    kinds = [RESPONSE_FAULTS, *LIFECYCLE_FAULTS.values()]
    words = {word for table in kinds for kind, others in table.items() for word in (kind, *others)}

    assert set() == {"duration" if word == "for" else word for word in words} - fields
