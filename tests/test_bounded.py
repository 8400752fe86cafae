"""The dictionary with a limit."""

import copy
import pickle
from collections.abc import Callable

import pytest

from mockanka.bounded import BoundedDict


def test_the_oldest_key_is_dropped() -> None:
    """Beyond the limit each new key drops the one that was added first."""
    kept: BoundedDict[str, int] = BoundedDict(2)
    for number, key in enumerate("abc"):
        kept[key] = number

    assert {"b": 1, "c": 2} == kept


def test_a_new_value_drops_nothing_and_does_not_make_a_key_younger() -> None:
    """Only the order in which keys are added counts."""
    kept: BoundedDict[str, int] = BoundedDict(2)
    for number, key in enumerate("abac"):
        kept[key] = number

    assert {"b": 1, "c": 3} == kept


@pytest.mark.parametrize("make_copy", [copy.copy, copy.deepcopy, lambda kept: pickle.loads(pickle.dumps(kept))])
def test_a_copy_has_the_same_keys_and_limit(
    make_copy: Callable[[BoundedDict[str, int]], BoundedDict[str, int]],
) -> None:
    """A new key of the copy drops the oldest one, and only there."""
    kept: BoundedDict[str, int] = BoundedDict(2)
    kept["a"], kept["b"] = 1, 2
    copied = make_copy(kept)
    copied["c"] = 3

    assert {"a": 1, "b": 2} == kept
    assert {"b": 2, "c": 3} == copied
