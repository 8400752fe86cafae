"""Faults of the event ``save_image``, and registries that are down or full."""

import pytest

from mockanka.units import SECOND
from tests.core.builders import WARM, build_controller, pass_time, save_instance, start_instances, template_named
from tests.core.fault_effects.helpers import REGISTRY_DOWN, add_fault, begin_push, remove_fault


def test_a_push_fails_at_a_share_of_its_length() -> None:
    """The request is in error with the message, and the instance is Started again."""
    controller = build_controller(WARM)
    _, expected = begin_push(build_controller(WARM))
    assert expected.until is not None
    add_fault(controller, "save_image", "{fail: no route, at: 50%}")
    instance, save = begin_push(controller)
    assert save.until is not None
    pushed_at = save.requested + 5 * SECOND

    assert (expected.until - pushed_at) // 2 == save.until - pushed_at
    pass_time(controller, 60)
    assert save.error is not None
    assert ("Started", "error", "no route") == (instance.state, save.status, save.error.message)
    assert 2 == len(template_named(controller).versions)


def test_a_stall_with_a_duration_lengthens_a_push() -> None:
    """The stall is added to the push."""
    _, expected = begin_push(build_controller(WARM))
    controller = build_controller(WARM)
    add_fault(controller, "save_image", "{stall: true, for: 30s}")
    _, save = begin_push(controller)

    assert (expected.until or 0) + 30 * SECOND == save.until
    pass_time(controller, 100)
    assert "done" == save.status


def test_a_stalled_push_continues_when_its_rule_is_removed() -> None:
    """While it is stalled it is pending, and the next request to its target waits; released, both are done."""
    controller = build_controller(WARM)
    rule = add_fault(controller, "save_image", "{stall: true}", times=1)
    first, second = start_instances(controller, count=2)
    pass_time(controller, 100)
    saves = [save_instance(controller, first, tag="a"), save_instance(controller, second, tag="b")]
    pass_time(controller, 1000)
    before = [save.status for save in saves]
    remove_fault(controller, rule)
    pass_time(controller, 100)

    assert (["pending", "pending"], ["done", "done"]) == (before, [save.status for save in saves])


@pytest.mark.parametrize(("what", "message"), [("down", REGISTRY_DOWN), ("full", "no space left on the registry")])
def test_a_push_fails_at_a_registry_that_is_down_or_full(what: str, message: str) -> None:
    """If the registry is down or full when the push would begin, the request is in error, and the instance Started."""
    controller = build_controller(WARM)
    instance, save = begin_push(controller, 2)
    add_fault(controller, "begin", f"{{registry: {what}}}")
    pass_time(controller, 10)

    assert save.error is not None
    assert ("Started", message) == (instance.state, save.error.message)


@pytest.mark.parametrize(("what", "status"), [("down", "error"), ("full", "done")])
def test_a_push_in_progress_fails_when_the_registry_goes_down(what: str, status: str) -> None:
    """Down ends the push at once; full matters at the beginning of a push only."""
    controller = build_controller(WARM)
    instance, distribution = begin_push(controller)
    add_fault(controller, "begin", f"{{registry: {what}}}")
    pass_time(controller, 0)

    assert ("error" if what == "down" else "pending") == distribution.status
    pass_time(controller, 30)
    assert status == distribution.status
    assert ("Started" if status == "error" else "gone") == instance.state
