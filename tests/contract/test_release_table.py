"""The table of features agrees with the marks of the document and with the simulator.

The document and the simulator do not read each other, so each difference between releases is stated twice. These tests
compare both with each other and with the features in core/release.py.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

import pytest

import mockanka.api
from mockanka.api.app import create_app
from mockanka.api.field_table import FieldTable
from mockanka.api.request_fields import RequestBody
from mockanka.contract.document import OPENAPI_METHODS, RELEASE_MARKS
from mockanka.core.release import FEATURES, KNOWN_RELEASES, SINCE, Release
from mockanka.scenario import Options, Scenario
from tests.contracts import full_document

# ---- the document's marks ------------------------------------------------------------------------------------------

CAME = {
    "mac-addresses": "Instance.mac_address StartVmsRequest.mac_address",
    "script-result": "SaveImageTask.script_result SaveImageTaskRequest.ReserveExpiryTimestamp "
    "SaveImageTaskRequest.CancelOnScriptFailure SaveImageRequest.cancel_on_script_failure",
    "node-update": "updateNodes",
    "failure-status-400": "responses.Failure",
    "template-removal": "removeTemplateFromNodes",
    "node-templates": "Node.templates",
    "arch": "Instance.arch Node.host_arch TemplateListItem.arch Template.arch TemplateVersion.arch",
    "template-size-by-id": "Template.size",
    "vlans": "listVlans Instance.vlan StartVmsRequest.vlan_tag",
    "script-monitoring": "Instance.startup_script StartVmsRequest.script_monitoring StartVmsRequest.script_timeout "
    "StartVmsRequest.script_fail_handler",
    "instance-tells-its-names": "Instance.instance_id Instance.name Instance.external_id "
    "InstanceListItem.name.null InstanceListItem.external_id.null",
    "vm-dates": "VmInfo.version VmInfo.creation_date VmInfo.stop_date VmInfo.vnc_password",
    "port-rule-name": "PortForwardingRule.rule_name",
    "hardware-overrides": "StartVmsRequest.video_controller StartVmsRequest.hvapic StartVmsRequest.csr_active_config",
    "registry-v1-listing": "parameters.TemplateListVersion listTemplates.TemplateShortListEnvelope",
    "network-local": "StartVmsRequest.network_local",
    "drain-mode": "ConfigureNodeRequest.drain_mode Node.state.'Drain Mode'",
    "hardware-ids": "StartVmsRequest.hw_serial StartVmsRequest.hw_uuid",
    "permission-group": "StartVmsRequest.group DistributeTemplateRequest.group",
    "start-overrides": "StartVmsRequest.port_forwarding_override StartVmsRequest.network_mode StartVmsRequest.disk",
    "port-rule-plain-name": "PortForwardingRule.name",
    "vm-timestamp": "VmInfo.access_date VmInfo.timestamp",
    "probes": "getLivez getReadyz",
    "vnc-password": "StartVmsRequest.vnc_password",
    "script-timeout-told": "ScriptResult.did_timeout",
    "last-used": "TemplateListItem.last_pull TemplateListItem.last_push TemplateShortListItem.last_pull "
    "TemplateShortListItem.last_push Template.last_pull Template.last_push TemplateVersion.last_pull "
    "TemplateVersion.last_push",
    "node-report": "Node.last_updated Node.timestamp Node.agent_version",
    "license-expiry": "AnkaVersion.expires",
    "distribution-cancel": "cancelDistribution distributeTemplate.cancelDistribution",
    "restart": "restartVm startVms.restartStartedVm VmInfo.start_date",
    "distribution-error": "NodeDistribution.error",
}
"""The parts of the document that came with a feature."""

WENT = {
    "port-rule-name": "PortForwardingRule.Name",
    "csr-always-on": "StartVmsRequest.csr_active_config.'forceOff'",
    "node-by-id-whole": "Node.capacity_mode.''",
    "port-rule-plain-name": "PortForwardingRule.rule_name",
    "vm-timestamp": "VmInfo.vnc_connection_string VmInfo.allOf.1",
    "no-usb-no-key": "Node.usb_devices.null",
}
"""The parts that were removed with a feature; besides, all FAIL with HTTP status 200 with failure-status-400."""

ALWAYS_FROM = {
    "instance-tells-its-names": "InstanceListItem.name InstanceListItem.external_id",
    "request-id-stays": "Instance.inflight_reqid",
    "vm-kept-on-error": "VmInfo.name VmInfo.ram VmInfo.node_id VmInfo.host_ip",
}
ALWAYS_UNTIL = {"no-usb-no-key": "Node.usb_devices"}

NO_KEY = {
    "lost-instances-kept",
    "failed-node-shown",
    "vnc-port-5900",
    "registry-address",
    "tag-filled-in",
    "name-template-nodes",
    "name-template-instance",
    "distribute-to-unhealthy",
    "distribute-to-draining",
    "one-node-a-call",
    "script-output-cut",
    "quiet-restart",
    "forced-overrides",
    "scheduling-after-pull",
}
"""Features without a mark in the document."""

KINDS = {
    "x-since": CAME,
    "x-enum-since": CAME,
    "x-until": WENT,
    "x-enum-until": WENT,
    "x-required-since": ALWAYS_FROM,
    "x-required-until": ALWAYS_UNTIL,
}
SECTIONS = {"components", "schemas", "properties", "oneOf", "anyOf", "responses", "200", "content", "schema", "links"}


def marks(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Yield every mark of the document, except those of examples: path, name of the mark, and release."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from marks(item, (*path, str(index)))
    if not isinstance(value, dict):
        return
    path = (*path[:-1], _last_name(value, path))
    for mark in RELEASE_MARKS:
        if mark.startswith("x-enum"):
            for enum_value, release in value.get(mark, {}).items():
                yield (*path, repr(enum_value)), mark, release
        elif mark in value:
            yield path, mark, value[mark]
    for key, member in value.items():
        if key not in ("examples", "example"):
            yield from marks(member, (*path, key))


def _last_name(value: dict[str, Any], path: tuple[str, ...]) -> str:
    """Return the last part of a path by name: the operationId, or the reference or type of an alternative."""
    if len(path) < 2 or path[-2] not in ("oneOf", "anyOf"):
        return (
            str(value.get("operationId", path[-1]))
            if path and path[-1] in OPENAPI_METHODS
            else path[-1]
            if path
            else ""
        )
    return str(value.get("$ref", value.get("type"))).rpartition("/")[2]


def label(path: tuple[str, ...]) -> str:
    """Return a path as the tables above name it."""
    start = path.index("paths") + 2 if "paths" in path else 0
    parts = list(path[start:])
    if parts[:2] == ["", "components"] and parts[2] != "schemas":
        return ".".join(parts[2:])
    return ".".join(part for part in parts if part and part not in SECTIONS and "/" not in part)


FOUND = [
    (label(path), mark, release)
    for path, mark, release in marks(full_document())
    if not (path[-1] == "FailEnvelope" and mark == "x-until")
]


def test_every_mark_of_the_document_belongs_to_a_feature() -> None:
    """The marks are exactly those in the tables above, each with the release of its feature."""
    names = {"x-enum-since": "x-since", "x-enum-until": "x-until"}
    expected = {
        (place, mark, str(SINCE[feature]))
        for mark, features in KINDS.items()
        if mark not in names
        for feature, places in features.items()
        for place in places.replace("'Drain Mode'", "'Drain-Mode'").split()
    }
    found = {(place.replace(" ", "-"), names.get(mark, mark), release) for place, mark, release in FOUND}

    assert expected == found
    assert len(FOUND) == len(found)


def test_every_failure_with_status_200_went_with_its_feature() -> None:
    """Wherever FAIL is an alternative of a response with 200, it ends with the release of failure-status-400."""
    until = {
        (path[-1], release)
        for path, mark, release in marks(full_document())
        if path[-1] == "FailEnvelope" and mark == "x-until"
    }

    assert {("FailEnvelope", str(SINCE["failure-status-400"]))} == until


def test_every_feature_is_in_the_document_or_has_no_key() -> None:
    """Each feature either has a mark in the document or is listed as one without."""
    marked = {*CAME, *WENT, *ALWAYS_FROM, *ALWAYS_UNTIL}

    assert set(FEATURES) == marked | NO_KEY
    assert set() == marked & NO_KEY


# ---- the simulator's tables ----------------------------------------------------------------------------------------

TABLES = {
    "instance_responses.INSTANCE_FIELDS": "Instance",
    "instance_responses.VM_FIELDS": "VmInfo",
    "instance_responses.PORT_FIELDS": "PortForwardingRule",
    "instance_responses.STARTUP_SCRIPT_FIELDS": "StartupScript",
    "nodes.NODE_FIELDS": "Node",
    "nodes.ANKA_VERSION_FIELDS": "AnkaVersion",
    "groups.GROUP_FIELDS": "Group",
    "templates.TEMPLATE_ITEM_FIELDS": "TemplateListItem",
    "templates.V1_TEMPLATE_ITEM_FIELDS": "TemplateShortListItem",
    "templates.TEMPLATE_FIELDS": "Template",
    "templates.VERSION_FIELDS": "TemplateVersion",
    "distributions.DISTRIBUTION_FIELDS": "DistributionStatus",
    "distributions.DELIVERY_FIELDS": "NodeDistribution",
    "save_images.SAVE_IMAGE_FIELDS": "SaveImageTask",
    "save_images.SAVE_TASK_FIELDS": "SaveImageTaskRequest",
    "save_images.SAVE_SCRIPT_FIELDS": "ScriptResult",
}
"""The schema of the document for each field table of the simulator."""

BODIES = {
    "instance_requests.StartBody": "StartVmsRequest",
    "instance_requests.UpdateBody": "UpdateVmRequest",
    "instance_requests.RestartBody": "RestartVmRequest",
    "instance_requests.PortRuleBody": "PortForwardingOverride",
    "instance_requests.DiskBody": "DiskOverride",
    "request_fields.IdBody": "TerminateVmRequest",
    "nodes.ConfigBody": "ConfigureNodeRequest",
    "nodes.NodeIdBody": "DeleteNodeRequest",
    "nodes.MembershipBody": "NodeGroupsRequest",
    "distributions.DistributeBody": "DistributeTemplateRequest",
    "templates.RemovalBody": "RemoveTemplateRequest",
    "save_images.SaveBody": "SaveImageRequest",
    "groups.GroupBody": "CreateGroupRequest",
    "groups.GroupChangesBody": "UpdateGroupRequest",
}
"""The schema of the document for each request schema of the simulator."""

UNDOCUMENTED = {"templates.RevertBody"}
"""Request schemas that the document omits on purpose: a revert also reads a selector in a body."""

UNSEEN = {"VmInfo": {"tag"}, "StartupScript": {"errors"}}
"""Keys that the document has because they are on record, and that the simulator never returns."""


def members() -> Iterator[tuple[str, Any]]:
    """Yield the tables and classes that the modules of the API define, by module and name."""
    for info in pkgutil.iter_modules(mockanka.api.__path__):
        module = importlib.import_module(f"mockanka.api.{info.name}")
        for name, value in vars(module).items():
            if isinstance(value, FieldTable) or getattr(value, "__module__", None) == module.__name__:
                yield f"{info.name}.{name}", value


MEMBERS = dict(members())


def properties(schema: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = full_document()["components"]["schemas"][schema]["properties"]
    return found


def test_every_field_table_has_its_schema() -> None:
    """No field table of the API is left out of the comparison."""
    tables = {value: name for name, value in reversed(MEMBERS.items()) if isinstance(value, FieldTable)}
    named = {id(MEMBERS[name]) for name in TABLES}

    assert set() == {name for value, name in tables.items() if id(value) not in named}


@pytest.mark.parametrize("name", TABLES)
def test_a_field_table_agrees_with_the_document(name: str) -> None:
    """It has the same keys in the same order, with the same first and last releases."""
    schema = TABLES[name]
    documented = [
        (key, value.get("x-since"), value.get("x-until"))
        for key, value in properties(schema).items()
        if key not in UNSEEN.get(schema, ())
    ]
    table = [(key.name, _text(key.since), _text(key.until)) for key in MEMBERS[name].keys]

    assert documented == table


def test_every_request_schema_has_its_schema_in_the_document() -> None:
    """No schema of a request is left out of the comparison."""
    bodies = {
        name
        for name, value in MEMBERS.items()
        if isinstance(value, type) and issubclass(value, RequestBody) and value is not RequestBody
    }

    assert set(BODIES) | UNDOCUMENTED == bodies


@pytest.mark.parametrize("name", BODIES)
def test_a_request_schema_agrees_with_the_document(name: str) -> None:
    """It has the same fields, with the same first and last releases, and requires the same ones."""
    schema = BODIES[name]
    required = full_document()["components"]["schemas"][schema].get("required", [])
    documented = {
        (key, value.get("x-since"), value.get("x-until"), key in required) for key, value in properties(schema).items()
    }
    fields = {
        (key, _text(field.metadata.get("since")), _text(field.metadata.get("until")), field.required)
        for key, field in MEMBERS[name]().fields.items()
    }

    assert documented == fields


def _text(release: Release | None) -> str | None:
    return None if release is None else str(release)


# ---- the simulator's routes ----------------------------------------------------------------------------------------

OPERATIONS = [
    pytest.param(path, method, operation.get("x-since"), id=operation["operationId"])
    for path, item in full_document()["paths"].items()
    for method, operation in item.items()
]


def known_methods(path: str, release: Release) -> set[str]:
    """Return the methods of a path at a release, by the document."""
    return {
        method.upper()
        for method, operation in full_document()["paths"][path].items()
        if "x-since" not in operation or release >= Release.parse(operation["x-since"])
    }


@pytest.mark.parametrize(("path", "method", "since"), OPERATIONS)
def test_an_operation_exists_from_its_release_on(path: str, method: str, since: str | None) -> None:
    """Before, its path does not exist, or responds with 405 and its other methods."""
    first = KNOWN_RELEASES.index(Release.parse(since)) if since else 0
    for release in KNOWN_RELEASES[max(first - 1, 0) : first + 1]:
        controller = Scenario.named("default").controller(Options(clock="manual", release=release))
        response = create_app(controller).test_client().open(path, method=method.upper(), json={})
        methods = known_methods(path, release)

        if method.upper() in methods:
            assert response.status_code in (200, 400), release
        elif methods:
            assert (405, "") == (response.status_code, response.text), release
        else:
            assert (404, "404 page not found\n") == (response.status_code, response.text), release


def test_the_simulator_has_no_operation_that_is_not_documented() -> None:
    """Every route of the application is an operation of the document."""
    app = create_app(Scenario.named("default").controller(Options(clock="manual")))
    routes = {(rule.rule, method) for rule in app.url_map.iter_rules() for method in rule.methods or ()}
    documented = {(path, method.upper()) for path, item in full_document()["paths"].items() for method in item}

    assert set() == routes - documented
