"""The list of instances."""

from __future__ import annotations

from tests.control.client import ControlClient


def test_instances_are_listed_with_what_they_wait_for(control: ControlClient) -> None:
    """Each instance has its state and what it waits for, as its timeline has them."""
    id = control.start(name="build-7", external_id="job-7")
    queued = control.send("GET", "instances").get_json()["instances"][-1]
    timeline = control.send("GET", f"instances/{id}").get_json()
    control.advance(until={"instance": id, "state": "Started"})
    started = control.send("GET", "instances").get_json()["instances"][-1]

    assert (id, "build-7", "job-7", "Scheduling") == tuple(
        queued[key] for key in ("id", "name", "external_id", "state")
    )
    assert queued == {key: timeline[key] for key in queued}
    assert queued["waits_for"].startswith("is queued until")
    assert ("Started", None) == (started["state"], started["waits_for"])
    assert started["node"] in [node.name for node in control.controller.nodes.values()]
