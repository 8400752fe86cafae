"""Conformance of exchanges: violations by the client and by the server, each by the check that is meant for it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from mockanka.contract.conformance import Contract, Level, Violation, contract_of
from mockanka.contract.exchange import Exchange
from mockanka.core.release import Release
from tests.contracts import RELEASES, has

OLD, NEW = RELEASES[0], RELEASES[-1]


def contract_at(release: str = NEW) -> Contract:
    return contract_of(Release.parse(release))


def exchange_of(
    method: str, path: str, response: str, query: str = "", request: str = "", release: str = OLD
) -> Exchange:
    """Return an exchange with the HTTP status that belongs to the envelope at this release."""
    status = 400 if '"FAIL"' in response and has(release, "1.20.0") else 200
    headers = {"content-type": "application/json"}
    return Exchange(method, f"/api/v1/{path}", query, request.encode(), status, headers, response.encode())


def acceptance_violation(
    method: str, path: str, response: str, query: str = "", request: str = "", release: str = OLD
) -> Violation | None:
    """Return the violation if the server accepts a forbidden request or rejects an allowed one as invalid."""
    violations = contract_at(release).check_response(exchange_of(method, path, response, query, request, release))
    return next(
        (violation for violation in violations if violation.check in ("forbidden-taken", "allowed-refused")), None
    )


OK, INVALID, REJECTED = (
    '{"status":"OK","message":""}',
    '{"status":"FAIL","message":"invalid request: x"}',
    '{"status":"FAIL","message":"Not found"}',
)


@pytest.mark.parametrize(
    ("path", "request_body", "valid"),
    [
        ("vm", '{"vmid":"x"}', True),
        ("vm", '{"VMID":"x","disk":{}}', True),
        ("vm", '{"vmid":"x","tag":null,"count":null,"name":""}', True),
        ("vm", '{"vmid":"x","count":39}', True),
        ("vm", '{"vmid":"x","count":39.0}', False),
        ("vm", '{"vmid":"x","count":true}', False),
        ("vm", '{"vmid":"x","count":0}', False),
        ("vm", '{"vmid":"x","vcpu":9223372036854775808}', False),
        ("vm", '{"vmid":"x","vcpu":NaN}', False),
        ("vm", '{"vmid":"x","metadata":{"a":1.0}}', False),
        ("vm", '{"vmid":"x","metadata":{"a":null}}', False),
        ("vm", '{"vmid":null}', False),
        ("vm", '{"vmid":""}', False),
        ("vm", "{}", False),
        ("vm", "[]", False),
        ("vm", "", False),
        ("vm", "{", False),
        ("image", '{"id":"x","new_template_name":"y","target_vm_id":""}', True),
        ("image", '{"id":"x","new_template_name":"","target_vm_id":""}', False),
    ],
)
@pytest.mark.parametrize("release", [OLD, NEW])
def test_bodies_are_read_as_the_controller_reads_them(release: str, path: str, request_body: str, valid: bool) -> None:
    """A valid body may be accepted or rejected, but not as invalid; an invalid body may not be accepted."""
    violations = [
        acceptance_violation("POST", path, response, request=request_body, release=release)
        for response in (OK, INVALID, REJECTED)
    ]

    assert [not valid, valid, False] == [violation is not None for violation in violations]


@pytest.mark.parametrize(
    ("fields", "valid"),
    [
        ('"disk":{}', True),
        ('"disk":{"SIZE":"256G"}', True),
        ('"disk":{"size":"","skip_container_resize":null}', True),
        ('"disk":{"size":"256"}', False),
        ('"disk":{"size":"256G\\n"}', False),
        ('"disk":[]', False),
        ('"port_forwarding_override":[]', True),
        ('"port_forwarding_override":[{"NAME":"a","guest_port":"22","host_port":""}]', True),
        ('"port_forwarding_override":[{"name":"","guest_port":"22"}]', False),
        ('"port_forwarding_override":[{"name":"a","guest_port":"65536"}]', False),
        ('"csr_active_config":""', True),
        ('"csr_active_config":"forceOff"', False),
    ],
)
def test_fields_are_validated_from_their_release_on(fields: str, valid: bool) -> None:
    """A field is ignored before its release, whatever its value; from then on its value is validated at any depth."""
    body = f'{{"vmid":"x",{fields}}}'
    new = [acceptance_violation("POST", "vm", response, request=body, release=NEW) for response in (OK, INVALID)]
    old = [acceptance_violation("POST", "vm", response, request=body, release=OLD) for response in (OK, INVALID)]

    assert [not valid, valid] == [violation is not None for violation in new]
    assert [False, True] == [violation is not None for violation in old]


def test_an_optional_body_may_be_absent() -> None:
    """It may be absent or empty, but not malformed or invalid."""
    bodies = ["", "{}", '{"node_ids":null}', '{"node_ids":"a"}', "["]
    violations = [acceptance_violation("DELETE", "registry/vm/remove", OK, "id=x", body, NEW) for body in bodies]

    assert [False, False, False, True, True] == [violation is not None for violation in violations]


@pytest.mark.parametrize(
    ("query", "selected"),
    [
        ("", "otherwise"),
        ("id=x", "id"),
        ("id=", "otherwise"),
        ("apiVer=v1", "apiVer=v1"),
        ("apiVer=v2", "otherwise"),
        ("apiVer=v1&id=x", "id"),
        ("apiVer=v2&apiVer=v1", "otherwise"),
    ],
)
def test_the_query_selects_the_shape(query: str, selected: str) -> None:
    """An id takes precedence over the version of the list, which counts only at releases that have it."""
    exchange = exchange_of("GET", "registry/vm", OK, query)

    assert selected == contract_at(NEW).selected_query(exchange)
    assert ("id" if selected == "id" else "otherwise") == contract_at(OLD).selected_query(exchange)


@pytest.mark.parametrize(
    ("query", "valid"),
    [
        ("id=x", True),
        ("id=x&version=0", True),
        ("id=x&version=", True),
        ("id=x&version=1&version=x", True),
        ("", False),
        ("id=", False),
        ("id=&id=x", False),
        ("id=x&version=-1", False),
        ("id=x&version=1.0", False),
        ("id=x&number=x", False),
    ],
)
def test_queries_are_read_as_the_controller_reads_them(query: str, valid: bool) -> None:
    """The first of several values counts, an empty parameter is absent, and a number is an integer."""
    violations = [
        acceptance_violation("DELETE", "registry/revert", response, query) for response in (OK, INVALID, REJECTED)
    ]

    assert [not valid, valid, False] == [violation is not None for violation in violations]


# ---- responses -----------------------------------------------------------------------------------------------------

STATUS = {
    "status": "Running",
    "version": "1.50.1-24e848a5",
    "registry_address": "http://anka.registry:8089",
    "registry_status": "Running",
    "license": "enterprise plus",
}
INSTANCE = {
    "instance_id": "i",
    "instance_state": "Scheduling",
    "anka_registry": "",
    "vmid": "t",
    "inflight_reqid": "r",
    "ts": "2019-12-25T16:06:20.681609561Z",
    "cr_time": "2019-12-25T16:06:20.68+02:00",
    "progress": 0,
    "arch": "arm64",
    "vlan": "",
}
ITEM = {"external_id": None, "instance_id": "i", "name": None, "vm": INSTANCE}


def success(body: Any = None, path: str = "vm", query: str = "", **changes: Any) -> Exchange:
    """Return a success with changes of the envelope; ``...`` removes a key."""
    envelope = {"status": "OK", "message": "", "body": body, **changes}
    response = json.dumps({key: value for key, value in envelope.items() if value is not ...}) + "\n"
    return exchange_of("GET", path, response, query)


def found(exchange: Exchange, release: str = NEW) -> list[tuple[str, str, str]]:
    """Return check, level and place of the violations by the server."""
    violations = contract_at(release).check_response(exchange)
    return [(violation.check, violation.level.value, violation.where) for violation in violations]


def test_a_conforming_response_has_no_violations() -> None:
    """The list, the single item and a failure conform, each for its own request."""
    assert [] == found(success(STATUS, "status"))
    assert [] == found(success([ITEM]))
    assert [] == found(success(INSTANCE, query="id=i"))
    assert [] == found(exchange_of("GET", "vm", REJECTED + "\n", "id=x", release=NEW))
    assert [] == found(exchange_of("GET", "vm", REJECTED + "\n", "id=x", release=OLD), OLD)


@pytest.mark.parametrize(
    ("exchange", "check", "where"),
    [
        (success([]), "shape", "$.body"),
        (success(None), "shape", "$.body"),
        (success({**INSTANCE, "progress": "0"}), "schema", "$.body.progress"),
        (success({**INSTANCE, "progress": 2}), "schema", "$.body.progress"),
        (success({**INSTANCE, "message": None}), "schema", "$.body.message"),
        (success({**INSTANCE, "instance_state": "Starting"}), "schema", "$.body.instance_state"),
        (success({**INSTANCE, "ts": ""}), "time", "$.body.ts"),
        (success({**INSTANCE, "ts": "2019-12-25 16:06:20Z"}), "time", "$.body.ts"),
        (success({**INSTANCE, "ts": "2019-13-25T16:06:20Z"}), "time", "$.body.ts"),
        (success({key: value for key, value in INSTANCE.items() if key != "vlan"}), "schema", "$.body"),
        (success(...), "envelope", "$"),
        (success(INSTANCE, message="done"), "envelope", "$.message"),
        (success(INSTANCE, message=...), "envelope", "$"),
        (success(..., status="FAIL", message=""), "envelope", "$.message"),
        (success(None, status="FAIL", message="Not found"), "envelope", "$.body"),
    ],
)
def test_a_changed_response_has_one_violation(exchange: Exchange, check: str, where: str) -> None:
    """One change of a single instance is one violation, of a level that fails, at its place."""
    single = replace(exchange, query="id=i", status=200 if exchange.succeeded else 400)

    assert [(check, "must", where)] == found(single)


def test_an_unknown_status_is_a_violation() -> None:
    """The status in an envelope is OK or FAIL."""
    assert ("envelope", "must", "$.status") in found(success(INSTANCE, query="id=i", status="ok"))


@pytest.mark.parametrize(
    ("change", "check", "level"),
    [
        ({"status": 201}, "status-code", "must"),
        ({"headers": {"content-type": "text/html"}}, "content-type", "should"),
        ({"headers": {}}, "content-type", "should"),
        ({"response_content": b"<html>\n"}, "json", "must"),
        ({"response_content": b"[]\n"}, "json", "must"),
        ({"response_content": b'{"status":"OK","message":"","body":NaN}\n'}, "json", "must"),
        (
            {"response_content": json.dumps({"body": [], "status": "OK", "message": ""}).encode() + b"\n"},
            "key-order",
            "note",
        ),
        ({"response_content": b'{"status":"OK","message":"","body":[]}'}, "newline", "note"),
    ],
)
def test_a_changed_exchange_has_one_violation(change: dict[str, Any], check: str, level: str) -> None:
    """HTTP status, content type and JSON are checked, and as notes the order of keys and the last line break."""
    assert [(check, level)] == [(check, level) for check, level, _ in found(replace(success([]), **change))]


def test_an_undocumented_key_is_a_note() -> None:
    """It is a note at any depth, also within alternatives; a key of a later release is undocumented."""
    assert [("undocumented", "note", "$.body.colour")] == [
        (check, level, f"{where}.colour")
        for check, level, where in found(success({**INSTANCE, "colour": 1}, query="id=i"))
    ]
    assert ("undocumented", "note", "$.body[*].vm") in found(success([ITEM]), OLD)
    assert [("undocumented", "note", "$")] == found(success([], extra=None))


def test_equal_violations_in_many_items_are_counted() -> None:
    """They are one violation, with ``[*]`` for the items of the list."""
    items = [{**ITEM, "vm": {**INSTANCE, "progress": str(number)}} for number in range(3)]
    (only,) = contract_at().check_response(success(items))

    assert ("$.body[*].vm.progress", 3, "listVms") == (only.where, only.count, only.operation)
    assert 'schema: $.body[*].vm.progress: is "0", not of type number (3 times)' == str(only)


def test_any_operation_may_require_authentication() -> None:
    """401 with the envelope of a failure is not a violation, at any release."""
    denied = '{"status":"FAIL","message":"Authentication Required"}\n'

    for release in (OLD, NEW):
        assert [] == found(replace(exchange_of("GET", "vm", denied), status=401), release)


@pytest.mark.parametrize(
    ("method", "path", "status", "is_violation"),
    [
        ("GET", "/api/v1/nothing", 404, False),
        ("GET", "/api/v1/nothing", 200, True),
        ("PATCH", "/api/v1/vm", 405, False),
        ("PATCH", "/api/v1/vm", 200, True),
        ("GET", "/index.html", 200, False),
        ("GET", "/api/v1/stats", 200, False),
    ],
)
def test_an_unknown_operation_is_rejected(method: str, path: str, status: int, is_violation: bool) -> None:
    """Unknown paths of the API are 404 and unknown methods 405; paths that are not described are not checked."""
    exchange = Exchange(method, path, status=status)
    violations = contract_at().check_response(exchange)

    assert (["stray"] if is_violation else []) == [violation.check for violation in violations]


# ---- requests ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "query", "request_body", "expected"),
    [
        ("GET", "vm", "id=x", "", []),
        ("GET", "vm", "name=x", "", [("query-unknown", Level.NOTE)]),
        ("PUT", "vm", "", "{}", [("query", Level.MUST)]),
        ("POST", "vm", "", "{}", [("body", Level.MUST)]),
        ("POST", "vm", "", '{"vmid":"x","colour":1}', [("body-unknown", Level.NOTE)]),
        ("POST", "vm", "", '{"vmid":"x","metadata":{"a":1}}', []),
        ("GET", "nothing", "", "", [("operation", Level.MUST)]),
        ("PATCH", "vm", "", "", [("method", Level.MUST)]),
        ("GET", "stats", "", "", []),
    ],
)
def test_violations_by_the_client_are_found(
    method: str, path: str, query: str, request_body: str, expected: list[tuple[str, Level]]
) -> None:
    """They are an unknown path or method, and a forbidden query or body; ignored parameters and keys are notes."""
    violations = contract_at().check_request(exchange_of(method, path, OK, query, request_body))

    assert expected == [(violation.check, violation.level) for violation in violations]
    assert {"client"} >= {violation.side for violation in violations}


def test_an_operation_of_a_later_release_is_unknown() -> None:
    """The text names the release."""
    (only,) = contract_at(OLD).check_request(exchange_of("GET", "vlan", OK))

    assert "GET /api/v1/vlan is not an operation at release 1.8.0" == only.text


def test_an_operation_has_a_link_into_the_document() -> None:
    """The link is a JSON pointer into the shipped file; it is empty for an unknown operation."""
    assert "openapi/controller.yaml#/paths/~1api~1v1~1vm/delete" == contract_at().link("terminateVm")
    assert "" == contract_at().link("nothing")
