"""Save image requests."""

import base64
from typing import Any

import pytest

from tests.api.client import INSTANCE, NEW, NODE, OTHER_TEMPLATE, RELEASES, TEMPLATE, UNKNOWN_ID, api_of, default_api
from tests.controllers import pass_time

TASK = """
RequestId Priority Timestamp RegistryAddr VMID InstanceID NodeID TemplateID NewTemplateName Tag Description Suspend
Script DoSuspendTest RevertBeforePush RevertTag
""".split()
SCRIPT = base64.b64encode(b"echo done").decode()


def test_a_request_answers_with_its_id_and_the_instance_is_pushing() -> None:
    """POST answers with the id of the request and nothing else; the instance is Pushing at once."""
    api = default_api()
    created = api.perform("POST", "image", {"id": INSTANCE, "new_template_name": "saved"})

    assert list(created) == ["request_id"]
    assert api.get("vm", f"id={INSTANCE}")["instance_state"] == "Pushing"


def test_a_request_shows_the_raw_task_in_its_order() -> None:
    """A request has id, task, status and error; the keys of the task are spelt and ordered as in the queue."""
    api = default_api()
    fields = {
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
    created = api.perform("POST", "image", fields)
    save = api.get("image", f"id={created['request_id']}")

    assert (list(save), list(save["request"])) == (["id", "request", "status", "error"], TASK)
    assert (created["request_id"], "pending", None) == (save["id"], save["status"], save["error"])
    assert {
        "RequestId": created["request_id"],
        "Priority": 0,
        "Timestamp": 1704067200,
        "RegistryAddr": "http://anka.registry:8089",
        "VMID": api.get("vm", f"id={INSTANCE}")["vminfo"]["uuid"],
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
    } == save["request"]
    assert [save] == api.get("image")


def test_without_requests_the_list_is_empty() -> None:
    """Without requests the list is an empty array."""
    assert api_of("{}").get("image") == []


@pytest.mark.parametrize("blank", [{}, {"suspend": None, "tag": None, "script": None}, {"tag": "", "script": ""}])
def test_fields_that_are_not_given_have_defaults(blank: dict[str, Any]) -> None:
    """suspend is true by default, all else is false or blank; null and blank mean not given."""
    api = default_api()
    api.perform("POST", "image", {"id": INSTANCE, "new_template_name": "saved", **blank})
    task = api.get("image")[0]["request"]

    assert (task["Suspend"], task["DoSuspendTest"], task["RevertBeforePush"]) == (True, False, False)
    assert {""} == {task[key] for key in ("TemplateID", "Tag", "Description", "Script", "RevertTag")}


def test_a_request_ends_done_and_the_instance_is_gone() -> None:
    """After the push the request is done, the registry has the tag, and the instance is not found any more."""
    api = default_api()
    api.perform("POST", "image", {"id": INSTANCE, "target_vm_id": OTHER_TEMPLATE, "tag": "next"})
    pass_time(api.controller, 3600)

    assert [(save["status"], save["error"]) for save in api.get("image")] == [("done", None)]
    assert api.get("registry/vm", f"id={OTHER_TEMPLATE}")["versions"][-1]["tag"] == "next"
    assert api.envelope("GET", "vm", query=f"id={INSTANCE}")["message"] == "Not found"


def test_a_push_changes_the_size_of_its_template() -> None:
    """The size of a template grows by what is pushed to it; clients wait for that."""
    api = default_api()
    before = api.get("registry/vm")[0]["size"]
    api.perform("POST", "image", {"id": INSTANCE, "target_vm_id": TEMPLATE, "tag": "next"})
    pass_time(api.controller, 3600)

    assert before < api.get("registry/vm")[0]["size"]


def test_a_corrupt_script_ends_in_an_error_object() -> None:
    """A script that is no base64 fails when it is to run: error is an object then, and the instance runs on."""
    api = default_api()
    api.perform("POST", "image", {"id": INSTANCE, "new_template_name": "saved", "script": "!"})
    pass_time(api.controller, 3600)
    (save,) = api.get("image")

    assert (
        save["status"],
        save["error"],
    ) == ("error", {"Message": "illegal base64 data at input byte 0", "Type": "base64.CorruptInputError"})
    assert list(save["error"]) == ["Message", "Type"]
    assert api.get("vm", f"id={INSTANCE}")["instance_state"] == "Started"


def test_an_error_of_another_kind_has_a_code() -> None:
    """An error that is no Go error has a code instead of a type."""
    api = default_api()
    api.perform("POST", "image", {"id": INSTANCE, "target_vm_id": TEMPLATE, "tag": "vanilla"})
    pass_time(api.controller, 3600)

    assert api.get("image")[0]["error"] == {"Message": "tag vanilla already exists", "Code": 0}


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"id": UNKNOWN_ID}, "Not found"),
        ({"new_template_name": ""}, "One of target_vm_id and new_template_name is required"),
        ({"new_template_name": None, "target_vm_id": ""}, "One of target_vm_id and new_template_name is required"),
        ({"target_vm_id": UNKNOWN_ID}, "VM not in the registry"),
    ],
)
def test_saving_an_unknown_instance_or_to_no_target_is_refused(
    release: str, changed: dict[str, Any], message: str
) -> None:
    """An unknown instance or template, or no target, is refused, and nothing changes."""
    api = default_api(release)
    before = api.dump()
    body = {"id": INSTANCE, "new_template_name": "saved", **changed}

    assert {"status": "FAIL", "message": message} == api.envelope("POST", "image", body)
    assert before == api.dump()


@pytest.mark.parametrize("release", RELEASES)
def test_only_a_started_instance_is_saved(release: str) -> None:
    """An instance that is not running is refused with a message that has its state."""
    api = default_api(release)
    instance_id = api.start(vmid=TEMPLATE)
    before = api.dump()
    envelope = api.envelope("POST", "image", {"id": instance_id, "new_template_name": "saved"})

    assert envelope == {"status": "FAIL", "message": "Instance is not running, its state is Scheduling"}
    assert before == api.dump()


@pytest.mark.parametrize("release", RELEASES)
def test_an_unknown_request_is_not_found(release: str) -> None:
    """GET of an unknown id fails with Not found."""
    assert default_api(release).envelope("GET", "image", query=f"id={UNKNOWN_ID}") == {
        "status": "FAIL",
        "message": "Not found",
    }


@pytest.mark.parametrize(("cancel", "state"), [(True, "Started"), (False, None)])
def test_a_script_that_fails_may_cancel_a_save_image_request(cancel: bool, state: str | None) -> None:
    """With cancel_on_script_failure the request fails and the instance runs on; the result is shown either way."""
    api = api_of(
        "templates: [{name: mac, versions: [{tag: base, size: 1GB}]}]\n"
        "nodes: [{name: alpha, cached: [mac]}]\n"
        "instances: [{template: mac, node: alpha}]\n"
        "scripts: [{match: '', return_code: 3, stderr: boom}]\n",
        NEW,
    )
    (instance_id,) = api.controller.instances
    fields = {"id": instance_id, "new_template_name": "new", "script": "dHJ1ZQ==", "cancel_on_script_failure": cancel}
    save_id = api.perform("POST", "image", fields)["request_id"]
    assert api.get("image", f"id={save_id}")["script_result"] is None
    pass_time(api.controller, 200)
    save = api.get("image", f"id={save_id}")
    result = {"stdout": "", "stderr": "boom", "errors": None, "did_timeout": False, "return_code": 3}

    assert result == save["script_result"]
    assert ({"Message": "Script execution failed", "Code": 0} if cancel else None) == save["error"]
    assert state == (api.get("vm", f"id={instance_id}")["instance_state"] if cancel else None)
    assert cancel is save["request"]["CancelOnScriptFailure"]
