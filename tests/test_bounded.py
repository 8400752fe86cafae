"""The dictionary with a limit."""

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
