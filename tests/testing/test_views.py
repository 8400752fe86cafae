"""Views of instances, nodes, templates and events."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import FrozenInstanceError
from datetime import timedelta
from typing import Any

import pytest

import mockanka
from mockanka.testing.anka import Anka
from tests.testing.controller import (
    SMALL,
    START,
    TEMPLATE,
    send,
    start,
)


def test_views_are_read_only(anka: Anka) -> None:
    """Neither a view nor the collection can be changed."""
    node, template, instance = anka.nodes["mini-01"], anka.templates[TEMPLATE], anka.instances["nightly"]
    for view in (node, template, instance, instance.timeline[0], instance.ports[0]):
        with pytest.raises(FrozenInstanceError):
            view.name = "other"  # type: ignore[misc,union-attr]
    with pytest.raises(TypeError):
        anka.nodes["mini-01"] = node  # type: ignore[index]


def test_changing_an_event_does_not_change_the_log(anka: Anka) -> None:
    """The log stays the same, whatever is done to the detail of an event."""
    start(anka)
    detail: Any = anka.events[0].detail
    before = dict(detail)
    with suppress(TypeError):
        detail["state"] = "forged"

    assert before == anka.events[0].detail


def test_a_view_has_all_values_of_an_instance(anka: Anka) -> None:
    """It has names, places, addresses, times and the number of the request that started it."""
    group_id = next(group["id"] for group in anka.dump()["groups"] if group["name"] == "ios")
    instance = anka.wait(start(anka, name="build", external_id="job-7", group_id=group_id, metadata={"pipeline": "x"}))

    assert ("Started", "", TEMPLATE, "xcode-15") == (instance.state, instance.message, instance.template, instance.tag)
    assert ("build", "job-7", "ios", {"pipeline": "x"}) == (
        instance.name,
        instance.external_id,
        instance.group,
        instance.metadata,
    )
    assert ("mini-02", anka.nodes["mini-02"].id) == (instance.node, instance.node_id)
    assert ("192.168.64.2", "192.0.2.12") == (instance.ip, instance.host_ip)
    assert [("ssh", 22, "tcp")] == [(port.name, port.guest, port.protocol) for port in instance.ports]
    assert (START, 1, None) == (instance.created, instance.started_by, instance.waits_for)


def test_an_instance_that_is_not_started_shows_no_addresses(anka: Anka) -> None:
    """They are empty, as in the API; the view has the reason why the instance waits."""
    instance = anka.instances[start(anka)]

    assert ("", "", ()) == (instance.ip, instance.host_ip, instance.ports)
    assert (None, None) == (instance.node, instance.node_id)
    assert "is queued until 2024-01-01T00:00:01Z" == instance.waits_for


def test_a_pull_shows_its_progress() -> None:
    """It is a share from 0 to 1 that grows with time."""
    scenario = {**SMALL, "nodes": [{"name": "only", "capacity": 2}]}
    with mockanka.serve(scenario, clock="manual") as anka:
        instance = anka.wait(start(anka), "Pulling")
        anka.clock.advance("40s")

        assert 0.0 == instance.progress
        assert pytest.approx(0.5) == anka.instances[instance.id].progress
        assert "pulls to node only, 50%" in str(anka.instances[instance.id].waits_for)


def test_the_timeline_has_start_end_and_cause_of_each_state(anka: Anka) -> None:
    """States follow each other without a gap; the present state has no end."""
    id = start(anka)
    anka.wait(id)
    anka.fail(id, "boom")
    timeline = anka.instances[id].timeline
    up = START + timedelta(seconds=21)

    assert [("Scheduling", START, up), ("Started", up, up), ("Error", up, None)] == [
        (stay.state, stay.start, stay.end) for stay in timeline
    ]
    assert ["requested", "VM is up"] == [stay.cause for stay in timeline[:2]]


def test_the_timeline_can_be_read_after_the_instance_is_forgotten(anka: Anka) -> None:
    """It is found by id, as in the control API; the instance is not iterated."""
    id = start(anka, name="mine")
    anka.wait(id)
    send(anka, "DELETE", json={"id": id})
    anka.clock.advance("10m")
    views = anka.instances

    expected = ["Scheduling", "Started", "Terminating", "Terminated", "gone"]
    assert expected == [stay.state for stay in views[id].timeline]
    assert (False, False, None, 1) == (id in views, id in list(views), views.get(id), len(views))
    assert views.get(next(iter(views))) is not None
    with pytest.raises(KeyError, match="there is no instance 'mine'"):
        views["mine"]
    with pytest.raises(KeyError, match="there is no instance"):
        anka.fail(id)
    anka.reset()
    with pytest.raises(KeyError, match="there is no instance"):
        views[id]


def test_views_of_nodes_and_templates_are_current(anka: Anka) -> None:
    """Reading a view again shows later changes; a view that was kept does not change."""
    kept = anka.nodes["mini-02"]
    id = start(anka)
    anka.wait(id)
    node = anka.nodes["mini-02"]

    assert (0, ()) == (kept.running, kept.instances)
    assert (1, (id,)) == (node.running, node.instances)
    assert ("Active", 2, True, True) == (node.state, node.capacity, node.reports, node.takes_work)
    assert (("14.5-arm64:xcode-15",), ("ios",)) == (node.cached, node.groups)
    assert ("arm64", 28 * 10**9, ("vanilla", "xcode-15")) == (
        anka.templates[TEMPLATE].arch,
        anka.templates[TEMPLATE].size,
        anka.templates[TEMPLATE].tags,
    )


def test_entities_are_found_by_id_and_by_name(anka: Anka) -> None:
    """Both lead to the same entity; iterating gives ids."""
    for views, name in ((anka.nodes, "mini-01"), (anka.templates, TEMPLATE), (anka.instances, "nightly")):
        found = views[name]
        assert found == views[found.id]
        assert found.id in list(views)
        assert found in list(views.values())
        assert name in views
        assert "nowhere" not in views
    assert (2, 2, 1) == (len(anka.nodes), len(anka.templates), len(anka.instances))
    assert repr(anka.nodes["mini-01"]) in repr(anka.nodes)


def test_a_name_of_several_instances_is_a_key_error(anka: Anka) -> None:
    """Two instances with the same name are only found by id."""
    ids = [start(anka, name="twin") for _ in range(2)]
    with pytest.raises(KeyError, match="there is no instance 'twin': it is the name of several"):
        anka.instances["twin"]

    assert ids == [anka.instances[id].id for id in ids]


def test_an_unknown_name_is_a_key_error_that_names_the_nearest(anka: Anka) -> None:
    """The nearest name is at the end of the message."""
    with pytest.raises(KeyError, match="there is no node 'mini-1': did you mean 'mini-01'"):
        anka.nodes["mini-1"]
    with pytest.raises(KeyError, match=f"there is no template '14.5': did you mean '{TEMPLATE}'|known are"):
        anka.templates["14.5"]
    with pytest.raises(KeyError, match="there is no instance 'nightl': did you mean 'nightly'"):
        anka.instances["nightl"]


def test_iterating_over_views_does_not_fail_when_an_instance_is_forgotten() -> None:
    """All values are read at one moment."""
    scenario = {**SMALL, "instances": [{"template": "macos", "node": "only", "count": 2}]}
    with mockanka.serve(scenario, clock="manual") as anka:
        walk = iter(anka.instances.values())
        first = next(walk)
        for id in list(anka.instances):
            anka.vanish(id)

        assert ["Started", "Started"] == [first.state, *(instance.state for instance in walk)]
        assert 0 == len(anka.instances)


def test_events_are_numbered_newest_last(anka: Anka) -> None:
    """Each has its time and its detail."""
    id = start(anka)
    anka.wait(id)
    events = [event for event in anka.events if event.subject == id]

    assert [1, 2, 3, 4] == [event.number for event in anka.events]
    assert [("instance", "Scheduling"), ("instance", "Started")] == [
        (event.event, event.detail["state"]) for event in events if event.event == "instance"
    ]
    assert START + timedelta(seconds=21) == events[-1].at
    assert f"2024-01-01T00:00:21.000+00:00 instance {id} state: Started, cause: VM is up" == str(events[-1])
