"""Ways to falsify responses, so that a check must find them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from tests.contracts import has
from tests.openapi.controller_document.checked_controller import (
    ReleaseExchange,
)


def with_envelope(exchange: ReleaseExchange, **changed: Any) -> ReleaseExchange:
    """Return the exchange with other values in the envelope of its response."""
    return replace(exchange, response_content=json.dumps({**exchange.outcome, **changed}).encode())


def always_success(exchange: ReleaseExchange) -> ReleaseExchange:
    """Turn FAIL into OK without a payload."""
    if exchange.outcome["status"] == "OK":
        return exchange
    return replace(exchange, response_content=b'{"status":"OK","message":""}\n', status=200)


def always_invalid(exchange: ReleaseExchange) -> ReleaseExchange:
    """Refuse every request as not valid."""
    status = 400 if has(exchange.release, "1.20.0") else 200
    return replace(exchange, response_content=b'{"status":"FAIL","message":"invalid request: no"}', status=status)


def list_for_an_id(exchange: ReleaseExchange) -> ReleaseExchange:
    """Return a list in place of one item."""
    body = exchange.outcome.get("body")
    return with_envelope(exchange, body=[]) if isinstance(body, dict) and "id" in exchange.parameters else exchange


def one_for_the_list(exchange: ReleaseExchange) -> ReleaseExchange:
    """Return an instance in place of the list."""
    body = exchange.outcome.get("body")
    return with_envelope(exchange, body=body[0]["vm"]) if isinstance(body, list) else exchange


def with_null_message(exchange: ReleaseExchange) -> ReleaseExchange:
    """Add a key that is null, where it should be left out."""
    body = exchange.outcome.get("body")
    return with_envelope(exchange, body={**body, "message": None}) if isinstance(body, dict) else exchange


def with_null_body(exchange: ReleaseExchange) -> ReleaseExchange:
    """Add a body to an operation that has none."""
    return with_envelope(exchange, body=None)


def with_wrong_status(exchange: ReleaseExchange) -> ReleaseExchange:
    """Return a failure with the HTTP status of another release."""
    failed = exchange.outcome["status"] == "FAIL"
    return replace(exchange, status=600 - exchange.status if exchange.status == 200 else 200) if failed else exchange


def null_for_the_list(exchange: ReleaseExchange) -> ReleaseExchange:
    """Return null in place of a list."""
    return with_envelope(exchange, body=None) if isinstance(exchange.outcome.get("body"), list) else exchange


def full_list_for_v1(exchange: ReleaseExchange) -> ReleaseExchange:
    """Return the full list in place of the short one."""
    body = exchange.outcome.get("body")
    if exchange.query_key != "apiVer=v1" or not isinstance(body, list):
        return exchange
    return with_envelope(exchange, body=[{**template, "size": 1, "arch": "arm64"} for template in body])


def with_status_503(exchange: ReleaseExchange) -> ReleaseExchange:
    """Return a probe that fails."""
    return replace(exchange, status=503)
