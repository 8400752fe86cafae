"""The envelope of all responses, and JSON as Go's encoder writes it.

Evidence: controller-facts A0.1 (keys and their order, no ``body`` on FAIL), A0.2 (newline, headers).
"""

import json
import re
import struct
from decimal import Decimal
from typing import Final

from flask import Response

from mockanka.core.release import Release
from mockanka.json_text import encode_surrogates

HEADERS: Final = (("Content-Type", "application/json"), ("Cache-Control", "no-store"))
OK_START: Final = b'{"status":"OK","message":"","body":'
OK_END: Final = b"}\n"
INTERNAL_ERROR: Final = "internal error in mockanka; its log has the details"
"""The message of a response in whose place mockanka itself failed, which has status 500."""
EMPTY_SUCCESS: Final = b'{"status":"OK","message":""}\n'
"""The envelope of an operation that succeeds and has no payload: it has no ``body``."""

# Go's encoder escapes these inside strings, and outside strings JSON has none of them.
_ESCAPED = re.compile("[<>&\u2028\u2029]")
_ESCAPES = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026", 0x2028: "\\u2028", 0x2029: "\\u2029"}

# A string, or a number below 0.0001, which Python writes with an exponent of two digits.
_STRING_OR_TINY = re.compile(r'"(?:[^"\\]|\\.)*"|-?[0-9](?:\.[0-9]+)?e-0([0-9])')
_LOWEST_POINT = 6
"""Go writes numbers from 1e-6 on with a point, and smaller ones with an exponent."""

_encoder = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def encode_json(value: object) -> bytes:
    """Return compact JSON in UTF-8."""
    text = _encoder.encode(value)
    if _ESCAPED.search(text):
        text = text.translate(_ESCAPES)
    if "e-0" in text:
        text = _STRING_OR_TINY.sub(_write_tiny, text)
    return encode_surrogates(text)


def _write_tiny(match: re.Match[str]) -> str:
    if match[1] is None:
        return match[0]
    return f"{Decimal(match[0]):f}" if int(match[1]) <= _LOWEST_POINT else match[0].replace("e-0", "e-")


def encode_success(payload: object) -> bytes:
    """Return the envelope of an operation that succeeds, with its payload."""
    return OK_START + encode_json(payload) + OK_END


def encode_failure(message: str) -> bytes:
    """Return the envelope of a failure: it has a message and no ``body``."""
    return b'{"status":"FAIL","message":' + encode_json(message) + b"}\n"


def failure_status(release: Release) -> int:
    """Return the HTTP status of a failure at a release: 200 until failures got the status 400."""
    return 400 if release.has("failure-status-400") else 200


def json_response(content: bytes, status: int = 200) -> Response:
    """Return the response that sends an envelope."""
    return Response(content, status, list(HEADERS))


def success(payload: object) -> Response:
    """Return the response of an operation that succeeds, with its payload."""
    return json_response(encode_success(payload))


def empty_success() -> Response:
    """Return the response of an operation that succeeds and has no payload."""
    return json_response(EMPTY_SUCCESS)


LARGEST_PART = 0.99999994
"""Largest single-precision float below 1."""


def progress_number(value: float) -> int | float:
    """Return a progress from 0 to 1 as Go writes a float32 (controller-facts A0.2); 1 only if it is complete."""
    return 1 if value >= 1 else min(LARGEST_PART, shortest_float32(value))


def shortest_float32(value: float) -> int | float:
    """Return the shortest number that is the same single-precision float: Go writes them so (controller-facts A0.2)."""
    single: float = struct.unpack("f", struct.pack("f", value))[0]
    if single == int(single):
        return int(single)
    for digits in range(1, 10):
        shortened = float(f"{single:.{digits}g}")
        if struct.unpack("f", struct.pack("f", shortened))[0] == single:
            return shortened
    return single
