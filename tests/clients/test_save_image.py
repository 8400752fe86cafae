"""Jenkins saves its VM as a new tag: the only client that does (controller-facts D1)."""

from __future__ import annotations

import json

import pytest

from mockanka import Anka
from tests.clients.clients import BEFORE_1_24, by_release
from tests.clients.jenkins import Jenkins

TEMPLATE = "14.5-arm64"
REFUSED = {True: "Failed to terminate VM instance: Not found", False: "HTTP 400"}
"""Lines that Jenkins writes when its DELETE comes after its instance was saved, by whether failures have status 200."""


def jenkins(anka: Anka) -> Jenkins:
    """Return the plugin with the template."""
    return Jenkins(anka, vmid=anka.templates[TEMPLATE].id)


@pytest.mark.parametrize("release", by_release())
def test_saving_is_supported(anka: Anka, release: str) -> None:
    """The page with the settings finds the tags, and that images can be saved."""
    client = jenkins(anka)

    assert ["vanilla", "xcode-15"] == client.configure()
    assert [] == client.log


@pytest.mark.parametrize("release", by_release())
def test_an_image_is_saved(anka: Anka, release: str) -> None:
    """The push is done within the two hours that it waits; the new tag is the last, and the instance is gone."""
    client = jenkins(anka)
    machine = client.start()
    client.job_starts(machine)

    assert {"jenkins-job-id": "app #7"} == anka.instances[machine.id].metadata
    assert "done" == client.save_image(machine, "saved_20240101000000")
    assert [REFUSED[release in BEFORE_1_24]] == client.log
    assert ["vanilla", "xcode-15", "saved_20240101000000"] == client.tags()
    assert machine.id not in client.list_all(fresh=True)


@pytest.mark.anka(clock="manual")
def test_a_save_has_the_fields_of_the_record(anka: Anka) -> None:
    """The fields and values are those on record; a tag to replace is only sent if there is one."""
    client = jenkins(anka)
    machine = client.start()
    client.save_image(machine, "saved")
    client.save_image(client.start(), "saved-2", delete_latest=True)
    first, second = anka.requests.where(method="POST", path="/api/v1/image")
    template = anka.templates[TEMPLATE].id
    expected = {
        "id": machine.id,
        "target_vm_id": template,
        "tag": "saved",
        "description": "saved by Jenkins",
        "suspend": False,
        "script": "c3luYyAmJiBzbGVlcCA2MA==",
        "do_suspend_sanity_test": True,
    }

    assert json.dumps(expected) == json.dumps(first.body)
    assert {"revert_before_push": True, "revert_tag": "saved"}.items() <= second.body.items()
    assert expected.keys() | {"revert_before_push", "revert_tag"} == second.body.keys()


@pytest.mark.parametrize("release", by_release())
def test_the_latest_tag_can_be_replaced(anka: Anka, release: str) -> None:
    """Asked to delete the latest tag, the plugin sends it, and the push replaces it."""
    client = jenkins(anka)
    machine = client.start()

    assert "done" == client.save_image(machine, "xcode-16", delete_latest=True)
    assert ["vanilla", "xcode-16"] == client.tags()
    anka.requests.expect(
        path="/api/v1/image", method="POST", body={"revert_before_push": True, "revert_tag": "xcode-15"}
    )


@pytest.mark.parametrize("release", by_release())
def test_a_push_fails(anka: Anka, release: str) -> None:
    """The request is in error, the registry has no new tag, and the instance still exists and can be terminated."""
    anka.faults.add(match={"event": "save_image"}, do={"fail": "push failed", "at": "80%"})
    client = jenkins(anka)
    machine = client.start()

    assert "error" == client.save_image(machine, "saved")
    assert ["vanilla", "xcode-15"] == client.tags()
    client.end(machine)
    assert "Terminating" == anka.instances[machine.id].state


@pytest.mark.parametrize("release", by_release())
def test_a_push_that_never_ends_is_given_up(anka: Anka, release: str) -> None:
    """The plugin polls every 20 s; after two hours it stops, with the status pending."""
    anka.faults.add(match={"event": "save_image"}, do={"stall": True})
    client = jenkins(anka)
    machine = client.start()

    assert "pending" == client.save_image(machine, "saved")
    (save,) = anka.requests.where(method="POST", path="/api/v1/image")
    polls = anka.requests.where(method="GET", path="/api/v1/image")
    assert [20.0 * number for number in range(1, 361)] == [(poll.at - save.at).total_seconds() for poll in polls]
    assert "Pushing" == anka.instances[machine.id].state


@pytest.mark.parametrize("release", by_release())
def test_errors_while_it_polls_count_as_pending(anka: Anka, release: str) -> None:
    """Three failures of a gateway change nothing; the last line is that of the DELETE of an instance that is gone."""
    anka.faults.add(match={"method": "GET", "path": "/api/v1/image"}, do={"status": 502}, times=3)
    client = jenkins(anka)

    assert "done" == client.save_image(client.start(), "saved")
    assert [*["HTTP 502"] * 3, REFUSED[release in BEFORE_1_24]] == client.log
