"""Save image requests."""

import base64
from typing import Any

import pytest

from tests.api.client import INSTANCE, NODE, NOWHERE, OTHER_TEMPLATE, RELEASES, TEMPLATE, office, world
from tests.controllers import pass_time

TASK = """
RequestId Priority Timestamp RegistryAddr VMID InstanceID NodeID TemplateID NewTemplateName Tag Description Suspend
Script DoSuspendTest RevertBeforePush RevertTag
""".split()
SCRIPT = base64.b64encode(b"echo done").decode()


def test_a_request_answers_with_its_id_and_the_instance_is_pushing() -> None:
    """Saving hands back a request id, an object with one key; the instance is Pushing at once."""
    wire = office()
    made = wire.do("POST", "image", {"id": INSTANCE, "new_template_name": "saved"})

    assert list(made) == ["request_id"]
    assert wire.get("vm", f"id={INSTANCE}")["instance_state"] == "Pushing"


def test_a_request_shows_the_raw_task_in_its_order() -> None:
    """A request shows id, task, status and error; the task's keys are spelt and ordered as in the queue."""
    wire = office()
    asked = {
        "id": INSTANCE,
        "target_vm_id": TEMPLATE,
        "tag": "next",
        "description": "made by a test",
        "suspend": False,
        "script": SCRIPT,
        "revert_before_push": True,
        "revert_tag": "xcode-15",
        "do_suspend_sanity_test": True,
    }
    made = wire.do("POST", "image", asked)
    shown = wire.get("image", f"id={made['request_id']}")

    assert (list(shown), list(shown["request"])) == (["id", "request", "status", "error"], TASK)
    assert (made["request_id"], "pending", None) == (shown["id"], shown["status"], shown["error"])
    assert {
        "RequestId": made["request_id"],
        "Priority": 0,
        "Timestamp": 1704067200,
        "RegistryAddr": "http://anka.registry:8089",
        "VMID": wire.get("vm", f"id={INSTANCE}")["vminfo"]["uuid"],
        "InstanceID": INSTANCE,
        "NodeID": NODE,
        "TemplateID": TEMPLATE,
        "NewTemplateName": "",
        "Tag": "next",
        "Description": "made by a test",
        "Suspend": False,
        "Script": SCRIPT,
        "DoSuspendTest": True,
        "RevertBeforePush": True,
        "RevertTag": "xcode-15",
    } == shown["request"]
    assert [shown] == wire.get("image")


def test_without_requests_the_list_is_empty() -> None:
    """No requests is an empty array."""
    assert world("{}").get("image") == []


@pytest.mark.parametrize("blank", [{}, {"suspend": None, "tag": None, "script": None}, {"tag": "", "script": ""}])
def test_what_is_not_asked_for_has_its_default(blank: dict[str, Any]) -> None:
    """Saving suspends unless told otherwise; all else is off or blank; null and blank mean not given."""
    wire = office()
    wire.do("POST", "image", {"id": INSTANCE, "new_template_name": "saved", **blank})
    task = wire.get("image")[0]["request"]

    assert (task["Suspend"], task["DoSuspendTest"], task["RevertBeforePush"]) == (True, False, False)
    assert {""} == {task[key] for key in ("TemplateID", "Tag", "Description", "Script", "RevertTag")}


def test_a_request_ends_done_and_the_instance_is_gone() -> None:
    """Once pushed, the request is done, the tag is in the registry and the instance is not found any more."""
    wire = office()
    wire.do("POST", "image", {"id": INSTANCE, "target_vm_id": OTHER_TEMPLATE, "tag": "next"})
    pass_time(wire.controller, 3600)

    assert [(each["status"], each["error"]) for each in wire.get("image")] == [("done", None)]
    assert wire.get("registry/vm", f"id={OTHER_TEMPLATE}")["versions"][-1]["tag"] == "next"
    assert wire.ask("GET", "vm", query=f"id={INSTANCE}")["message"] == "Not found"


def test_a_push_changes_the_size_of_its_template() -> None:
    """The size of a template grows with what is pushed to it: clients look for that."""
    wire = office()
    before = wire.get("registry/vm")[0]["size"]
    wire.do("POST", "image", {"id": INSTANCE, "target_vm_id": TEMPLATE, "tag": "next"})
    pass_time(wire.controller, 3600)

    assert before < wire.get("registry/vm")[0]["size"]


def test_a_corrupt_script_ends_in_an_error_object() -> None:
    """A script that is no base64 is found out late: error is an object then, and the instance runs on."""
    wire = office()
    wire.do("POST", "image", {"id": INSTANCE, "new_template_name": "saved", "script": "!"})
    pass_time(wire.controller, 3600)
    (shown,) = wire.get("image")

    assert (
        shown["status"],
        shown["error"],
    ) == ("error", {"Message": "illegal base64 data at input byte 0", "Type": "base64.CorruptInputError"})
    assert list(shown["error"]) == ["Message", "Type"]
    assert wire.get("vm", f"id={INSTANCE}")["instance_state"] == "Started"


def test_an_error_of_another_kind_has_a_code() -> None:
    """What is no Go error comes with a code in place of a type."""
    wire = office()
    wire.do("POST", "image", {"id": INSTANCE, "target_vm_id": TEMPLATE, "tag": "vanilla"})
    pass_time(wire.controller, 3600)

    assert wire.get("image")[0]["error"] == {"Message": "tag vanilla already exists", "Code": 0}


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"id": NOWHERE}, "Not found"),
        ({"new_template_name": ""}, "One of target_vm_id and new_template_name is required"),
        ({"new_template_name": None, "target_vm_id": ""}, "One of target_vm_id and new_template_name is required"),
        ({"target_vm_id": NOWHERE}, "VM not in the registry"),
    ],
)
def test_saving_the_unknown_or_to_nowhere_is_refused(release: str, changed: dict[str, Any], message: str) -> None:
    """An unknown instance or template, or no target at all, fails, and the instance stays as it is."""
    wire = office(release)
    before = wire.state()
    body = {"id": INSTANCE, "new_template_name": "saved", **changed}

    assert {"status": "FAIL", "message": message} == wire.ask("POST", "image", body)
    assert before == wire.state()


@pytest.mark.parametrize("release", RELEASES)
def test_only_a_started_instance_is_saved(release: str) -> None:
    """An instance that is not running is refused, and the message says what it is instead."""
    wire = office(release)
    instance_id = wire.start(vmid=TEMPLATE)
    before = wire.state()
    answer = wire.ask("POST", "image", {"id": instance_id, "new_template_name": "saved"})

    assert answer == {"status": "FAIL", "message": "Instance is not running, its state is Scheduling"}
    assert before == wire.state()


@pytest.mark.parametrize("release", RELEASES)
def test_an_unknown_request_is_not_found(release: str) -> None:
    """Asking for a request that is not there fails with Not found."""
    assert office(release).ask("GET", "image", query=f"id={NOWHERE}") == {"status": "FAIL", "message": "Not found"}
