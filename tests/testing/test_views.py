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
    """Neither what is seen nor the collection can be changed."""
    node, template, instance = anka.nodes["mini-01"], anka.templates[TEMPLATE], anka.instances["nightly"]
    for view in (node, template, instance, instance.timeline[0], instance.ports[0]):
        with pytest.raises(FrozenInstanceError):
            view.name = "other"  # type: ignore[misc,union-attr]
    with pytest.raises(TypeError):
        anka.nodes["mini-01"] = node  # type: ignore[index]


def test_an_event_cannot_be_changed_by_who_looks_at_it(anka: Anka) -> None:
    """Whatever is done to the detail of an event that was looked at, the log stays as it is."""
    start(anka)
    detail: Any = anka.events[0].detail
    before = dict(detail)
    with suppress(TypeError):
        detail["state"] = "forged"

    assert before == anka.events[0].detail


def test_an_instance_is_seen_with_all_that_is_known_of_it(anka: Anka) -> None:
    """Names, places, addresses, times and who started it."""
    group = next(each["id"] for each in anka.dump()["groups"] if each["name"] == "ios")
    one = anka.wait(start(anka, name="build", external_id="job-7", group_id=group, metadata={"pipeline": "x"}))

    assert ("Started", "", TEMPLATE, "xcode-15") == (one.state, one.message, one.template, one.tag)
    assert ("build", "job-7", "ios", {"pipeline": "x"}) == (one.name, one.external_id, one.group, one.metadata)
    assert ("mini-02", anka.nodes["mini-02"].id) == (one.node, one.node_id)
    assert ("192.168.64.2", "10.0.0.12") == (one.ip, one.host_ip)
    assert [("ssh", 22, "tcp")] == [(port.name, port.guest, port.protocol) for port in one.ports]
    assert (START, 1, None) == (one.created, one.started_by, one.waits_for)


def test_an_instance_that_is_not_started_shows_no_addresses(anka: Anka) -> None:
    """Blank and empty, as the controller has them; and in words what it waits for."""
    one = anka.instances[start(anka)]

    assert ("", "", ()) == (one.ip, one.host_ip, one.ports)
    assert (None, None) == (one.node, one.node_id)
    assert "is queued until 2024-01-01T00:00:01Z" == one.waits_for


def test_a_pull_shows_its_progress() -> None:
    """A share from 0 to 1 that grows with time."""
    scenario = {**SMALL, "nodes": [{"name": "only", "capacity": 2}]}
    with mockanka.serve(scenario, clock="manual") as anka:
        one = anka.wait(start(anka), "Pulling")
        anka.clock.advance("40s")

        assert 0.0 == one.progress
        assert pytest.approx(0.5) == anka.instances[one.id].progress
        assert "pulls to node only, 50%" in str(anka.instances[one.id].waits_for)


def test_the_timeline_tells_each_state_from_when_to_when_and_why(anka: Anka) -> None:
    """States follow each other without a gap; the present one has no end."""
    id = start(anka)
    anka.wait(id)
    anka.fail(id, "boom")
    timeline = anka.instances[id].timeline
    up = START + timedelta(seconds=21)

    assert [("Scheduling", START, up), ("Started", up, up), ("Error", up, None)] == [
        (stay.state, stay.start, stay.end) for stay in timeline
    ]
    assert ["requested", "VM is up"] == [stay.cause for stay in timeline[:2]]


def test_the_timeline_is_told_after_the_instance_is_forgotten(anka: Anka) -> None:
    """By its id, as the control API tells it; it is not among those that are there."""
    id = start(anka, name="mine")
    anka.wait(id)
    send(anka, "DELETE", json={"id": id})
    anka.clock.advance("10m")
    there = anka.instances

    expected = ["Scheduling", "Started", "Terminating", "Terminated", "gone"]
    assert expected == [stay.state for stay in there[id].timeline]
    assert (False, False, None, 1) == (id in there, id in list(there), there.get(id), len(there))
    assert there.get(next(iter(there))) is not None
    with pytest.raises(KeyError, match="there is no instance 'mine'"):
        there["mine"]
    with pytest.raises(KeyError, match="there is no instance"):
        anka.fail(id)
    anka.reset()
    with pytest.raises(KeyError, match="there is no instance"):
        there[id]


def test_nodes_and_templates_are_seen_as_they_are_now(anka: Anka) -> None:
    """A view that is looked at anew shows what changed since; one that was kept does not."""
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


def test_things_are_found_by_id_and_by_name(anka: Anka) -> None:
    """Both lead to the same thing; iterating gives ids."""
    for views, name in ((anka.nodes, "mini-01"), (anka.templates, TEMPLATE), (anka.instances, "nightly")):
        found = views[name]
        assert found == views[found.id]
        assert found.id in list(views)
        assert found in list(views.values())
        assert name in views
        assert "nowhere" not in views
    assert (2, 2, 1) == (len(anka.nodes), len(anka.templates), len(anka.instances))
    assert repr(anka.nodes["mini-01"]) in repr(anka.nodes)


def test_a_name_that_several_have_is_a_key_error_that_says_so(anka: Anka) -> None:
    """Two instances of one name are told apart by id only."""
    ids = [start(anka, name="twin") for _ in range(2)]
    with pytest.raises(KeyError, match="there is no instance 'twin': it is the name of several"):
        anka.instances["twin"]

    assert ids == [anka.instances[id].id for id in ids]


def test_an_unknown_name_is_a_key_error_that_names_the_nearest(anka: Anka) -> None:
    """The nearest name there is stands at the end of the message."""
    with pytest.raises(KeyError, match="there is no node 'mini-1': did you mean 'mini-01'"):
        anka.nodes["mini-1"]
    with pytest.raises(KeyError, match=f"there is no template '14.5': did you mean '{TEMPLATE}'|known are"):
        anka.templates["14.5"]
    with pytest.raises(KeyError, match="there is no instance 'nightl': did you mean 'nightly'"):
        anka.instances["nightl"]


def test_going_through_views_survives_what_is_gone_meanwhile() -> None:
    """Values are as they were at one moment: what goes while a test walks over them is no error."""
    scenario = {**SMALL, "instances": [{"template": "macos", "node": "only", "count": 2}]}
    with mockanka.serve(scenario, clock="manual") as anka:
        walk = iter(anka.instances.values())
        first = next(walk)
        for id in list(anka.instances):
            anka.vanish(id)

        assert ["Started", "Started"] == [first.state, *(each.state for each in walk)]
        assert 0 == len(anka.instances)


def test_events_tell_what_happened(anka: Anka) -> None:
    """Newest last, numbered, each with its moment and its detail."""
    id = start(anka)
    anka.wait(id)
    events = [event for event in anka.events if event.subject == id]

    assert [1, 2, 3, 4] == [event.number for event in anka.events]
    assert [("instance", "Scheduling"), ("instance", "Started")] == [
        (event.event, event.detail["state"]) for event in events if event.event == "instance"
    ]
    assert START + timedelta(seconds=21) == events[-1].at
    assert f"2024-01-01T00:00:21.000+00:00 instance {id} state: Started, cause: VM is up" == str(events[-1])
