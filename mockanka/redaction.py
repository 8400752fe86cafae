"""Redaction of secrets by their names, wherever headers, queries and bodies are shown or written."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_plus

REDACTED_VALUE = "redacted"
SECRET_NAME = re.compile(r"auth|cookie|token|secret|session|credential|passw|api-?key|private-?key", re.IGNORECASE)
"""Names of headers, query parameters and keys of bodies whose values are redacted."""

_MEMBER = re.compile(
    r'"(?P<name>(?:[^"\\]++|\\.)*+)(?:"|\\?\Z)(?:(?P<colon>\s*:\s*)"(?P<value>(?:[^"\\]++|\\.)++)(?P<end>"|\\?\Z))?',
    re.DOTALL,
)
"""A string of JSON and, if it is a key, the string that is its value. Each string is taken once, also a broken one."""
_PARAMETER = re.compile(r"([^&=]*)=([^&]+)")
_USER = re.compile(r"(?<=://)[^/?#@]*@")
FORM_TYPE = "application/x-www-form-urlencoded"


def redact_value(name: str, value: str, keep_secrets: bool = False) -> str:
    """Return the value of a header, or REDACTED_VALUE if its name says that it is a secret."""
    return REDACTED_VALUE if not keep_secrets and SECRET_NAME.search(name) else value


def redact_query(query: str) -> str:
    """Return a query, or a form, in which the values of secret parameters are REDACTED_VALUE."""
    return _PARAMETER.sub(
        lambda found: f"{found[1]}={REDACTED_VALUE}" if SECRET_NAME.search(unquote_plus(found[1])) else found[0], query
    )


def redact_url(url: str) -> str:
    """Return a URL without the secrets in its query, and without a user."""
    base, question_mark, query = _USER.sub(f"{REDACTED_VALUE}@", url).partition("?")
    return base + question_mark + redact_query(query)


def redact_body(text: str, content_type: str = "") -> str:
    """Return a body in which strings of JSON with a secret key are REDACTED_VALUE; all else stays as it is written."""
    # curl sends JSON with the type of forms unless it is told otherwise, and the controller reads it.
    if content_type.partition(";")[0].strip().lower() == FORM_TYPE and text.lstrip()[:1] not in ("{", "["):
        return redact_query(text)
    return _MEMBER.sub(_redact_member, text)


def _redact_member(found: re.Match[str]) -> str:
    if found["value"] is None or not SECRET_NAME.search(found["name"]):
        return found[0]
    return f'"{found["name"]}"{found["colon"]}"{REDACTED_VALUE}{found["end"]}'


def redact_json(value: Any) -> Any:
    """Return a value of JSON in which strings with a secret key are REDACTED_VALUE."""
    return json.loads(redact_body(json.dumps(value))) if isinstance(value, dict | list) else value


def find_secrets(query: str, *bodies: str) -> Iterator[str]:
    """Yield the values that would be redacted in a query and in bodies."""
    for name, value in _PARAMETER.findall(query):
        if SECRET_NAME.search(unquote_plus(name)):
            yield value
            yield unquote_plus(value)
    for body in bodies:
        yield from (
            found["value"] for found in _MEMBER.finditer(body) if found["value"] and SECRET_NAME.search(found["name"])
        )
