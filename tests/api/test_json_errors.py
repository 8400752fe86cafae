"""Broken bodies are refused in the words of Go's encoding/json."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from pathlib import Path

import pytest

from mockanka.api.json_errors import MAX_DEPTH, explain_json_error
from tests.api.client import ApiClient, default_api

TABLE = json.loads((Path(__file__).parent / "broken_bodies" / "messages.json").read_text("utf-8"))
MESSAGES = [(b64decode(entry["body"]), entry["message"]) for entry in TABLE]


@pytest.mark.parametrize(("body", "message"), MESSAGES, ids=[repr(body) for body, _ in MESSAGES])
def test_a_broken_body_is_refused_as_go_refuses_it(body: bytes, message: str) -> None:
    """The message of a start is what a program in Go has printed for the body."""
    response = API.app.test_client().post("/api/v1/vm", data=body)

    assert (400, {"status": "FAIL", "message": message}) == (response.status_code, response.get_json())


def test_the_table_is_large() -> None:
    """It has more than a hundred bodies, and all contexts."""
    found = (re.fullmatch(r"invalid character '.*?' ([a-z\\].*?)(?: \(expecting '.'\))?", text) for _, text in MESSAGES)
    contexts = {match[1] for match in found if match}

    assert len(MESSAGES) > 100
    assert {
        *("looking for beginning of value", "looking for beginning of object key string", "after object key"),
        *("after object key:value pair", "after array element", "after top-level value", "in string literal"),
        *("in string escape code", "in \\u hexadecimal character escape", "in numeric literal"),
        *("after decimal point in numeric literal", "in exponent of numeric literal"),
        *("in literal true", "in literal false", "in literal null"),
    } == contexts


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_a_body_is_nested_too_deep_for_go(opening: bytes) -> None:
    """Go takes ten thousand levels."""
    expected = f"invalid character '{opening[:1].decode()}' exceeded max depth"

    assert expected == explain_json_error(opening * (MAX_DEPTH + 1))


@pytest.mark.parametrize(
    "body", [b"{}", b' {"a": [1, -0.5e+3, "\\u00e9", true, false, null]}\n', b"0", b'""', b"[[], {}]"]
)
def test_a_body_that_is_json_has_no_error(body: bytes) -> None:
    """A text that Go takes has no error."""
    assert explain_json_error(body) is None


@pytest.mark.parametrize("field", ["count", "version"])
def test_a_negative_number_is_refused_by_the_decoder(field: str) -> None:
    """The field is unsigned, and the message says nothing of the others."""
    body = {"vmid": 1, field: -1}
    response = API.app.test_client().post("/api/v1/vm", json=body)
    message = f"json: cannot unmarshal number -1 into Go struct field StartBody.{field} of type uint"

    assert (400, message) == (response.status_code, response.get_json()["message"])


API: ApiClient = default_api("1.50.1")
