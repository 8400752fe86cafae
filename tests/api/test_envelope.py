"""The bytes of responses: the envelope, its headers, and JSON as Go's encoder writes it."""

import json

import pytest

from mockanka.api.envelope import encode_json, progress_number, shortest_float32
from tests.api.client import INSTANCE, NEW, OLD, RELEASES, TEMPLATE, UNKNOWN_ID, api_of, default_api


def test_a_success_is_status_message_and_body_in_that_order_and_a_newline() -> None:
    """Success has the keys status, message and body in that order, is compact and ends with a newline."""
    response = api_of("{}").send("GET", "vm")

    assert response.data == b'{"status":"OK","message":"","body":[]}\n'


def test_an_operation_without_payload_has_no_body_key() -> None:
    """The response of an operation without a payload has no key body."""
    response = default_api().send("DELETE", "vm", b'{"id":"%b"}' % INSTANCE.encode())

    assert response.data == b'{"status":"OK","message":""}\n'


def test_a_failure_is_status_and_message_and_never_a_body() -> None:
    """A failure has status and message, in that order, and no body."""
    response = default_api().send("GET", "vm", query=f"id={UNKNOWN_ID}")

    assert response.data == b'{"status":"FAIL","message":"Not found"}\n'


@pytest.mark.parametrize(("release", "status"), [(OLD, 200), ("1.19.9", 200), ("1.20.0", 400), (NEW, 400)])
def test_the_status_of_a_failure_is_200_before_1_20_and_400_from_then_on(release: str, status: int) -> None:
    """It is the same for failures of the controller and for requests that are not valid."""
    api = default_api(release)

    assert [status, status] == [
        api.send("GET", "vm", query=f"id={UNKNOWN_ID}").status_code,
        api.send("POST", "vm", b"{").status_code,
    ]


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(
    ("method", "path", "query", "body"),
    [
        ("GET", "vm", "", None),
        ("GET", "vm", f"id={INSTANCE}", None),
        ("GET", "vm", f"id={UNKNOWN_ID}", None),
        ("GET", "status", "", None),
        ("PUT", "vm", f"id={INSTANCE}", b"{}"),
        ("DELETE", "vm", "", b"broken"),
    ],
)
def test_every_response_is_json_that_must_not_be_cached(
    release: str, method: str, path: str, query: str, body: bytes | None
) -> None:
    """Responses are application/json without charset and no-store, whether they succeed or fail."""
    response = default_api(release).send(method, path, body, query)

    assert ("application/json", "no-store", str(len(response.data))) == (
        response.headers["Content-Type"],
        response.headers["Cache-Control"],
        response.headers["Content-Length"],
    )


def test_a_revert_answers_with_a_body_that_is_null() -> None:
    """The response to a revert is relayed from the registry, which has a null and another order of keys."""
    response = default_api().send("DELETE", "registry/revert", query=f"id={TEMPLATE}")

    assert response.data == b'{"status":"OK","body":null,"message":""}\n'


def test_strings_are_escaped_as_go_escapes_them() -> None:
    """Go's encoder escapes < > & and the two line separators, and leaves all other text as it is."""
    api = default_api()
    api.perform("PUT", "vm", {"name": '<b> & "\\ü\u2028\u2029\u2030é'}, f"id={INSTANCE}")

    assert r'"name":"\u003cb\u003e \u0026 \"\\ü\u2028\u2029‰é"'.encode() in api.send("GET", "vm").data


def test_messages_are_escaped_too() -> None:
    """A failure's message is escaped like any other string."""
    response = default_api().send("POST", "vm", json.dumps({"vmid": TEMPLATE, "tag": "<&>"}).encode())

    assert response.data == rb'{"status":"FAIL","message":"No such tag \u003c\u0026\u003e"}' + b"\n"


def test_json_is_compact_and_in_utf_8() -> None:
    """There are no blanks between tokens, and no escapes of characters that UTF-8 has."""
    assert '{"a":[1,2.5,null,true],"b":"é\U0001f600"}'.encode() == encode_json(
        {"a": [1, 2.5, None, True], "b": "é\U0001f600"}
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (1.0, "1"), (0.42, "0.42"), (0.1293505921, "0.12935059"), (1 - 1e-12, "0.99999994")],
)
def test_progress_is_one_only_when_it_is_complete(value: float, text: str) -> None:
    """Progress is a single-precision number, and whole numbers have no point."""
    assert text == json.dumps(progress_number(value))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((0.0001, "0.0001"), (0.00009, "0.00009"), (1 / 30_000, "0.000033333334")),
        *((1.2e-6, "0.0000012"), (1e-6, "0.000001"), (9.9e-7, "9.9e-7"), (1e-9, "1e-9"), (1e-10, "1e-10")),
    ],
)
def test_a_tiny_number_is_written_as_by_go(value: float, text: str) -> None:
    """It has a point from a millionth on, and below an exponent without a leading zero; strings stay as they are."""
    label = 'e-05 "1e-05" \\'

    assert json.dumps([label]).replace(", ", ",")[:-1].encode() + f",{text}]".encode() == encode_json(
        [label, progress_number(value)]
    )


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (1.0, "1"), (0.1, "0.1"), (0.08308069, "0.08308069"), (1 / 3, "0.33333334")]
)
def test_a_load_is_the_shortest_single_precision_number(value: float, text: str) -> None:
    """A float32 has just as many digits as tell it from its neighbours."""
    assert text == json.dumps(shortest_float32(value))


def test_halves_of_surrogate_pairs_are_the_replacement_character() -> None:
    """They are sent as Go sends them, in keys and in values, and the rest as it is."""
    assert '{"a\ufffd":"\ufffd\U0001f600?"}'.encode() == encode_json({"a\ud800": "\udc00\U0001f600?"})
