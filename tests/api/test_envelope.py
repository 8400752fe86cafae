"""Answers byte by byte: the envelope, its headers, and JSON as Go's encoder writes it."""

import json

import pytest

from mockanka.api.envelope import encode_json, round_progress, shortest_float32
from tests.api.client import INSTANCE, NEW, NOWHERE, OLD, RELEASES, TEMPLATE, office, world


def test_a_success_is_status_message_and_body_in_that_order_and_a_newline() -> None:
    """Success has the keys status, message and body in that order, is compact and ends with a newline."""
    answer = world("{}").send("GET", "vm")

    assert answer.data == b'{"status":"OK","message":"","body":[]}\n'


def test_an_operation_without_payload_has_no_body_key() -> None:
    """What hands nothing back answers without a body key."""
    answer = office().send("DELETE", "vm", b'{"id":"%b"}' % INSTANCE.encode())

    assert answer.data == b'{"status":"OK","message":""}\n'


def test_a_failure_is_status_and_message_and_never_a_body() -> None:
    """A failure has status and message, in that order, and no body."""
    answer = office().send("GET", "vm", query=f"id={NOWHERE}")

    assert answer.data == b'{"status":"FAIL","message":"Not found"}\n'


@pytest.mark.parametrize(("release", "status"), [(OLD, 200), ("1.19.9", 200), ("1.20.0", 400), (NEW, 400)])
def test_a_failure_comes_with_200_at_first_and_with_400_later(release: str, status: int) -> None:
    """The HTTP status of a failure is 200 before 1.20.0 and 400 from then on."""
    wire = office(release)

    assert [status, status] == [
        wire.send("GET", "vm", query=f"id={NOWHERE}").status_code,
        wire.send("POST", "vm", b"{").status_code,
    ]


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(
    ("method", "path", "query", "body"),
    [
        ("GET", "vm", "", None),
        ("GET", "vm", f"id={INSTANCE}", None),
        ("GET", "vm", f"id={NOWHERE}", None),
        ("GET", "status", "", None),
        ("PUT", "vm", f"id={INSTANCE}", b"{}"),
        ("DELETE", "vm", "", b"broken"),
    ],
)
def test_every_answer_is_plain_json_that_must_not_be_kept(
    release: str, method: str, path: str, query: str, body: bytes | None
) -> None:
    """Answers are application/json without charset and no-store, whether they succeed or fail."""
    answer = office(release).send(method, path, body, query)

    assert ("application/json", "no-store", str(len(answer.data))) == (
        answer.headers["Content-Type"],
        answer.headers["Cache-Control"],
        answer.headers["Content-Length"],
    )


def test_a_revert_answers_with_a_body_that_is_null() -> None:
    """The answer to a revert is relayed from the registry, which says null, and has an order of its own."""
    answer = office().send("DELETE", "registry/revert", query=f"id={TEMPLATE}")

    assert answer.data == b'{"status":"OK","body":null,"message":""}\n'


def test_strings_are_escaped_as_go_escapes_them() -> None:
    """Go's encoder escapes < > & and the two line separators, and leaves all other text as it is."""
    wire = office()
    wire.do("PUT", "vm", {"name": '<b> & "\\ü\u2028\u2029\u2030é'}, f"id={INSTANCE}")

    assert r'"name":"\u003cb\u003e \u0026 \"\\ü\u2028\u2029‰é"'.encode() in wire.send("GET", "vm").data


def test_messages_are_escaped_too() -> None:
    """A failure's message is escaped like any other string."""
    answer = office().send("POST", "vm", json.dumps({"vmid": TEMPLATE, "tag": "<&>"}).encode())

    assert answer.data == rb'{"status":"FAIL","message":"No such tag \u003c\u0026\u003e"}' + b"\n"


def test_json_is_compact_and_in_utf_8() -> None:
    """No blanks between tokens, no escapes where UTF-8 will do."""
    assert '{"a":[1,2.5,null,true],"b":"é\U0001f600"}'.encode() == encode_json(
        {"a": [1, 2.5, None, True], "b": "é\U0001f600"}
    )


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0"), (1.0, "1"), (0.42, "0.42"), (0.123456, "0.1234"), (0.99999, "0.9999"), (0.00001, "0")],
)
def test_progress_is_one_only_when_all_is_done(value: float, shown: str) -> None:
    """Progress has four decimals at most, is rounded down, and whole numbers have no point."""
    assert shown == json.dumps(round_progress(value))


@pytest.mark.parametrize(
    ("value", "shown"), [(0.0, "0"), (1.0, "1"), (0.1, "0.1"), (0.08308069, "0.08308069"), (1 / 3, "0.33333334")]
)
def test_a_load_prints_as_the_shortest_single_precision_number(value: float, shown: str) -> None:
    """A float32 prints with just as many digits as it needs to be told from its neighbours."""
    assert shown == json.dumps(shortest_float32(value))
