"""Mistakes that are planted in examples of the controller's document are found by its schemas."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest

from tests.contracts import RELEASES, Contract, contract, distinct, has
from tests.openapi.controller_document.operations import operation_params


def objects_in(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the path of every object in a value."""
    if isinstance(value, dict):
        yield path
        for key, inner in value.items():
            yield from objects_in(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from objects_in(inner, (*path, index))


def with_unknown_key(value: Any, path: tuple[str | int, ...]) -> Any:
    """Return a copy of a value with an unknown key in the object at a path."""
    if not path:
        return {**value, "surprise": None}
    head, *rest = path
    changed = value.copy()
    changed[head] = with_unknown_key(value[head], tuple(rest))
    return changed


@pytest.mark.parametrize(("release", "name"), operation_params(with_envelope=True))
def test_an_unknown_key_anywhere_in_a_response_is_found(release: str, name: str) -> None:
    """An example of a response is not valid any more when any of its objects gets an unknown key."""
    spec = contract(release)
    for status in spec.operation(name)["responses"]:
        media = spec.answer_media(name, status)
        for value in spec.examples_at(media).values():
            for path in objects_in(value):
                assert spec.errors(media + "/schema", with_unknown_key(value, path)), f"{path} takes any key"


def find_example(spec: Contract, name: str, shape: str, *keys: str) -> dict[str, Any]:
    """Return a copy of the first example of a response that has a shape, a body, and all the keys anywhere."""
    for value in spec.examples_at(spec.answer_media(name)).values():
        if not spec.errors(shape, value) and value["body"] and all(f"'{key}':" in repr(value["body"]) for key in keys):
            copied: dict[str, Any] = deepcopy(value)
            return copied
    raise LookupError(f"no example of {shape} has {keys}")


INSTANCE_KEYS = {
    "instance_state": None,
    "anka_registry": None,
    "vmid": None,
    "ts": None,
    "cr_time": None,
    "progress": None,
    "arch": "1.22.0",
    "vlan": "1.23.0",
    "instance_id": "1.24.0",
    "inflight_reqid": "1.27.0",
}
"""The keys that an instance always has, with the releases that added them."""

VM_KEYS = {
    "uuid": (None, None),
    "status": (None, None),
    "cpu_cores": (None, None),
    "ram": (None, None),
    "node_id": (None, None),
    "host_ip": (None, None),
    "ip": (None, None),
    "vnc_port": (None, None),
    "vnc_connection_string": (None, "1.41.0"),
    "version": ("1.24.0", None),
    "creation_date": ("1.24.0", None),
    "stop_date": ("1.24.0", None),
    "access_date": ("1.41.0", None),
    "timestamp": ("1.41.0", None),
    "start_date": ("1.44.0", None),
    "name": ("1.49.0", None),
}
"""The keys that a VM always has, with the releases that added and removed them; ``name`` may be there before."""

NODE_KEYS = {
    "usb_devices": (None, "1.43.0"),
    "templates": ("1.20.0", None),
    "host_arch": ("1.22.0", None),
    "last_updated": ("1.43.0", None),
    "timestamp": ("1.43.0", None),
    "agent_version": ("1.43.0", None),
}
"""The keys of a node that not all releases have."""

PORT_RULE_NAMES = {"Name": (None, "1.24.0"), "rule_name": ("1.24.0", "1.39.0"), "name": ("1.39.0", None)}


def wrong_instances(release: str) -> Iterator[tuple[str, str, Any]]:
    """Yield mistakes in responses with instances: a label, the schema and the response."""
    spec = contract(release)
    single_schema, list_schema = (spec.selected("listVms", query) for query in ("id", "otherwise"))
    listed = find_example(spec, "listVms", list_schema, "vminfo", "port_forwarding")
    item = next(item for item in listed["body"] if "port_forwarding" in item["vm"].get("vminfo", {}))

    def instance(*without: str, **changes: Any) -> dict[str, Any]:
        kept = {key: value for key, value in deepcopy(item["vm"]).items() if key not in without}
        return {**listed, "body": {**kept, **changes}}

    def vm(*without: str, **changes: Any) -> dict[str, Any]:
        info = {key: value for key, value in deepcopy(item["vm"]["vminfo"]).items() if key not in without}
        return instance(vminfo={**info, **changes})

    assert [] == spec.errors(single_schema, instance())
    yield "instance with null vminfo", single_schema, instance(vminfo=None)
    yield "instance with null message", single_schema, instance(message=None)
    yield "instance with null name", single_schema, instance(name=None)
    yield "instance with null external id", single_schema, instance(external_id=None)
    yield "instance in an unknown state", single_schema, instance(instance_state="Starting")
    yield "instance with an empty time", single_schema, instance(ts="")
    yield "instance with progress in percent", single_schema, instance(progress=42)
    yield "instance with nested metadata", single_schema, instance(metadata={"a": {}})
    for key, since in INSTANCE_KEYS.items():
        wrong = instance(key) if has(release, since) else instance(**{key: "amd64"})
        if key != "inflight_reqid" or has(release, since):
            yield f"instance, {key} wrong", single_schema, wrong
    if has(release, until="1.24.0"):
        yield "instance with a name inside", single_schema, instance(name="My VM")
        yield "instance with an external id inside", single_schema, instance(external_id="ly79930")
        script = {"return_code": 0, "did_timeout": False, "stdout": "", "stderr": ""}
        yield "instance with a startup script", single_schema, instance(startup_script=script)
        yield "list item with null name", list_schema, {**listed, "body": [{**item, "name": None}]}
    else:
        for key in ("name", "external_id"):
            bare = {name: value for name, value in item.items() if name != key}
            yield f"list item without {key}", list_schema, {**listed, "body": [bare]}
    for key, (since, until) in VM_KEYS.items():
        if has(release, since, until):
            yield f"vm without {key}", single_schema, vm(key)
        elif key != "name":
            yield f"vm with {key}", single_schema, vm(**{key: "2022-07-14T20:22:11Z"})
    yield "vm that has no date", single_schema, vm(creation_date="")
    for key, (since, until) in PORT_RULE_NAMES.items():
        right = next(name for name in PORT_RULE_NAMES if name in item["vm"]["vminfo"]["port_forwarding"][0])
        assert (key == right) == has(release, since, until)
        if key != right:
            rule = {**item["vm"]["vminfo"]["port_forwarding"][0]}
            yield f"port rule named by {key}", single_schema, vm(port_forwarding=[{**rule, key: rule.pop(right)}])
            yield (
                f"port rule named twice, by {key}",
                single_schema,
                vm(port_forwarding=[{**rule, right: "a", key: "a"}]),
            )
    yield "list for ?id=", single_schema, listed
    yield "single instance for the list", list_schema, instance()
    yield "null for an empty list", list_schema, {"status": "OK", "message": "", "body": None}
    yield "list without body", list_schema, {"status": "OK", "message": ""}


def wrong_nodes(release: str) -> Iterator[tuple[str, str, Any]]:
    """Yield mistakes in responses with nodes."""
    spec = contract(release)
    single_schema, list_schema = (spec.selected("listNodes", query) for query in ("id", "otherwise"))
    nodes = find_example(spec, "listNodes", single_schema)
    (node,) = nodes["body"]

    def listed(*without: str, **changes: Any) -> dict[str, Any]:
        kept = {key: value for key, value in deepcopy(node).items() if key not in without}
        return {**nodes, "body": [{**kept, **changes}]}

    yield "bare node for ?id=", single_schema, {**nodes, "body": node}
    yield "two nodes for ?id=", single_schema, {**nodes, "body": nodes["body"] * 2}
    yield "no node for ?id=", single_schema, {**nodes, "body": []}
    yield "node with an empty array of groups", list_schema, listed(groups=[])
    yield "node with null groups", list_schema, listed(groups=None)
    for key, (since, until) in NODE_KEYS.items():
        if has(release, since, until):
            yield f"node without {key}", list_schema, listed(key)
        elif key != "usb_devices":
            yield f"node with {key}", list_schema, listed(**{key: "amd64"})
    anka = {**node["anka_version"]}
    if has(release, "1.43.0"):
        yield "node with null USB devices", list_schema, listed(usb_devices=None)
        del anka["expires"]
        yield "node whose licence does not end", list_schema, listed(anka_version=anka)
    else:
        yield "node whose licence ends", list_schema, listed(anka_version={**anka, "expires": "17-aug-2025"})
    if has(release, "1.32.0"):
        yield "node with a blank capacity mode", single_schema, listed(capacity_mode="")
    else:
        yield "node in Drain Mode", list_schema, listed(state="Drain Mode")
    yield "node in an unknown state", list_schema, listed(state="active")


def wrong_templates(release: str) -> Iterator[tuple[str, str, Any]]:
    """Yield mistakes in responses with templates."""
    spec = contract(release)
    single_schema, list_schema = (spec.selected("listTemplates", query) for query in ("id", "otherwise"))
    listed, single = (
        find_example(spec, "listTemplates", list_schema, "size"),
        find_example(spec, "listTemplates", single_schema),
    )
    yield "template list for ?id=", single_schema, listed
    for part in (single["body"], single["body"]["versions"][0], listed["body"][0]):
        for key, since in {"size": "1.22.0", "arch": "1.22.0", "last_pull": "1.43.0", "last_push": "1.43.0"}.items():
            if key == "size" and part is not single["body"]:
                continue
            changed = {name: value for name, value in part.items() if name != key}
            if not has(release, since):
                changed[key] = "" if key == "arch" and "tag" in part else "amd64" if key == "arch" else 1
            schema, response = (list_schema, listed) if part is listed["body"][0] else (single_schema, single)
            body: Any = [changed] if schema == list_schema else {**single["body"], "versions": [changed]}
            yield f"template, {key} wrong", schema, {**response, "body": changed if part is single["body"] else body}
    if has(release, "1.28.0"):
        short = spec.selected("listTemplates", "apiVer=v1")
        yield "whole list for apiVer=v1", short, listed
        yield "one template for apiVer=v1", short, single
        yield "short list for all", list_schema, find_example(spec, "listTemplates", short)


def wrong_other_responses(release: str) -> Iterator[tuple[str, str, Any]]:
    """Yield mistakes in other responses."""
    spec = contract(release)
    distributions = find_example(spec, "listDistributions", spec.selected("listDistributions", "otherwise"))
    yield "distribution list for ?id=", spec.selected("listDistributions", "id"), distributions
    if has(release, until="1.43.0"):
        (states,) = (distribution["distribute_status"] for distribution in distributions["body"])
        failed = {
            **distributions["body"][0],
            "distribute_status": {key: {**states[key], "error": "x"} for key in states},
        }
        yield "distribution with an error", spec.selected("listDistributions", "id"), {**distributions, "body": failed}
    single_schema, list_schema = (spec.selected("listSaveImages", query) for query in ("id", "otherwise"))
    yield "save list for ?id=", single_schema, find_example(spec, "listSaveImages", list_schema)
    save = find_example(spec, "listSaveImages", single_schema)
    yield "save error as a text", single_schema, {**save, "body": {**save["body"], "error": "illegal base64 data"}}
    with_script = {**save["body"], "script_result": None}
    if has(release, "1.15.0"):
        del with_script["script_result"]
    yield "save request, script_result wrong", single_schema, {**save, "body": with_script}
    task = {**save["body"]["request"], "CancelOnScriptFailure": False}
    if has(release, "1.15.0"):
        del task["CancelOnScriptFailure"]
    yield "save task, CancelOnScriptFailure wrong", single_schema, {**save, "body": {**save["body"], "request": task}}
    result = {"stdout": "", "stderr": "", "errors": None, "return_code": 0}
    if has(release, until="1.42.0"):
        result["did_timeout"] = False
    yield "save script, did_timeout wrong", single_schema, {**save, "body": {**save["body"], "script_result": result}}

    def success(name: str) -> str:
        return spec.answer_media(name) + "/schema"

    def failing(name: str) -> str:
        return spec.failing(name) + "/schema"

    yield "success with a message", success("terminateVm"), {"status": "OK", "message": "done"}
    yield "success with a needless body", success("terminateVm"), {"status": "OK", "message": "", "body": None}
    yield "failure with a body", failing("terminateVm"), {"status": "FAIL", "message": "Not found", "body": None}
    yield "failure without a message", failing("terminateVm"), {"status": "FAIL", "message": ""}
    yield "another status", failing("terminateVm"), {"status": "ERROR", "message": "Not found"}
    if has(release, "1.20.0"):
        yield "failure with 200", success("terminateVm"), {"status": "FAIL", "message": "Not found"}
        yield "success with 400", failing("terminateVm"), {"status": "OK", "message": ""}
        yield "bare removal", success("removeTemplateFromNodes"), {"status": "OK", "message": ""}
    if has(release, "1.23.0"):
        yield "VLANs as numbers", success("listVlans"), {"status": "OK", "message": "", "body": [12]}
        yield "null for no VLANs", success("listVlans"), {"status": "OK", "message": "", "body": None}
    yield "revert without body", success("revertTemplate"), {"status": "OK", "message": ""}
    yield "start without ids", success("startVms"), {"status": "OK", "message": "", "body": []}
    yield "bare request id", success("distributeTemplate"), {"status": "OK", "message": "", "body": "74efc824"}
    yield "disk without total", success("getRegistryDisk"), {"status": "OK", "message": "", "body": {"free": 1}}
    group = find_example(spec, "createGroup", "#/components/schemas/GroupEnvelope")
    group["body"]["description"] = None
    yield "group with null description", success("createGroup"), group


MISTAKES = distinct(
    ((contract(release).content(schema), repr(value)), pytest.param(release, schema, value, id=f"{release}-{name}"))
    for release in RELEASES
    for wrong in (wrong_instances, wrong_nodes, wrong_templates, wrong_other_responses)
    for name, schema, value in wrong(release)
)


@pytest.mark.parametrize(("release", "schema", "value"), MISTAKES)
def test_a_mistake_in_a_response_is_found(release: str, schema: str, value: Any) -> None:
    """An example of a response with a planted mistake is not valid."""
    assert contract(release).errors(schema, value)


WRONG_REQUESTS: list[tuple[str, dict[str, Any], str | None]] = [
    ("startVms", {}, None),
    ("startVms", {"vmid": ""}, None),
    ("startVms", {"vmid": "a", "count": 0}, None),
    ("startVms", {"vmid": "a", "count": 10001}, None),
    ("startVms", {"vmid": "a", "priority": 0}, None),
    ("startVms", {"vmid": "a", "startup_script_condition": 2}, None),
    ("startVms", {"vmid": "a", "metadata": {"a": None}}, None),
    ("startVms", {"vmid": "a", "mac_address": 1}, "1.9.0"),
    ("startVms", {"vmid": "a", "vlan_tag": 12}, "1.23.0"),
    ("startVms", {"vmid": "a", "script_monitoring": "true"}, "1.24.0"),
    ("startVms", {"vmid": "a", "script_timeout": -1}, "1.24.0"),
    ("startVms", {"vmid": "a", "script_fail_handler": 3}, "1.24.0"),
    ("startVms", {"vmid": "a", "video_controller": "vga"}, "1.27.0"),
    ("startVms", {"vmid": "a", "hvapic": True}, "1.27.0"),
    ("startVms", {"vmid": "a", "csr_active_config": "forceOff"}, "1.30.0"),
    ("startVms", {"vmid": "a", "network_local": "on"}, "1.30.0"),
    ("startVms", {"vmid": "a", "hw_serial": 1}, "1.37.0"),
    ("startVms", {"vmid": "a", "group": ["a"]}, "1.38.0"),
    ("startVms", {"vmid": "a", "port_forwarding_override": {}}, "1.39.0"),
    ("startVms", {"vmid": "a", "port_forwarding_override": [{"name": "a"}]}, "1.39.0"),
    ("startVms", {"vmid": "a", "port_forwarding_override": [{"name": "a", "guest_port": 22}]}, "1.39.0"),
    ("startVms", {"vmid": "a", "port_forwarding_override": [{"name": "a", "guest_port": "0"}]}, "1.39.0"),
    ("startVms", {"vmid": "a", "port_forwarding_override": [{"name": "a", "guest_port": "65536"}]}, "1.39.0"),
    ("startVms", {"vmid": "a", "disk": {"size": "256GB"}}, "1.39.0"),
    ("startVms", {"vmid": "a", "disk": {"size": 256}}, "1.39.0"),
    ("startVms", {"vmid": "a", "disk": {"skip_container_resize": 1}}, "1.39.0"),
    ("startVms", {"vmid": "a", "vnc_password": 1}, "1.42.0"),
    ("updateVm", {"metadata": {"a": 0.5}}, None),
    ("terminateVm", {"id": ""}, None),
    ("restartVm", {"id": "a"}, "1.44.0"),
    ("restartVm", {"instance_id": ""}, "1.44.0"),
    ("deleteNode", {"id": "a"}, None),
    ("configureNode", {"name": "a"}, None),
    ("configureNode", {"node_id": "a", "capacity_mode": ""}, None),
    ("configureNode", {"node_id": "a", "drain_mode": "true"}, "1.32.0"),
    ("addNodesToGroups", {"group_ids": []}, None),
    ("removeNodesFromGroups", {"group_ids": [], "node_ids": "a"}, None),
    ("removeTemplateFromNodes", {"node_ids": "a"}, "1.20.0"),
    ("distributeTemplate", {"tag": "t1"}, None),
    ("distributeTemplate", {"template_id": "a", "group": 1}, "1.38.0"),
    ("saveImage", {"id": "a"}, None),
    ("saveImage", {"id": "a", "target_vm_id": "", "new_template_name": ""}, None),
    ("saveImage", {"id": "a", "target_vm_id": "a", "cancel_on_script_failure": 1}, "1.15.0"),
    ("createGroup", {"name": ""}, None),
    ("updateGroup", {"description": None}, None),
]
"""Wrong bodies of operations, with the releases that know what is wrong with them; earlier ones ignore it."""


def request_params() -> list[Any]:
    """Return a row for every release whose schema, or verdict, differs from those before."""
    rows = []
    for release in RELEASES:
        spec = contract(release)
        for name, body, since in WRONG_REQUESTS:
            media = spec.request_media(name) if name in spec.operations else None
            key = (name, repr(body), has(release, since), media and spec.content(media + "/schema"))
            rows.append((key, pytest.param(release, name, body, since, id=f"{name}-{body}-{release}")))
    return distinct(rows)


@pytest.mark.parametrize(("release", "name", "body", "since"), request_params())
def test_a_mistake_in_a_request_is_found(release: str, name: str, body: dict[str, Any], since: str | None) -> None:
    """A wrong request is not valid from the release on that knows what is wrong with it."""
    spec = contract(release)
    if name not in spec.operations:
        assert not has(release, since)
        return
    media = spec.request_media(name)
    assert media is not None
    assert has(release, since) == bool(spec.errors(media + "/schema", body))
