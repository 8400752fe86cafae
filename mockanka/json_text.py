"""Strict JSON: what the standard library takes beyond RFC 8259 is refused; halves of surrogate pairs are not sent."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from math import isfinite
from typing import Any, NoReturn

_SURROGATES = re.compile("[\ud800-\udfff]")
_SURROGATE_OR_ESCAPE = re.compile("[\ud800-\udfff]|\\\\u[dD][89a-fA-F]")
# In JSON of ASCII: a pair of surrogates, half of a pair, or another escape.
_ESCAPE = re.compile(r"\\(?:ud[89ab]..\\ud[c-f]..|(ud[89a-f]..)|.)")


def parse_json(
    text: str | bytes,
    *,
    finite: bool = False,
    parse_int: Callable[[str], Any] | None = None,
    parse_float: Callable[[str], Any] | None = None,
) -> Any:
    """Return the value that a JSON text describes.

    NaN, Infinity and -Infinity are refused. With ``finite`` a number is refused too if a float cannot hold it, such as
    1e999; without it that number is infinite. ``parse_int`` makes the value of a whole number from its digits,
    ``parse_float`` that of another number from its text, unless ``finite`` does.

    Raises ValueError if the text is not JSON, and RecursionError if it is nested too deeply.
    """
    return json.loads(
        text, parse_constant=_refuse_number, parse_float=_finite_float if finite else parse_float, parse_int=parse_int
    )


def may_have_surrogates(text: str) -> bool:
    """Return True if a JSON or YAML text has what may be half of a surrogate pair, as it is or as an escape."""
    return _SURROGATE_OR_ESCAPE.search(text) is not None


def replace_surrogates(value: Any) -> Any:
    """Return JSON data whose strings and keys have U+FFFD in place of halves of surrogate pairs, as Go decodes them."""
    match value:
        case str():
            return _SURROGATES.sub("\ufffd", value) if _SURROGATES.search(value) else value
        case list():
            return [replace_surrogates(item) for item in value]
        case dict():
            return {replace_surrogates(key): replace_surrogates(item) for key, item in value.items()}
    return value


def encode_surrogates(text: str) -> bytes:
    """Return a text in UTF-8, with U+FFFD in place of halves of surrogate pairs."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _SURROGATES.sub("\ufffd", text).encode()


def write_ascii_json(value: object, **options: Any) -> str:
    """Return JSON in ASCII, with U+FFFD in place of halves of surrogate pairs; the options are those of json.dumps."""
    text = json.dumps(value, **options)
    return _ESCAPE.sub(lambda escape: r"\ufffd" if escape[1] else escape[0], text) if "\\ud" in text else text


def _finite_float(text: str) -> float:
    number = float(text)
    return number if isfinite(number) else _refuse_number(text)


def _refuse_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON number")
