"""Wrong and right values in the bodies and queries of every operation.

What is wrong is refused with FAIL in the envelope and a message that says what would be right, and changes nothing.

All operations read bodies and queries by the same few functions. So one sample request is sent with every bad body,
which shows what the functions refuse, and every sample request with one bad body at every release, which shows that it
is read by those functions. The product of both, which a full run tests, would prove no more.
"""

import io
import json
import re
from functools import cache
from typing import Any

import pytest
from werkzeug.test import EnvironBuilder, TestResponse, run_wsgi_app

from mockanka.api.json_errors import MAX_DEPTH, explain_json_error
from mockanka.api.request_fields import MAX_BODY
from tests.api.client import (
    GROUP,
    INSTANCE,
    NODE,
    OLD,
    OTHER_GROUP,
    OTHER_TEMPLATE,
    RELEASES,
    SAMPLE_REQUESTS,
    TEMPLATE,
    UNKNOWN_ID,
    ApiClient,
    SampleRequest,
    default_api,
    default_controller,
)
from tests.conftest import crossing

MB = 1024 * 1024


def check_refusal(api: ApiClient, response: TestResponse, before: dict[str, Any]) -> str:
    """Check that a response is a failure that changed nothing, and return its message."""
    envelope = json.loads(response.data)
    after = api.dump()
    if before != after:
        shared_api.cache_clear()  # later tests get another one

    assert before == after
    assert list(envelope) == ["status", "message"]
    assert ("FAIL", api.failure_status) == (envelope["status"], response.status_code)
    message = str(envelope["message"])
    assert message
    assert "Traceback" not in message
    return message


def raw_body(sample: SampleRequest, **values: str) -> bytes:
    """Return the body of a sample request with other values of some fields, given as JSON text."""
    fields = {name: json.dumps(value) for name, value in sample.body.items()} | values
    return ("{" + ",".join(f"{json.dumps(name)}:{value}" for name, value in fields.items()) + "}").encode()


@cache
def shared_api(release: str) -> tuple[ApiClient, dict[str, Any]]:
    """Return a client that all tests share in which nothing may change, and the state; they check that nothing does."""
    api = default_api(release)
    return api, api.dump()


@cache
def pair(release: str) -> tuple[ApiClient, ApiClient]:
    """Return two clients of equal controllers, which tests share."""
    return default_api(release), default_api(release)


def twins(release: str) -> tuple[ApiClient, ApiClient]:
    """Return two clients of equal controllers."""
    first, second = pair(release)
    for api in (first, second):
        api.controller.replace_with(default_controller(release))
        api.controller.advance()
    return first, second


every_release = pytest.mark.parametrize("release", RELEASES)
every_sample = pytest.mark.parametrize("name", SAMPLE_REQUESTS)

RELEASES_AND_SAMPLES = [(release, name) for release in RELEASES for name in SAMPLE_REQUESTS]
"""Every sample request at every release."""


# Bodies.

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


@pytest.mark.parametrize(("release", "name", "body"), crossing(RELEASES_AND_SAMPLES, BROKEN))
def test_a_body_that_is_no_json_is_refused(release: str, name: str, body: str) -> None:
    """An empty body, or one that is not JSON, is refused by every operation as Go's decoder refuses it."""
    api, before = shared_api(release)
    message = check_refusal(api, SAMPLE_REQUESTS[name].send(api, BROKEN[body]), before)

    assert explain_json_error(BROKEN[body]) == message
    assert message == "unexpected end of JSON input" or message.startswith("invalid character '")


@pytest.mark.parametrize(
    ("release", "name", "body"),
    crossing(RELEASES_AND_SAMPLES, ["[]", "[{}]", '"x"', "1", "-1.5", "true", "false", "null"]),
)
def test_a_body_that_is_no_object_is_refused(release: str, name: str, body: str) -> None:
    """JSON that is no object is refused as Go refuses it, but for null, which Go would take for an empty one."""
    api, before = shared_api(release)
    message = check_refusal(api, SAMPLE_REQUESTS[name].send(api, body.encode()), before)

    if body == "null":
        assert message == "invalid request: the body must be a JSON object, not null"
    else:
        kind = {"[": "array", '"': "string", "t": "bool", "f": "bool"}.get(body[0], "number")
        assert re.fullmatch(rf"json: cannot unmarshal {kind} into Go value of type main\.[A-Za-z]+Body", message)


@pytest.mark.parametrize("depth", [100, 300, 450, 600, 800, 950, 1_100, 5_000, 100_000])
@pytest.mark.parametrize(("opened", "closed"), [("[", "]"), ('{"a":', "}")])
def test_deep_nesting_is_read_or_refused(depth: int, opened: str, closed: str) -> None:
    """A deeply nested value of an unknown field is ignored or refused, at any depth."""
    api = default_api()
    before = api.dump()
    inner = "1" if opened != "[" else ""
    sample = SAMPLE_REQUESTS["create group"]
    response = sample.send(api, raw_body(sample, unknown=opened * depth + inner + closed * depth))

    assert response.status_code in (200, api.failure_status)
    if json.loads(response.data)["status"] == "FAIL":
        too_deep = f"invalid character '{opened[0]}' exceeded max depth"
        expected = too_deep if depth > MAX_DEPTH else "invalid request: the body is nested too deep"
        assert expected == check_refusal(api, response, before)


@pytest.mark.parametrize(
    ("name", "length"), crossing([(name,) for name in SAMPLE_REQUESTS], [MAX_BODY + 1 - len('{"unknown":""}'), 50 * MB])
)
def test_a_body_that_is_too_long_is_refused(name: str, length: int) -> None:
    """A body of one byte too many, or of far too many, is refused with the length that is allowed."""
    api, before = shared_api(OLD)
    body = b'{"unknown":"' + b"x" * length + b'"}'
    message = check_refusal(api, SAMPLE_REQUESTS[name].send(api, body), before)

    assert f"invalid request: the body has {len(body)} bytes, at most {MAX_BODY} are read" == message


def test_a_body_without_a_length_is_refused_if_it_is_too_long() -> None:
    """A body in chunks, as other WSGI servers pass it on, has the same limit."""
    api, before = shared_api(OLD)
    body = raw_body(SAMPLE_REQUESTS["create group"], unknown='"' + "x" * (50 * MB) + '"')
    environ = EnvironBuilder("/api/v1/group", method="POST", input_stream=io.BytesIO(body)).get_environ()
    environ.pop("CONTENT_LENGTH", None)
    environ["wsgi.input_terminated"] = True
    content, status, headers = run_wsgi_app(api.app, environ)
    message = check_refusal(api, TestResponse(content, status, headers, api.app.test_request_context().request), before)

    assert message.startswith("invalid request: the body ")
    assert message.endswith(f"at most {MAX_BODY} are read")


def test_a_body_just_below_the_limit_is_read() -> None:
    """A body just below the limit is accepted."""
    sample = SAMPLE_REQUESTS["start"]
    body = raw_body(sample, name='"' + "x" * (MAX_BODY - 1000) + '"')

    assert json.loads(sample.send(default_api(), body).data)["status"] == "OK"


# Fields.

WRONG_VALUES: dict[str, list[str]] = {
    "text": ["1", "0", "1.5", "true", "false", "[]", '["x"]', "{}", "1e400"],
    "whole": ['"1"', '""', "-1", "1.5", "39.0", "1e2", "1e400", "-0.0", "true", "[]", "{}", str(2**63), "9" * 5000],
    "flag": ["0", "1", '"true"', '""', "[]", "{}"],
    "texts": ['"x"', '""', "1", "true", "{}", "[1]", "[null]", '["x",[]]', "[true]"],
    "metadata": ['"x"', '""', "1", "true", "[]"],
}
WRONG_VALUES["metadata"] += [
    f'{{"a":{value}}}' for value in ("null", "[]", "{}", '{"b":1}', "1.5", "39.0", "1e400", "9" * 30)
]
WRONG_VALUES["metadata"] += ['{"a":"fine","b":[1]}']
WRONG_VALUES["count"] = [*WRONG_VALUES["whole"], "0", "10001", "1000000000000"]
WRONG_VALUES["bit"] = [*WRONG_VALUES["whole"], "2"]
WRONG_VALUES["mode"] = [*WRONG_VALUES["text"], '"other"', '"Number"', '" "']

TELLING_VALUES: dict[str, list[str]] = {
    "text": ["1", "true", '["x"]', "{}"],
    "whole": ['"1"', "-1", "1.5", "true", "[]", "{}", str(2**63)],
    "flag": ["1", '"true"', "[]", "{}"],
    "texts": ['"x"', "1", "true", "{}", "[1]"],
    "metadata": ['"x"', "1", "true", "[]", '{"a":{}}'],
}
"""The wrong values of each kind that a field of another kind, or with other limits, would take."""
TELLING_VALUES["count"] = [*TELLING_VALUES["whole"], "0", "10001"]
TELLING_VALUES["bit"] = [*TELLING_VALUES["whole"], "2"]
TELLING_VALUES["mode"] = [*TELLING_VALUES["text"], '"other"']

FIELDS = [(name, field) for name, sample in SAMPLE_REQUESTS.items() for field in sample.kinds]


def wrong_fields() -> list[Any]:
    """Return rows with every wrong value for the first field of each kind, and the telling ones for every other.

    At the other release one row of each field is enough: it shows that the release knows the field.
    """
    kinds: set[str] = set()
    rows = []
    for name, field in FIELDS:
        kind = SAMPLE_REQUESTS[name].kinds[field]
        values = TELLING_VALUES[kind] if kind in kinds else WRONG_VALUES[kind]
        kinds.add(kind)
        rows += [(OLD, name, field, value) for value in values]
        rows += [(release, name, field, values[0]) for release in RELEASES if release != OLD]
    return [pytest.param(*row, id=f"{row[0]}-{row[1]}-{row[2]}-{row[3][:20]}") for row in rows]


@pytest.mark.parametrize(("release", "name", "field", "value"), wrong_fields())
def test_a_value_of_the_wrong_type_or_out_of_range_is_refused(release: str, name: str, field: str, value: str) -> None:
    """Each field takes one type within its limits; the message names the field, and is Go's for what it cannot hold."""
    api, before = shared_api(release)
    message = check_refusal(
        api, SAMPLE_REQUESTS[name].send(api, raw_body(SAMPLE_REQUESTS[name], **{field: value})), before
    )

    if message.startswith("json: "):
        assert re.fullmatch(rf"json: cannot unmarshal .+ into Go struct field [A-Za-z]+\.{field} of type .+", message)
    else:
        assert message.startswith(f"invalid request: {field}: ")
        assert "must be" in message or "is required" in message
        assert _fits_go(SAMPLE_REQUESTS[name].kinds[field], json.loads(value, parse_float=str))
    assert len(message) < 300 + len(value)


def _fits_go(kind: str, value: Any) -> bool:
    """Return whether Go can hold a value in a field of a kind; numbers that are not whole are given as strings."""
    match kind:
        case "whole" | "count" | "bit":
            return isinstance(value, int) and not isinstance(value, bool)
        case "texts":
            return isinstance(value, list) and all(item is None or isinstance(item, str) for item in value)
        case "metadata":
            return isinstance(value, dict)
    return isinstance(value, bool if kind == "flag" else str)


REQUIRED = [(name, field) for name, sample in SAMPLE_REQUESTS.items() for field in sample.required]


@pytest.mark.parametrize(
    ("release", "name", "field", "value"),
    crossing([(release, name, field) for release in RELEASES for name, field in REQUIRED], [None, "null"]),
)
def test_a_required_field_that_is_missing_or_null_is_refused(
    release: str, name: str, field: str, value: str | None
) -> None:
    """A required field may be neither missing nor null; the message names it."""
    api, before = shared_api(release)
    sample = SAMPLE_REQUESTS[name].without(field)
    body = sample.raw if value is None else raw_body(sample, **{field: value})

    assert f"invalid request: {field}: is required" == check_refusal(api, sample.send(api, body), before)


@pytest.mark.parametrize(
    ("name", "field"), [(name, field) for name, field in REQUIRED if SAMPLE_REQUESTS[name].kinds[field] == "text"]
)
def test_a_required_text_may_not_be_empty(name: str, field: str) -> None:
    """A required text may not be empty; the message names the field."""
    api, before = shared_api(OLD)
    message = check_refusal(
        api, SAMPLE_REQUESTS[name].send(api, raw_body(SAMPLE_REQUESTS[name], **{field: '""'})), before
    )

    assert message.startswith(f"invalid request: {field}: is required")


@every_release
def test_every_wrong_field_is_named_at_once(release: str) -> None:
    """One message names all wrong fields whose values Go can hold."""
    api, before = shared_api(release)
    body = {"count": 0, "priority": 10_001, "metadata": {"a": {}}}
    message = check_refusal(api, api.send("POST", "vm", json.dumps(body).encode()), before)

    assert {"vmid", "count", "priority", "metadata"} == {
        part.split(":")[0] for part in message.removeprefix("invalid request: ").split("; ")
    }


UNKNOWN: list[tuple[str, dict[str, Any], str]] = [
    ("start", {"vmid": UNKNOWN_ID}, "VM not in the registry"),
    ("start", {"vmid": "\u0000"}, "VM not in the registry"),
    ("start", {"tag": "nope"}, "No such tag nope"),
    ("start", {"tag": " xcode-15"}, "No such tag  xcode-15"),
    ("start", {"version": 2}, "No such version 2"),
    ("start", {"version": 2**63 - 1}, f"No such version {2**63 - 1}"),
    ("start", {"node_id": UNKNOWN_ID}, f"No such node {UNKNOWN_ID}"),
    ("start", {"group_id": UNKNOWN_ID}, f"No such group {UNKNOWN_ID}"),
    ("start", {"usb_device": "android"}, "No such USB device android"),
    ("terminate", {"id": UNKNOWN_ID}, "Not found"),
    ("delete node", {"node_id": UNKNOWN_ID}, "Not found"),
    ("configure", {"node_id": UNKNOWN_ID}, "Not found"),
    ("join groups", {"group_ids": [UNKNOWN_ID]}, f"No such group {UNKNOWN_ID}"),
    ("join groups", {"node_ids": [UNKNOWN_ID, NODE]}, f"No such node {UNKNOWN_ID}"),
    ("leave groups", {"group_ids": [GROUP, UNKNOWN_ID]}, f"No such group {UNKNOWN_ID}"),
    ("leave groups", {"node_ids": [UNKNOWN_ID]}, f"No such node {UNKNOWN_ID}"),
    ("distribute", {"template_id": UNKNOWN_ID}, "VM not in the registry"),
    ("distribute", {"tag": "nope"}, "No such tag nope"),
    ("distribute", {"version": 2}, "No such version 2"),
    ("distribute", {"node_ids": [NODE, UNKNOWN_ID]}, f"No such node {UNKNOWN_ID}"),
    ("distribute", {"group_id": UNKNOWN_ID}, f"No such group {UNKNOWN_ID}"),
    ("save", {"id": UNKNOWN_ID}, "Not found"),
    ("save", {"target_vm_id": UNKNOWN_ID}, "VM not in the registry"),
    ("create group", {"fallback_group_id": UNKNOWN_ID}, f"No such group {UNKNOWN_ID}"),
    ("update group", {"fallback_group_id": UNKNOWN_ID}, f"No such group {UNKNOWN_ID}"),
]


@every_release
@pytest.mark.parametrize(("name", "changed", "message"), UNKNOWN)
def test_a_body_with_an_unknown_id_or_name_is_refused(
    release: str, name: str, changed: dict[str, Any], message: str
) -> None:
    """Unknown ids, templates, tags, versions, nodes, groups and devices are refused with their messages."""
    api, before = shared_api(release)

    assert message == check_refusal(api, SAMPLE_REQUESTS[name].with_fields(**changed).send(api), before)


# Queries.

QUERY_BODIES = {("PUT", "vm"): b'{"name":"x"}', ("PUT", "group"): b'{"name":"x"}'}
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
    ("release", "method", "path", "known_id", "query"),
    crossing(BY_QUERY, ["", "id=", "ID={}", "id", "id=&id={}", "=", "&&&", "%69%64="]),
)
def test_a_required_query_parameter_that_is_missing_is_refused(
    release: str, method: str, path: str, known_id: str, query: str
) -> None:
    """A required id in the query may be neither missing nor empty; the message names it."""
    api, before = shared_api(release)
    response = api.send(method, path, QUERY_BODIES.get((method, path)), query.format(known_id))

    assert check_refusal(api, response, before) == "invalid request: query parameter id is required"


@pytest.mark.parametrize(
    ("release", "method", "path", "known_id", "query"),
    crossing(BY_QUERY, [f"id={UNKNOWN_ID}", f"id={UNKNOWN_ID}&id={{}}", "id=%ff%00", "id={}%20", "id=%E2%80%A8"]),
)
def test_a_query_with_an_unknown_id_is_refused(release: str, method: str, path: str, known_id: str, query: str) -> None:
    """An unknown id in the query fails with Not found; the first of several ids counts."""
    api, before = shared_api(release)

    assert (
        check_refusal(api, api.send(method, path, QUERY_BODIES.get((method, path)), query.format(known_id)), before)
        == "Not found"
    )


LISTS = [
    (release, path) for release in RELEASES for path in ("vm", "node", "registry/vm", "registry/vm/distribute", "image")
]
"""Paths whose GET answers with a list, or with one item by its id."""


@pytest.mark.parametrize(
    ("release", "path", "query"),
    crossing(LISTS, [f"id={UNKNOWN_ID}", "id=%ff", "id=%00", "id=" + "x" * 10_000, f"id={UNKNOWN_ID}&id="]),
)
def test_a_get_of_an_unknown_id_is_refused(release: str, path: str, query: str) -> None:
    """A GET with an unknown id fails with Not found."""
    api, before = shared_api(release)

    assert check_refusal(api, api.send("GET", path, query=query), before) == "Not found"


@pytest.mark.parametrize(("release", "path", "query"), crossing(LISTS, ["id=", "id", f"id=&id={INSTANCE}", "other=1"]))
def test_a_get_with_an_empty_id_is_the_list(release: str, path: str, query: str) -> None:
    """An empty id counts as missing, also when another one follows."""
    api, _ = shared_api(release)

    assert api.send("GET", path).data == api.send("GET", path, query=query).data


@pytest.mark.parametrize(
    ("release", "parameter", "value"),
    crossing(
        [(release, parameter) for release in RELEASES for parameter in ("version", "number")],
        ["-1", "1.5", "1.0", "x", "0x1", "%2B1", "1%20", "1e2", "%EF%BC%91", "true", "9" * 30],
    ),
)
def test_a_query_parameter_that_is_no_whole_number_is_refused(release: str, parameter: str, value: str) -> None:
    """A version in the query must be a whole number, 0 or more; the message names the parameter."""
    api, before = shared_api(release)
    response = api.send("DELETE", "registry/revert", query=f"id={TEMPLATE}&{parameter}={value}")

    assert check_refusal(api, response, before).startswith(
        f"invalid request: query parameter {parameter} must be a whole number from 0 to {2**63 - 1}, not "
    )


@pytest.mark.parametrize("value", [10**18, 2**63 - 1])
def test_a_whole_number_in_a_query_may_be_as_large_as_in_a_body(value: int) -> None:
    """A large version in the query is valid, and unknown to the template."""
    api, before = shared_api(OLD)
    response = api.send("DELETE", "registry/revert", query=f"id={TEMPLATE}&version={value}")

    assert f"No such version {value}" == check_refusal(api, response, before)


@every_release
@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        (b"[]", "json: cannot unmarshal array into Go value of type "),
        (b'{"tag":1}', "json: cannot unmarshal number into Go struct field "),
        (b'{"number":"0"}', "json: cannot unmarshal string into Go struct field "),
        (b'{"version":-1}', "invalid request: version: "),
        (b'{"version":true}', "json: cannot unmarshal bool into Go struct field "),
    ],
)
def test_a_revert_with_a_bad_body_is_refused(release: str, body: bytes, refusal: str) -> None:
    """A selector that is not valid is refused, instead of the latest version being deleted."""
    api, before = shared_api(release)
    response = api.send("DELETE", "registry/revert", body, f"id={TEMPLATE}")

    assert check_refusal(api, response, before).startswith(refusal)


# Valid requests.

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


@pytest.mark.parametrize(("release", "name", "content_type"), crossing(RELEASES_AND_SAMPLES, CONTENT_TYPES))
def test_a_body_is_json_whatever_its_content_type_says(release: str, name: str, content_type: str | None) -> None:
    """A body is read as JSON whatever its Content-Type, on DELETE as well."""
    sample = SAMPLE_REQUESTS[name]
    plain, typed = twins(release)
    expected = sample.send(plain).data
    response = typed.send(sample.method, sample.path, sample.raw, sample.query, content_type=content_type)

    assert (200, expected) == (response.status_code, response.data)
    assert plain.dump() == typed.dump()


def check_same_effect(release: str, sample: SampleRequest, raw: bytes) -> None:
    """Check that another body has the same response and effect as the plain one."""
    plain, other = twins(release)

    assert sample.send(plain).data == sample.send(other, raw).data
    assert plain.dump() == other.dump()


@pytest.mark.parametrize(
    ("release", "name", "change"), crossing(RELEASES_AND_SAMPLES, [str.upper, str.title, str.swapcase])
)
def test_keys_are_accepted_in_any_case(release: str, name: str, change: Any) -> None:
    """A key in another case is the same key, as for Go's decoder."""
    sample = SAMPLE_REQUESTS[name]

    check_same_effect(release, sample, json.dumps({change(key): value for key, value in sample.body.items()}).encode())


@pytest.mark.parametrize("fields", [{"name": "exact", "NAME": "other"}, {"NAME": "other", "name": "exact"}])
def test_a_key_in_the_exact_case_takes_precedence(fields: dict[str, str]) -> None:
    """Of a key in two cases the one that is written as documented counts, in whatever order they stand."""
    api = default_api()
    instance_id = api.start(vmid=TEMPLATE, **fields)

    assert "exact" == api.controller.instances[instance_id].request.name


@pytest.mark.parametrize(
    ("name", "field"),
    [
        (name, field)
        for name, field in FIELDS
        if field not in (*SAMPLE_REQUESTS[name].required, *SAMPLE_REQUESTS[name].body)
    ],
)
def test_null_means_not_given(name: str, field: str) -> None:
    """An optional field that is null has the same effect as none; the sample group has no fallback to end."""
    check_same_effect(OLD, SAMPLE_REQUESTS[name], raw_body(SAMPLE_REQUESTS[name], **{field: "null"}))


EMPTY = {"text": '""', "mode": '""', "texts": "[]", "metadata": "{}"}


@pytest.mark.parametrize(
    ("name", "field"),
    [
        (name, field)
        for name, field in FIELDS
        if field not in (*SAMPLE_REQUESTS[name].required, *SAMPLE_REQUESTS[name].body)
        and SAMPLE_REQUESTS[name].kinds[field] in EMPTY
        if name not in ("update", "update group")  # there a blank has an effect
    ],
)
def test_an_empty_optional_field_has_no_effect(name: str, field: str) -> None:
    """Empty strings and lists, which clients send for values they do not give, have no effect."""
    check_same_effect(
        OLD,
        SAMPLE_REQUESTS[name],
        raw_body(SAMPLE_REQUESTS[name], **{field: EMPTY[SAMPLE_REQUESTS[name].kinds[field]]}),
    )


@every_release
@every_sample
def test_unknown_fields_are_ignored(release: str, name: str) -> None:
    """Unknown fields of any type are ignored; one client always sends an empty disk."""
    check_same_effect(
        release,
        SAMPLE_REQUESTS[name],
        raw_body(SAMPLE_REQUESTS[name], disk="{}", x="[1,null,1e400]", y="null", z='{"a":[]}'),
    )


@every_release
@every_sample
def test_blanks_around_a_body_are_ignored(release: str, name: str) -> None:
    """JSON may have blanks around it and between its tokens."""
    check_same_effect(
        release, SAMPLE_REQUESTS[name], b" \r\n\t" + json.dumps(SAMPLE_REQUESTS[name].body, indent=2).encode() + b"\n\n"
    )


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
def test_invalid_unicode_is_replaced(body: bytes, name: str) -> None:
    """Halves of surrogate pairs and bytes that are no UTF-8 become U+FFFD, as in Go."""
    api = default_api()
    api.send("PUT", "vm", body, f"id={INSTANCE}")
    group = json.loads(api.send("POST", "group", body).data)["body"]

    assert (name, name) == (api.get("vm")[0]["name"], group["name"])


@pytest.mark.parametrize("key", [rb"\ud800", rb"\u0000", "ü".encode(), b"\xff", b""])
def test_metadata_takes_keys_of_any_text(key: bytes) -> None:
    """Metadata may have any text as a key, and shows it again."""
    api = default_api()
    response = api.send("PUT", "vm", b'{"metadata":{"%b":"v"}}' % key, f"id={INSTANCE}")

    assert response.data == b'{"status":"OK","message":""}\n'
    assert list(api.get("vm", f"id={INSTANCE}")["metadata"].values()) == ["v"]


def test_the_limits_are_accepted() -> None:
    """The least and the largest values within the limits are accepted."""
    api = default_api()
    low = {"count": 1, "priority": 1, "startup_script_condition": 0, "vcpu": 0, "vram": 0, "version": 0}
    high = {"count": 10_000, "priority": 10_000, "startup_script_condition": 1, "metadata": {"a": 2**63 - 1, "b": -1}}

    assert [len(api.perform("POST", "vm", {"vmid": OTHER_TEMPLATE, **values})) for values in (low, high)] == [1, 10_000]


@pytest.mark.parametrize(("field", "value"), [("vcpu", 1024), ("vram", 16 * 1024 * 1024)])
def test_a_vm_larger_than_any_node_is_started_and_shown(field: str, value: int) -> None:
    """A VM may be larger than any node: it is started, and every response still comes."""
    api = default_api()
    api.start(vmid=TEMPLATE, **{field: value})
    api.controller.clock.advance(60 * 10**9)

    assert [api.send("GET", path).status_code for path in ("vm", "node", "usb")] == [200] * 3


def test_a_body_on_an_operation_without_one_is_ignored() -> None:
    """GET, and DELETE by query, ignore any body."""
    api = default_api()
    responses = [
        api.send("GET", "vm", b"{"),
        api.send("GET", "status", b"[]"),
        api.send("DELETE", "registry/vm", b"x", f"id={TEMPLATE}"),
        api.send("DELETE", "group", b"x", f"id={OTHER_GROUP}"),
    ]

    assert [json.loads(response.data)["status"] for response in responses] == ["OK"] * 4
