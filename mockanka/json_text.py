"""Strict JSON: what the standard library takes beyond RFC 8259 is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from math import isfinite
from typing import Any, NoReturn


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


def _finite_float(text: str) -> float:
    number = float(text)
    return number if isfinite(number) else _refuse_number(text)


def _refuse_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON number")
