"""What the control API reads, and how it refuses: plain JSON in, problem+json (RFC 9457) out."""

from __future__ import annotations

import json
import logging
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, current_app, request
from marshmallow import ValidationError
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from mockanka.json_text import parse_json
from mockanka.scenario import ScenarioError
from mockanka.scenario.source import nearest, problems_in, shown

log = logging.getLogger("mockanka")

MAX_BODY = 256 * 1024 * 1024
"""Bytes: room for the dump of a world with tens of thousands of instances."""


class Problem(Exception):
    """A refusal of the control API."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


def raw() -> bytes:
    if (request.content_length or 0) > MAX_BODY:
        raise Problem(413, f"the body has {request.content_length} bytes, at most {MAX_BODY} are read")
    return request.get_data()


def body(optional: bool = False) -> Any:
    given = raw()
    if optional and not given.strip():
        return {}
    if not given.strip():
        raise Problem(400, "the body is empty; it must be a JSON object")
    data = parsed(given)
    if not isinstance(data, dict):
        raise Problem(400, "the body must be a JSON object")
    return data


def parsed(given: bytes) -> Any:
    """What the body's JSON says."""
    try:
        return parse_json(given)
    except (ValueError, RecursionError) as wrong:
        raise Problem(400, f"the body is not valid JSON: {wrong}") from None


def _described(wrong: HTTPException) -> str:
    """What a person needs to know who asked for what there is not."""
    if isinstance(wrong, NotFound):
        known = sorted({rule.rule for rule in current_app.url_map.iter_rules()})
        return f"there is no {request.path}: {nearest(request.path, known)} GET /_mock/ lists what there is"
    if isinstance(wrong, MethodNotAllowed):
        takes = ", ".join(sorted(set(wrong.valid_methods or ()) - {"HEAD", "OPTIONS"}))
        return f"{request.path} takes {takes}, not {request.method}"
    return wrong.description or wrong.name


def number(name: str, otherwise: int | None = None) -> int | None:
    """A query parameter that is a whole number, 0 or more."""
    text = request.args.get(name)
    if text is None:
        return otherwise
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise Problem(400, f"{name} must be a whole number, 0 or more, not {text!r}")
    return int(text)


def only(*known: str) -> None:
    """Refuse query parameters that mean nothing here: who misspells a filter would get everything."""
    for name in request.args:
        if name not in known:
            raise Problem(400, f"there is no parameter {name!r}; there are {', '.join(known) or 'none'}")


def handle_problems(app: Flask) -> None:
    def problem(status: int, title: str, detail: str, **extra: object) -> Response:
        body = {"type": "about:blank", "title": title, "status": status, "detail": detail, **extra}
        return Response(json.dumps(body, separators=(",", ":")) + "\n", status, content_type="application/problem+json")

    @app.errorhandler(Problem)
    def refused(wrong: Problem) -> Response:
        return problem(wrong.status, HTTPStatus(wrong.status).phrase, str(wrong))

    @app.errorhandler(ScenarioError)
    def broken_scenario(wrong: ScenarioError) -> Response:
        return problem(400, "Bad Request", str(wrong), problems=wrong.problems)

    @app.errorhandler(ValidationError)
    def broken_body(wrong: ValidationError) -> Response:
        found = [f"{shown(each.path)}: {each.text}" if each.path else each.text for each in problems_in(wrong.messages)]
        return problem(400, "Bad Request", "; ".join(found))

    @app.errorhandler(Exception)
    def fault(_: Exception) -> Response:
        log.exception("a fault in mockanka itself; please report it")
        return problem(500, "Internal Server Error", "internal error in mockanka; its log has the details")

    @app.errorhandler(HTTPException)
    def http(wrong: HTTPException) -> Response:
        answer = problem(wrong.code or 500, wrong.name, _described(wrong))
        for name, value in wrong.get_headers():
            if name == "Allow":
                answer.headers[name] = ", ".join(sorted(value.split(", ")))
        return answer
