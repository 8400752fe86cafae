"""Exchanges judged: what the client did wrong, and what the server did, each by the check that is meant for it."""

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


def judge(release: str = NEW) -> Contract:
    return contract_of(Release.parse(release))


def told(method: str, path: str, content: str, query: str = "", sent: str = "", release: str = OLD) -> Exchange:
    status = 400 if '"FAIL"' in content and has(release, "1.20.0") else 200
    headers = {"content-type": "application/json"}
    return Exchange(method, f"/api/v1/{path}", query, sent.encode(), status, headers, content.encode())


def verdict(
    method: str, path: str, content: str, query: str = "", sent: str = "", release: str = OLD
) -> Violation | None:
    """Whether the server takes what is right and nothing else."""
    found = judge(release).answers(told(method, path, content, query, sent, release))
    return next((each for each in found if each.check in ("forbidden-taken", "allowed-refused")), None)


OK, INVALID, REFUSED = (
    '{"status":"OK","message":""}',
    '{"status":"FAIL","message":"invalid request: x"}',
    '{"status":"FAIL","message":"Not found"}',
)


@pytest.mark.parametrize(
    ("path", "sent", "valid"),
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
def test_the_check_reads_bodies_as_the_controller_does(release: str, path: str, sent: str, valid: bool) -> None:
    """Valid data may be taken or refused but not called invalid; invalid data may not be taken."""
    wrong = [verdict("POST", path, answer, sent=sent, release=release) for answer in (OK, INVALID, REFUSED)]

    assert [not valid, valid, False] == [each is not None for each in wrong]


@pytest.mark.parametrize(
    ("sent", "valid"),
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
def test_the_check_knows_what_a_release_knows(sent: str, valid: bool) -> None:
    """What is newer than the release means nothing, whatever it is; a release that knows it has it read all through."""
    whole = f'{{"vmid":"x",{sent}}}'
    new = [verdict("POST", "vm", answer, sent=whole, release=NEW) for answer in (OK, INVALID)]
    old = [verdict("POST", "vm", answer, sent=whole, release=OLD) for answer in (OK, INVALID)]

    assert [not valid, valid] == [each is not None for each in new]
    assert [False, True] == [each is not None for each in old]


def test_the_check_lets_an_optional_body_be_absent() -> None:
    """A body that need not be there may be missing, and may not be wrong."""
    sent = ["", "{}", '{"node_ids":null}', '{"node_ids":"a"}', "["]
    wrong = [verdict("DELETE", "registry/vm/remove", OK, "id=x", each, NEW) for each in sent]

    assert [False, False, False, True, True] == [each is not None for each in wrong]


@pytest.mark.parametrize(
    ("query", "asked"),
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
def test_the_check_knows_which_shape_is_asked_for(query: str, asked: str) -> None:
    """An id beats the version of the list, and a version counts only where the release knows it."""
    assert asked == judge(NEW).asked(told("GET", "registry/vm", OK, query))
    assert ("id" if asked == "id" else "otherwise") == judge(OLD).asked(told("GET", "registry/vm", OK, query))


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
def test_the_check_reads_queries_as_the_controller_does(query: str, valid: bool) -> None:
    """Of several the first counts, an empty parameter is absent, a number is a whole number."""
    wrong = [verdict("DELETE", "registry/revert", answer, query) for answer in (OK, INVALID, REFUSED)]

    assert [not valid, valid, False] == [each is not None for each in wrong]


# ---- answers -------------------------------------------------------------------------------------------------------

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


def answer(body: Any = None, path: str = "vm", query: str = "", **envelope: Any) -> Exchange:
    """A success whose envelope is changed; one of ``...`` is left out."""
    whole = {"status": "OK", "message": "", "body": body, **envelope}
    content = json.dumps({key: value for key, value in whole.items() if value is not ...}) + "\n"
    return told("GET", path, content, query)


def found(exchange: Exchange, release: str = NEW) -> list[tuple[str, str, str]]:
    return [(each.check, each.level.value, each.where) for each in judge(release).answers(exchange)]


def test_what_keeps_to_the_document_has_no_violations() -> None:
    """The list form, the single form and a failure pass, each for the request it answers."""
    assert [] == found(answer(STATUS, "status"))
    assert [] == found(answer([ITEM]))
    assert [] == found(answer(INSTANCE, query="id=i"))
    assert [] == found(told("GET", "vm", REFUSED + "\n", "id=x", release=NEW))
    assert [] == found(told("GET", "vm", REFUSED + "\n", "id=x", release=OLD), OLD)


def with_body(body: Any, query: str = "") -> Exchange:
    return answer(body, query=query)


@pytest.mark.parametrize(
    ("exchange", "check", "where"),
    [
        (with_body([]), "shape", "$.body"),
        (with_body(None), "shape", "$.body"),
        (with_body({**INSTANCE, "progress": "0"}), "schema", "$.body.progress"),
        (with_body({**INSTANCE, "progress": 2}), "schema", "$.body.progress"),
        (with_body({**INSTANCE, "message": None}), "schema", "$.body.message"),
        (with_body({**INSTANCE, "instance_state": "Starting"}), "schema", "$.body.instance_state"),
        (with_body({**INSTANCE, "ts": ""}), "time", "$.body.ts"),
        (with_body({**INSTANCE, "ts": "2019-12-25 16:06:20Z"}), "time", "$.body.ts"),
        (with_body({**INSTANCE, "ts": "2019-13-25T16:06:20Z"}), "time", "$.body.ts"),
        (with_body({key: value for key, value in INSTANCE.items() if key != "vlan"}), "schema", "$.body"),
        (answer(...), "envelope", "$"),
        (answer(INSTANCE, message="done"), "envelope", "$.message"),
        (answer(INSTANCE, message=...), "envelope", "$"),
        (answer(..., status="FAIL", message=""), "envelope", "$.message"),
        (answer(None, status="FAIL", message="Not found"), "envelope", "$.body"),
    ],
)
def test_what_is_wrong_with_an_answer_is_found(exchange: Exchange, check: str, where: str) -> None:
    """One change to a single instance is one violation, of a level that fails, at its place."""
    failed = not exchange.succeeded
    asked = replace(exchange, query="id=i", status=400 if failed else 200)

    assert [(check, "must", where)] == found(asked)


def test_a_status_that_is_neither_is_found() -> None:
    """An envelope says OK or FAIL, and nothing else."""
    assert ("envelope", "must", "$.status") in found(answer(INSTANCE, query="id=i", status="ok"))


@pytest.mark.parametrize(
    ("change", "check", "level"),
    [
        ({"status": 201}, "status-code", "must"),
        ({"headers": {"content-type": "text/html"}}, "content-type", "should"),
        ({"headers": {}}, "content-type", "should"),
        ({"content": b"<html>\n"}, "json", "must"),
        ({"content": b"[]\n"}, "json", "must"),
        ({"content": b'{"status":"OK","message":"","body":NaN}\n'}, "json", "must"),
        ({"content": json.dumps({"body": [], "status": "OK", "message": ""}).encode() + b"\n"}, "key-order", "note"),
        ({"content": b'{"status":"OK","message":"","body":[]}'}, "newline", "note"),
    ],
)
def test_what_is_wrong_around_the_envelope_is_found(change: dict[str, Any], check: str, level: str) -> None:
    """HTTP status, content type, JSON, and as notes the order of keys and the last line break."""
    assert [(check, level)] == [each[:2] for each in found(replace(answer([]), **change))]


def test_what_nobody_documented_is_a_note_also_within_alternatives() -> None:
    """A further key fails nothing, wherever it is; one that came with a later release is such a key."""
    assert [("undocumented", "note", "$.body.colour")] == [
        (check, level, f"{where}.colour")
        for check, level, where in found(answer({**INSTANCE, "colour": 1}, query="id=i"))
    ]
    assert ("undocumented", "note", "$.body[*].vm") in found(answer([ITEM]), OLD)
    assert [("undocumented", "note", "$")] == found(answer([], extra=None))


def test_the_same_in_many_items_is_one_violation() -> None:
    """Violations of one kind at one place of a list are counted."""
    items = [{**ITEM, "vm": {**INSTANCE, "progress": str(number)}} for number in range(3)]
    (only,) = judge().answers(answer(items))

    assert ("$.body[*].vm.progress", 3, "listVms") == (only.where, only.count, only.operation)
    assert 'schema: $.body[*].vm.progress: is "0", not of type number (3 times)' == str(only)


def test_authentication_may_refuse_anything() -> None:
    """401 with the envelope of a failure is no violation of an operation, at any release."""
    denied = '{"status":"FAIL","message":"Authentication Required"}\n'

    for release in (OLD, NEW):
        assert [] == found(replace(told("GET", "vm", denied), status=401), release)


@pytest.mark.parametrize(
    ("method", "path", "status", "wrong"),
    [
        ("GET", "/api/v1/nothing", 404, False),
        ("GET", "/api/v1/nothing", 200, True),
        ("PATCH", "/api/v1/vm", 405, False),
        ("PATCH", "/api/v1/vm", 200, True),
        ("GET", "/index.html", 200, False),
        ("GET", "/api/v1/stats", 200, False),
    ],
)
def test_what_is_no_operation_is_not_there(method: str, path: str, status: int, wrong: bool) -> None:
    """Unknown paths of the API are 404 and unknown methods 405; what the document leaves out is not judged."""
    exchange = Exchange(method, path, status=status)

    assert (["stray"] if wrong else []) == [each.check for each in judge().answers(exchange)]


# ---- requests ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "query", "sent", "expected"),
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
def test_what_a_client_does_wrong_is_found(
    method: str, path: str, query: str, sent: str, expected: list[tuple[str, Level]]
) -> None:
    """A path, a method, a query and a body that are none; what nothing reads is a note."""
    wrong = judge().requests(told(method, path, OK, query, sent))

    assert expected == [(each.check, each.level) for each in wrong]
    assert {"client"} >= {each.side for each in wrong}


def test_an_operation_that_comes_later_is_none_yet() -> None:
    """The text says that it is the release which does not have it."""
    (only,) = judge(OLD).requests(told("GET", "vlan", OK))

    assert "GET /api/v1/vlan is none at release 1.8.0" == only.text


def test_an_operation_has_its_place_in_the_document() -> None:
    """The link is a pointer into the file that ships."""
    assert "openapi/controller.yaml#/paths/~1api~1v1~1vm/delete" == judge().link("terminateVm")
    assert "" == judge().link("nothing")
