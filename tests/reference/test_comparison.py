"""The comparison of responses finds every difference."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy

import pytest

from tests.reference.comparison import (
    MISSING,
    Rule,
    additional,
    are_new_ids,
    differences,
    is_new_id,
    is_not_before,
    is_not_served,
    is_same_instant,
    is_share,
)
from tests.reference.examples import Example
from tests.reference.test_examples import by_example


def mistakes_in(value: object) -> Iterator[tuple[str, object]]:
    """Yield the value with one mistake, of every kind and in every place, with a label."""
    if value is not None:
        yield "null", None
    match value:
        case None:
            yield "no null", ""
        case dict():
            yield "one key more", {**value, "planted": 1}
            for key, inner in value.items():
                yield f"{key}: missing", {other: value[other] for other in value if other != key}
                yield from ((f"{key}: {label}", {**value, key: wrong}) for label, wrong in mistakes_in(inner))
        case list():
            for place, inner in enumerate(value):
                before, after = value[:place], value[place + 1 :]
                yield f"{place}: missing", before + after
                yield f"{place}: twice", [*before, inner, inner, *after]
                yield from ((f"{place}: {label}", [*before, wrong, *after]) for label, wrong in mistakes_in(inner))
        case bool():
            yield "other value", not value
            yield "other type", int(value)
        case int() | float():
            yield "other value", value + 1
            yield "other type", str(value)
            yield "other type", bool(value)
        case str():
            yield "other value", f"{value}x"
            yield "other type", 0


@by_example
def test_a_planted_mistake_is_found(example: Example) -> None:
    """A wrong value or type, and a missing or additional key, are found wherever they are in a response."""
    assert differences(example.response, deepcopy(example.response), may_have_more=example.may_have_more) == []
    mistakes = list(mistakes_in(example.response))
    assert len(mistakes) > 2 * len(example.response)
    assert [
        label
        for label, wrong in mistakes
        if not differences(example.response, wrong, may_have_more=example.may_have_more)
    ] == []


def test_additional_items_are_found_unless_the_list_may_have_more() -> None:
    """Additional items may be in the body of an example that is a list, and nowhere else."""
    expected = {"body": [{"id": "a", "ports": [{"id": "p"}]}]}
    with_item = {"body": [*expected["body"], {"id": "b", "ports": []}]}
    deeper = {"body": [{"id": "a", "ports": [{"id": "p"}, {"id": "q"}]}]}
    assert differences(expected, with_item, may_have_more=True) == []
    assert len(differences(expected, with_item)) == 1
    assert len(differences(expected, deeper, may_have_more=True)) == 1


def test_the_order_of_items_matters_only_without_ids() -> None:
    """Items with ids are found in any place, texts must keep theirs."""
    assert differences({"body": [{"id": "a"}, {"id": "b"}]}, {"body": [{"id": "b"}, {"id": "a"}]}) == []
    assert len(differences({"images": ["a", "b"]}, {"images": ["b", "a"]})) == 2


def test_numbers_have_one_type() -> None:
    """0 and 0.0 are equal, and neither is false, null or a text."""
    assert differences({"progress": 0}, {"progress": 0.0}) == []
    assert all(differences({"progress": 0}, {"progress": other}) for other in (False, None, "0", 0.5))


@pytest.mark.parametrize(
    ("rule", "expected", "right", "wrong"),
    [
        (is_not_before, "2019-12-25T16:06:20.7Z", "2019-12-25T16:06:20.700000001Z", "2019-12-25T16:06:20.699999999Z"),
        (is_not_before, "2019-12-25T16:06:20.7Z", "2019-12-25T16:06:20.7Z", "2019-12-26T16:06:20.7"),
        (is_not_before, "2019-12-25T16:06:20.7Z", "2020-01-01T00:00:00Z", None),
        (is_same_instant, "2019-12-26T17:48:50.5+02:00", "2019-12-26T15:48:50.5Z", "2019-12-26T17:48:50.5Z"),
        (is_same_instant, "2019-12-26T17:48:50.5+02:00", "2019-12-26T16:48:50.5+01:00", 1577375330),
        (is_new_id, "", "c983c3bf-a0c0-43dc-54dc-2fd9f7d62fce", "c983c3bf-a0c0-43dc-84dc-2fd9f7d62fce"),
        (is_new_id, "", "c983c3bf-a0c0-43dc-74dc-2fd9f7d62fce", "c983c3bf-a0c0-13dc-74dc-2fd9f7d62fce"),
        (is_new_id, "", "e74dfc0e-dc94-4ca2-575e-3219ac08ffa2", MISSING),
        (are_new_ids, [""], ["e74dfc0e-dc94-4ca2-575e-3219ac08ffa2"], ["e74dfc0e"]),
        (are_new_ids, [""], ["e74dfc0e-dc94-4ca2-575e-3219ac08ffa2"], "e74dfc0e-dc94-4ca2-575e-3219ac08ffa2"),
        (
            are_new_ids,
            ["", ""],
            ["e74dfc0e-dc94-4ca2-575e-3219ac08ffa2", "c983c3bf-a0c0-43dc-54dc-2fd9f7d62fce"],
            ["e74dfc0e-dc94-4ca2-575e-3219ac08ffa2", "e74dfc0e-dc94-4ca2-575e-3219ac08ffa2"],
        ),
        (is_share, 0.07, 0, 1.5),
        (is_share, 0.07, 0.1, "0.1"),
        (is_share, 0.07, 1, True),
        (is_not_served, "teamcity", MISSING, "teamcity"),
        (additional("there.ank"), MISSING, "there.ank", MISSING),
        (additional("there.ank"), MISSING, "there.ank", "other.ank"),
    ],
)
def test_a_value_that_is_left_out_has_a_shape(rule: Rule, expected: object, right: object, wrong: object) -> None:
    """A value that is not compared is checked by its rule."""
    assert differences({"body": expected}, {"body": right}, {"body": rule}) == []
    assert len(differences({"body": expected}, {"body": wrong}, {"body": rule})) == 1
