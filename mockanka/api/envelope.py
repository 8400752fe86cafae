"""The one place where answers are shaped: the envelope, and JSON as Go's encoder writes it.

Evidence: controller-facts A0.1 (keys and their order, no ``body`` on FAIL), A0.2 (newline, headers).
"""

import json
import re
import struct
from typing import Final

from flask import Response

from mockanka.core.release import Release

HEADERS: Final = (("Content-Type", "application/json"), ("Cache-Control", "no-store"))
OK_START: Final = b'{"status":"OK","message":"","body":'
OK_END: Final = b"}\n"
DONE: Final = b'{"status":"OK","message":""}\n'

# Go's encoder escapes these inside strings, and outside strings JSON has none of them.
_ESCAPED = re.compile("[<>&\u2028\u2029]")
_ESCAPES = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026", 0x2028: "\\u2028", 0x2029: "\\u2029"}

_encoder = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def encode(value: object) -> bytes:
    """Compact JSON in UTF-8."""
    text = _encoder.encode(value)
    if _ESCAPED.search(text):
        text = text.translate(_ESCAPES)
    return text.encode("utf-8", "replace")


def ok(body: object) -> bytes:
    """Success with a payload."""
    return OK_START + encode(body) + OK_END


def done() -> bytes:
    """Success of an operation that has no payload: there is no ``body`` then."""
    return DONE


def fail(message: str) -> bytes:
    """Failure: a message and no ``body``."""
    return b'{"status":"FAIL","message":' + encode(message) + b"}\n"


def failure_status(release: Release) -> int:
    """Return the HTTP status of a failure at a release: 200 until failures got the status 400."""
    return 400 if release.has("failure-status-400") else 200


def respond(raw: bytes, status: int = 200) -> Response:
    """An envelope on its way out."""
    return Response(raw, status, list(HEADERS))


def number(value: float) -> int | float:
    """0 to 1, four decimals at most, rounded down so that 1 means all of it; whole numbers without a point (B30)."""
    shown = int(value * 10_000) / 10_000
    return int(shown) if shown == int(shown) else shown


def float32(value: float) -> int | float:
    """The shortest number that is the same single-precision float: how ``cpu_util`` prints (controller-facts A0.2)."""
    single: float = struct.unpack("f", struct.pack("f", value))[0]
    if single == int(single):
        return int(single)
    for digits in range(1, 10):
        shown = float(f"{single:.{digits}g}")
        if struct.unpack("f", struct.pack("f", shown))[0] == single:
            return shown
    return single
