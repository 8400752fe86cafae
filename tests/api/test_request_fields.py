"""Bad input in every operation, and good input in unusual clothes.

Bad input answers FAIL in the envelope, with a message a person can act on, and changes nothing.

All operations read bodies and queries by the same few functions. So every bad body is sent by one call, which shows
what reading refuses, and every call sends one bad body at every release, which shows that it reads by those functions;
the product of both, which a full run takes, would prove no more.
"""

import io
import json
from functools import cache
from typing import Any

import pytest
from werkzeug.test import EnvironBuilder, TestResponse, run_wsgi_app

from mockanka.api.request_fields import MAX_BODY
from tests.api.client import (
    CALLS,
    GROUP,
    INSTANCE,
    NODE,
    NOWHERE,
    OLD,
    OTHER_GROUP,
    OTHER_TEMPLATE,
    RELEASES,
    TEMPLATE,
    Call,
    Wire,
    office,
    office_controller,
)
from tests.conftest import crossing

MB = 1024 * 1024


def refused(wire: Wire, answer: TestResponse, before: dict[str, Any]) -> str:
    """The message of an answer that must be a failure which changed nothing."""
    envelope = json.loads(answer.data)
    after = wire.state()
    if before != after:
        standing.cache_clear()  # the tests behind this one begin anew

    assert before == after
    assert list(envelope) == ["status", "message"]
    assert ("FAIL", wire.fail_status) == (envelope["status"], answer.status_code)
    message = str(envelope["message"])
    assert message
    assert "Traceback" not in message
    return message


def raw_body(call: Call, **values: str) -> bytes:
    """The call's body with fields given as JSON text."""
    fields = {name: json.dumps(value) for name, value in call.body.items()} | values
    return ("{" + ",".join(f"{json.dumps(name)}:{value}" for name, value in fields.items()) + "}").encode()


@cache
def standing(release: str) -> tuple[Wire, dict[str, Any]]:
    """One world for all tests in which nothing may change, and its state; each of them sees to it that nothing does."""
    wire = office(release)
    return wire, wire.state()


@cache
def pair(release: str) -> tuple[Wire, Wire]:
    return office(release), office(release)


def twins(release: str) -> tuple[Wire, Wire]:
    """Two worlds that are equal."""
    one, other = pair(release)
    for wire in (one, other):
        wire.controller.replace_with(office_controller(release))
        wire.controller.advance()
    return one, other


every_release = pytest.mark.parametrize("release", RELEASES)
every_call = pytest.mark.parametrize("name", CALLS)

SENT = [(release, name) for release in RELEASES for name in CALLS]
"""Every call at every release."""


# Bodies that are no JSON object.

BROKEN = {
    "none": b"",
    "blanks": b" \r\n\t",
    "an open brace": b"{",
    "a cut off object": b'{"id":"x"',
    "a trailing comma": b'{"id":"x",}',
    "single quotes": b"{'id':'x'}",
    "a form": b"id=x&name=y",
    "a word": b"nothing",
    "NaN": b'{"unknown":NaN}',
    "Infinity": b'{"unknown":-Infinity}',
    "a second value": b"{}{}",
    "a raw newline in a string": b'{"id":"a\nb"}',
    "a mark of byte order": b'\xef\xbb\xbf{"id":"x"}',
    "UTF-16": '{"id":"x"}'.encode("utf-16"),
    "bytes": bytes(range(256)),
    "deep arrays, never closed": b"[" * 100_000,
    "deep objects, never closed": b'{"a":' * 100_000,
}


@pytest.mark.parametrize(("release", "name", "body"), crossing(SENT, BROKEN))
def test_a_body_that_is_no_json_is_refused(release: str, name: str, body: str) -> None:
    """An empty body, or one that is not JSON, fails, and the message says that it is the body."""
    wire, before = standing(release)
    message = refused(wire, CALLS[name].send(wire, BROKEN[body]), before)

    assert message.startswith("invalid request: the body is ")


@pytest.mark.parametrize(
    ("release", "name", "body"), crossing(SENT, ["[]", "[{}]", '"x"', "1", "-1.5", "true", "false", "null"])
)
def test_a_body_that_is_no_object_is_refused(release: str, name: str, body: str) -> None:
    """JSON that is no object fails, and the message says what it is instead."""
    wire, before = standing(release)
    message = refused(wire, CALLS[name].send(wire, body.encode()), before)

    assert message.startswith("invalid request: the body must be a JSON object, not ")


@pytest.mark.parametrize("depth", [100, 300, 450, 600, 800, 950, 1_100, 5_000, 100_000])
@pytest.mark.parametrize(("opened", "closed"), [("[", "]"), ('{"a":', "}")])
def test_deep_nesting_is_read_or_refused_and_never_a_fault(depth: int, opened: str, closed: str) -> None:
    """A value nested as deep as anybody likes, in a field nobody knows, is let pass or refused."""
    wire = office()
    before = wire.state()
    inner = "1" if opened != "[" else ""
    call = CALLS["create group"]
    answer = call.send(wire, raw_body(call, unknown=opened * depth + inner + closed * depth))

    assert answer.status_code in (200, wire.fail_status)
    if json.loads(answer.data)["status"] == "FAIL":
        assert refused(wire, answer, before) == "invalid request: the body is nested too deep"


@pytest.mark.parametrize(
    ("name", "length"), crossing([(name,) for name in CALLS], [MAX_BODY + 1 - len('{"unknown":""}'), 50 * MB])
)
def test_a_body_that_is_too_long_is_refused(name: str, length: int) -> None:
    """A body of one byte too many fails, or of far too many, and the message says how long it may be."""
    wire, before = standing(OLD)
    body = b'{"unknown":"' + b"x" * length + b'"}'
    message = refused(wire, CALLS[name].send(wire, body), before)

    assert f"invalid request: the body has {len(body)} bytes, at most {MAX_BODY} are read" == message


def test_a_body_that_does_not_say_how_long_it_is_is_refused_when_too_long() -> None:
    """A body that comes in chunks, as other WSGI servers hand it on, is refused like any that is too long."""
    wire, before = standing(OLD)
    body = raw_body(CALLS["create group"], unknown='"' + "x" * (50 * MB) + '"')
    environ = EnvironBuilder("/api/v1/group", method="POST", input_stream=io.BytesIO(body)).get_environ()
    environ.pop("CONTENT_LENGTH", None)
    environ["wsgi.input_terminated"] = True
    content, status, headers = run_wsgi_app(wire.app, environ)
    message = refused(wire, TestResponse(content, status, headers, wire.app.test_request_context().request), before)

    assert message.startswith("invalid request: the body ")
    assert message.endswith(f"at most {MAX_BODY} are read")


def test_a_body_just_below_the_limit_is_read() -> None:
    """A long body is fine as long as it is not too long."""
    call = CALLS["start"]
    body = raw_body(call, name='"' + "x" * (MAX_BODY - 1000) + '"')

    assert json.loads(call.send(office(), body).data)["status"] == "OK"


# Fields.

WRONG: dict[str, list[str]] = {
    "text": ["1", "0", "1.5", "true", "false", "[]", '["x"]', "{}", "1e400"],
    "whole": ['"1"', '""', "-1", "1.5", "39.0", "1e2", "1e400", "-0.0", "true", "[]", "{}", str(2**63), "9" * 5000],
    "flag": ["0", "1", '"true"', '""', "[]", "{}"],
    "texts": ['"x"', '""', "1", "true", "{}", "[1]", "[null]", '["x",[]]', "[true]"],
    "metadata": ['"x"', '""', "1", "true", "[]"],
}
WRONG["metadata"] += [f'{{"a":{value}}}' for value in ("null", "[]", "{}", '{"b":1}', "1.5", "39.0", "1e400", "9" * 30)]
WRONG["metadata"] += ['{"a":"fine","b":[1]}']
WRONG["count"] = [*WRONG["whole"], "0", "10001", "1000000000000"]
WRONG["bit"] = [*WRONG["whole"], "2"]
WRONG["mode"] = [*WRONG["text"], '"other"', '"Number"', '" "']

TELLING: dict[str, list[str]] = {
    "text": ["1", "true", '["x"]', "{}"],
    "whole": ['"1"', "-1", "1.5", "true", "[]", "{}", str(2**63)],
    "flag": ["1", '"true"', "[]", "{}"],
    "texts": ['"x"', "1", "true", "{}", "[1]"],
    "metadata": ['"x"', "1", "true", "[]", '{"a":{}}'],
}
"""Of the wrong values for each kind those that another kind takes, or a looser one, or one with other limits."""
TELLING["count"] = [*TELLING["whole"], "0", "10001"]
TELLING["bit"] = [*TELLING["whole"], "2"]
TELLING["mode"] = [*TELLING["text"], '"other"']

FIELDS = [(name, field) for name, call in CALLS.items() for field in call.kinds]


def wrong_fields() -> list[Any]:
    """The first field of each kind with every wrong value, every other with those that tell its kind from others.

    At the other release one of each field is enough: it shows that the release knows the field.
    """
    kinds: set[str] = set()
    rows = []
    for name, field in FIELDS:
        kind = CALLS[name].kinds[field]
        values = TELLING[kind] if kind in kinds else WRONG[kind]
        kinds.add(kind)
        rows += [(OLD, name, field, value) for value in values]
        rows += [(release, name, field, values[0]) for release in RELEASES if release != OLD]
    return [pytest.param(*row, id=f"{row[0]}-{row[1]}-{row[2]}-{row[3][:20]}") for row in rows]


@pytest.mark.parametrize(("release", "name", "field", "value"), wrong_fields())
def test_a_value_of_the_wrong_type_or_out_of_range_is_refused(release: str, name: str, field: str, value: str) -> None:
    """Each field takes one type within its limits, nothing that only looks like it; the message names the field."""
    wire, before = standing(release)
    message = refused(wire, CALLS[name].send(wire, raw_body(CALLS[name], **{field: value})), before)

    assert message.startswith(f"invalid request: {field}: ")
    assert "must be" in message or "is required" in message
    assert len(message) < 300


REQUIRED = [(name, field) for name, call in CALLS.items() for field in call.required]


@pytest.mark.parametrize(
    ("release", "name", "field", "value"),
    crossing([(release, name, field) for release in RELEASES for name, field in REQUIRED], [None, "null"]),
)
def test_a_required_field_that_is_missing_or_null_is_refused(
    release: str, name: str, field: str, value: str | None
) -> None:
    """A field that must be there may neither be left out nor be null; the message names it."""
    wire, before = standing(release)
    call = CALLS[name].without(field)
    body = call.raw if value is None else raw_body(call, **{field: value})

    assert f"invalid request: {field}: is required" == refused(wire, call.send(wire, body), before)


@pytest.mark.parametrize(
    ("name", "field"), [(name, field) for name, field in REQUIRED if CALLS[name].kinds[field] == "text"]
)
def test_a_required_text_may_not_be_empty(name: str, field: str) -> None:
    """An empty string is no id and no name; the message names the field."""
    wire, before = standing(OLD)
    message = refused(wire, CALLS[name].send(wire, raw_body(CALLS[name], **{field: '""'})), before)

    assert message.startswith(f"invalid request: {field}: is required")


@every_release
def test_every_wrong_field_is_named_at_once(release: str) -> None:
    """Several faults are told in one message, so that nobody has to come back for each."""
    wire, before = standing(release)
    body = {"count": 0, "priority": 10_001, "metadata": {"a": {}}, "tag": 1}
    message = refused(wire, wire.send("POST", "vm", json.dumps(body).encode()), before)

    assert {"vmid", "count", "priority", "metadata", "tag"} == {
        part.split(":")[0] for part in message.removeprefix("invalid request: ").split("; ")
    }


UNKNOWN: list[tuple[str, dict[str, Any], str]] = [
    ("start", {"vmid": NOWHERE}, "VM not in the registry"),
    ("start", {"vmid": "\u0000"}, "VM not in the registry"),
    ("start", {"tag": "nope"}, "No such tag nope"),
    ("start", {"tag": " xcode-15"}, "No such tag  xcode-15"),
    ("start", {"version": 2}, "No such version 2"),
    ("start", {"version": 2**63 - 1}, f"No such version {2**63 - 1}"),
    ("start", {"node_id": NOWHERE}, f"No such node {NOWHERE}"),
    ("start", {"group_id": NOWHERE}, f"No such group {NOWHERE}"),
    ("start", {"usb_device": "android"}, "No such USB device android"),
    ("terminate", {"id": NOWHERE}, "Not found"),
    ("delete node", {"node_id": NOWHERE}, "Not found"),
    ("configure", {"node_id": NOWHERE}, "Not found"),
    ("join groups", {"group_ids": [NOWHERE]}, f"No such group {NOWHERE}"),
    ("join groups", {"node_ids": [NOWHERE, NODE]}, f"No such node {NOWHERE}"),
    ("leave groups", {"group_ids": [GROUP, NOWHERE]}, f"No such group {NOWHERE}"),
    ("leave groups", {"node_ids": [NOWHERE]}, f"No such node {NOWHERE}"),
    ("distribute", {"template_id": NOWHERE}, "VM not in the registry"),
    ("distribute", {"tag": "nope"}, "No such tag nope"),
    ("distribute", {"version": 2}, "No such version 2"),
    ("distribute", {"node_ids": [NODE, NOWHERE]}, f"No such node {NOWHERE}"),
    ("distribute", {"group_id": NOWHERE}, f"No such group {NOWHERE}"),
    ("save", {"id": NOWHERE}, "Not found"),
    ("save", {"target_vm_id": NOWHERE}, "VM not in the registry"),
    ("create group", {"fallback_group_id": NOWHERE}, f"No such group {NOWHERE}"),
    ("update group", {"fallback_group_id": NOWHERE}, f"No such group {NOWHERE}"),
]


@every_release
@pytest.mark.parametrize(("name", "changed", "message"), UNKNOWN)
def test_a_body_that_names_the_unknown_is_refused(
    release: str, name: str, changed: dict[str, Any], message: str
) -> None:
    """An id, template, tag, version, node, group or device that is not there is refused with its message."""
    wire, before = standing(release)

    assert message == refused(wire, CALLS[name].but(**changed).send(wire), before)


# Queries.

BODIED = {("PUT", "vm"): b'{"name":"x"}', ("PUT", "group"): b'{"name":"x"}'}
BY_QUERY = [
    (release, *row)
    for release in RELEASES
    for row in [
        ("PUT", "vm", INSTANCE),
        ("DELETE", "registry/vm", TEMPLATE),
        ("DELETE", "registry/revert", TEMPLATE),
        ("PUT", "group", GROUP),
        ("DELETE", "group", GROUP),
    ]
]


@pytest.mark.parametrize(
    ("release", "method", "path", "there", "query"),
    crossing(BY_QUERY, ["", "id=", "ID={}", "id", "id=&id={}", "=", "&&&", "%69%64="]),
)
def test_a_required_query_parameter_that_is_missing_is_refused(
    release: str, method: str, path: str, there: str, query: str
) -> None:
    """An id that must be in the query may be neither missing nor empty; the message names it."""
    wire, before = standing(release)
    answer = wire.send(method, path, BODIED.get((method, path)), query.format(there))

    assert refused(wire, answer, before) == "invalid request: query parameter id is required"


@pytest.mark.parametrize(
    ("release", "method", "path", "there", "query"),
    crossing(BY_QUERY, [f"id={NOWHERE}", f"id={NOWHERE}&id={{}}", "id=%ff%00", "id={}%20", "id=%E2%80%A8"]),
)
def test_a_query_that_names_the_unknown_is_refused(
    release: str, method: str, path: str, there: str, query: str
) -> None:
    """An id in the query that names nothing fails with Not found; of several the first counts."""
    wire, before = standing(release)

    assert (
        refused(wire, wire.send(method, path, BODIED.get((method, path)), query.format(there)), before) == "Not found"
    )


LISTS = [
    (release, path) for release in RELEASES for path in ("vm", "node", "registry/vm", "registry/vm/distribute", "image")
]
"""What is asked for as a list, or one by its id."""


@pytest.mark.parametrize(
    ("release", "path", "query"),
    crossing(LISTS, [f"id={NOWHERE}", "id=%ff", "id=%00", "id=" + "x" * 10_000, f"id={NOWHERE}&id="]),
)
def test_asking_for_one_that_is_not_there_is_refused(release: str, path: str, query: str) -> None:
    """Asking for one thing by an id that names nothing fails with Not found."""
    wire, before = standing(release)

    assert refused(wire, wire.send("GET", path, query=query), before) == "Not found"


@pytest.mark.parametrize(("release", "path", "query"), crossing(LISTS, ["id=", "id", f"id=&id={INSTANCE}", "other=1"]))
def test_an_empty_id_asks_for_the_list(release: str, path: str, query: str) -> None:
    """An empty id counts as absent, also when another follows it."""
    wire, _ = standing(release)

    assert wire.send("GET", path).data == wire.send("GET", path, query=query).data


@pytest.mark.parametrize(
    ("release", "parameter", "value"),
    crossing(
        [(release, parameter) for release in RELEASES for parameter in ("version", "number")],
        ["-1", "1.5", "1.0", "x", "0x1", "%2B1", "1%20", "1e2", "%EF%BC%91", "true", "9" * 30],
    ),
)
def test_a_query_parameter_that_is_no_whole_number_is_refused(release: str, parameter: str, value: str) -> None:
    """A version in the query is a whole number, 0 or more; the message names the parameter."""
    wire, before = standing(release)
    answer = wire.send("DELETE", "registry/revert", query=f"id={TEMPLATE}&{parameter}={value}")

    assert refused(wire, answer, before).startswith(
        f"invalid request: query parameter {parameter} must be a whole number from 0 to {2**63 - 1}, not "
    )


@pytest.mark.parametrize("value", [10**18, 2**63 - 1])
def test_a_whole_number_in_a_query_may_be_as_large_as_in_a_body(value: int) -> None:
    """A version that no template has is unknown, however large: what a body takes a query takes as well."""
    wire, before = standing(OLD)
    answer = wire.send("DELETE", "registry/revert", query=f"id={TEMPLATE}&version={value}")

    assert f"No such version {value}" == refused(wire, answer, before)


@every_release
@pytest.mark.parametrize("body", [b"[]", b"{", b'{"tag":1}', b'{"number":"0"}', b'{"version":-1}', b'{"version":true}'])
def test_a_revert_with_a_bad_body_is_refused(release: str, body: bytes) -> None:
    """Whoever selects in a body, and wrongly, does not lose the latest version for it."""
    wire, before = standing(release)

    assert refused(wire, wire.send("DELETE", "registry/revert", body, f"id={TEMPLATE}"), before).startswith(
        "invalid request: "
    )


# Good input.

CONTENT_TYPES = [
    None,
    "",
    "application/json",
    "application/json; charset=utf-8",
    "application/json; charset=iso-8859-1",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "text/plain",
    "application/octet-stream",
    "nonsense",
]


@pytest.mark.parametrize(("release", "name", "content_type"), crossing(SENT, CONTENT_TYPES))
def test_a_body_is_json_whatever_its_content_type_says(release: str, name: str, content_type: str | None) -> None:
    """Clients send JSON with any Content-Type, or none: all are read alike, on DELETE as well."""
    call = CALLS[name]
    plain, typed = twins(release)
    expected = call.send(plain).data
    answer = typed.send(call.method, call.path, call.raw, call.query, content_type=content_type)

    assert (200, expected) == (answer.status_code, answer.data)
    assert plain.state() == typed.state()


def changes_alike(release: str, call: Call, raw: bytes) -> None:
    """Another body does exactly what the plain one does."""
    plain, other = twins(release)

    assert call.send(plain).data == call.send(other, raw).data
    assert plain.state() == other.state()


@pytest.mark.parametrize(("release", "name", "change"), crossing(SENT, [str.upper, str.title, str.swapcase]))
def test_keys_are_taken_in_any_case(release: str, name: str, change: Any) -> None:
    """A key in another case is the same key, as Go's decoder has it."""
    call = CALLS[name]

    changes_alike(release, call, json.dumps({change(key): value for key, value in call.body.items()}).encode())


@pytest.mark.parametrize(
    ("name", "field"),
    [(name, field) for name, field in FIELDS if field not in (*CALLS[name].required, *CALLS[name].body)],
)
def test_null_means_not_given(name: str, field: str) -> None:
    """A field that may be left out may as well be null; the fallback of a group has none then."""
    changes_alike(OLD, CALLS[name], raw_body(CALLS[name], **{field: "null"}))


EMPTY = {"text": '""', "mode": '""', "texts": "[]", "metadata": "{}"}


@pytest.mark.parametrize(
    ("name", "field"),
    [
        (name, field)
        for name, field in FIELDS
        if field not in (*CALLS[name].required, *CALLS[name].body) and CALLS[name].kinds[field] in EMPTY
        if name not in ("update", "update group")  # a blank means something there
    ],
)
def test_an_empty_optional_field_is_not_given(name: str, field: str) -> None:
    """Clients send empty strings and lists for what they do not ask for."""
    changes_alike(OLD, CALLS[name], raw_body(CALLS[name], **{field: EMPTY[CALLS[name].kinds[field]]}))


@every_release
@every_call
def test_unknown_fields_are_let_pass(release: str, name: str) -> None:
    """Fields nobody knows, of whatever kind, are not looked at; one client always sends an empty disk."""
    changes_alike(release, CALLS[name], raw_body(CALLS[name], disk="{}", x="[1,null,1e400]", y="null", z='{"a":[]}'))


@every_release
@every_call
def test_blanks_around_a_body_do_not_matter(release: str, name: str) -> None:
    """JSON may have blanks around it and between its tokens."""
    changes_alike(release, CALLS[name], b" \r\n\t" + json.dumps(CALLS[name].body, indent=2).encode() + b"\n\n")


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (rb'{"name":"a\ud800b"}', "a\ufffdb"),
        (rb'{"name":"a\udc00"}', "a\ufffd"),
        (rb'{"name":"\ud83d\ude00"}', "\U0001f600"),
        (b'{"name":"a\xffb"}', "a\ufffdb"),
        ('{"name":"zu\u0308rich"}'.encode(), "zu\u0308rich"),
        ('{"name":"caf\xe9"}'.encode("latin-1"), "caf\ufffd"),
        (b'{"name":"\\u0000"}', "\0"),
        (b'{"name":"a","name":"b"}', "b"),
        (b'{"NAME":"a"}', "a"),
    ],
)
def test_text_that_is_no_proper_unicode_is_made_proper(body: bytes, name: str) -> None:
    """Halves of surrogate pairs and bytes that are no UTF-8 become U+FFFD, as Go makes them."""
    wire = office()
    wire.send("PUT", "vm", body, f"id={INSTANCE}")
    made = json.loads(wire.send("POST", "group", body).data)["body"]

    assert (name, name) == (wire.get("vm")[0]["name"], made["name"])


@pytest.mark.parametrize("key", [rb"\ud800", rb"\u0000", "ü".encode(), b"\xff", b""])
def test_metadata_takes_keys_of_any_text(key: bytes) -> None:
    """Metadata may have any text for a key, and shows it again."""
    wire = office()
    answer = wire.send("PUT", "vm", b'{"metadata":{"%b":"v"}}' % key, f"id={INSTANCE}")

    assert answer.data == b'{"status":"OK","message":""}\n'
    assert list(wire.get("vm", f"id={INSTANCE}")["metadata"].values()) == ["v"]


def test_the_limits_themselves_are_taken() -> None:
    """The least and the largest values within the limits are fine."""
    wire = office()
    low = {"count": 1, "priority": 1, "startup_script_condition": 0, "vcpu": 0, "vram": 0, "version": 0}
    high = {"count": 10_000, "priority": 10_000, "startup_script_condition": 1, "metadata": {"a": 2**63 - 1, "b": -1}}

    assert [len(wire.do("POST", "vm", {"vmid": OTHER_TEMPLATE, **values})) for values in (low, high)] == [1, 10_000]


@pytest.mark.parametrize(("field", "value"), [("vcpu", 1024), ("vram", 16 * 1024 * 1024)])
def test_a_vm_larger_than_any_node_is_started_and_shown(field: str, value: int) -> None:
    """Sizes are not held against what nodes have: the instance is started, and every answer still comes."""
    wire = office()
    wire.start(vmid=TEMPLATE, **{field: value})
    wire.controller.clock.advance(60 * 10**9)

    assert [wire.send("GET", path).status_code for path in ("vm", "node", "usb")] == [200] * 3


def test_a_body_on_an_operation_that_takes_none_is_not_looked_at() -> None:
    """GET, and DELETE by query, ignore whatever body comes with them."""
    wire = office()
    answers = [
        wire.send("GET", "vm", b"{"),
        wire.send("GET", "status", b"[]"),
        wire.send("DELETE", "registry/vm", b"x", f"id={TEMPLATE}"),
        wire.send("DELETE", "group", b"x", f"id={OTHER_GROUP}"),
    ]

    assert [json.loads(answer.data)["status"] for answer in answers] == ["OK"] * 4
