"""How the control API reads requests, which are plain JSON, and refuses them with problem+json (RFC 9457)."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, current_app, request
from marshmallow import ValidationError
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from mockanka.api.envelope import INTERNAL_ERROR
from mockanka.json_text import parse_json, write_ascii_json
from mockanka.scenario import ScenarioError
from mockanka.scenario.source import nearest, problems_in, shown
from mockanka.shown_text import cut

MAX_CONTROL_BODY = 256 * 1024 * 1024
"""Bytes: room for a dump with tens of thousands of instances."""

PROBLEM_TYPE = "application/problem+json"


class Problem(Exception):
    """A refusal of the control API: an HTTP status, the detail that says why, and further keys."""

    def __init__(self, status: int, detail: str, **extra: object) -> None:
        super().__init__(cut(detail))
        self.status, self.extra = status, extra


def read_raw_body() -> bytes:
    """Return the bytes of the current request's body. Raises Problem."""
    if (request.content_length or 0) > MAX_CONTROL_BODY:
        raise Problem(413, f"the body has {request.content_length} bytes, at most {MAX_CONTROL_BODY} are read")
    return request.get_data()


def read_object_body(optional: bool = False) -> Any:
    """Return the current request's body, a JSON object; an empty one only where it is optional. Raises Problem."""
    raw = read_raw_body()
    if optional and not raw.strip():
        return {}
    if not raw.strip():
        raise Problem(400, "the body is empty; it must be a JSON object")
    data = parse_body(raw)
    if optional and data is None:  # what generated clients send for no body
        return {}
    if not isinstance(data, dict):
        raise Problem(400, "the body must be a JSON object")
    return data


def parse_body(raw: bytes) -> Any:
    """Return the JSON value of a body. Raises Problem."""
    try:
        return parse_json(raw)
    except (ValueError, RecursionError) as error:
        raise Problem(400, f"the body is not valid JSON: {error}") from None


def number_parameter(name: str) -> int | None:
    """Return a query parameter that is a whole number, 0 or more, or None if it is missing. Raises Problem."""
    text = request.args.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise Problem(400, f"{name} must be a whole number, 0 or more, not {text!r}")
    return int(text)


def allow_parameters(*known: str) -> None:
    """Refuse all other query parameters: a client that misspells a filter would get everything. Raises Problem."""
    for name in request.args:
        if name not in known:
            raise Problem(400, f"there is no parameter {name!r}; there are {', '.join(known) or 'none'}")


def encode_problem(status: int, title: str, detail: str, **extra: object) -> bytes:
    """Return the body of a response of problem+json."""
    problem = {"type": "about:blank", "title": title, "status": status, "detail": detail, **extra}
    return f"{write_ascii_json(problem, separators=(',', ':'))}\n".encode()


def handle_problems(app: Flask) -> None:
    """Make an application answer every exception with problem+json."""

    def problem_response(status: int, title: str, detail: str, **extra: object) -> Response:
        return Response(encode_problem(status, title, detail, **extra), status, content_type=PROBLEM_TYPE)

    @app.errorhandler(Problem)
    def handle_problem(problem: Problem) -> Response:
        return problem_response(problem.status, HTTPStatus(problem.status).phrase, str(problem), **problem.extra)

    @app.errorhandler(ScenarioError)
    def handle_scenario_error(error: ScenarioError) -> Response:
        return problem_response(400, "Bad Request", str(error), problems=error.problems)

    @app.errorhandler(ValidationError)
    def handle_validation_error(error: ValidationError) -> Response:
        texts = [
            f"{shown(found.path)}: {found.text}" if found.path else found.text for found in problems_in(error.messages)
        ]
        return problem_response(400, "Bad Request", cut("; ".join(texts)))

    @app.errorhandler(Exception)
    def handle_exception(_: Exception) -> Response:
        logging.getLogger("mockanka").exception("a fault in mockanka itself; please report it")
        return problem_response(500, "Internal Server Error", INTERNAL_ERROR)

    @app.errorhandler(HTTPException)
    def handle_http_exception(error: HTTPException) -> Response:
        response = problem_response(error.code or 500, error.name, cut(_describe_http_exception(error)))
        for name, value in error.get_headers():
            if name == "Allow":
                response.headers[name] = ", ".join(sorted(value.split(", ")))
        return response


def _describe_http_exception(error: HTTPException) -> str:
    """Return what was wrong with the request, and for an unknown path or method what would be right."""
    if isinstance(error, NotFound):
        known = sorted({rule.rule for rule in current_app.url_map.iter_rules()})
        return f"there is no {request.path}: {nearest(request.path, known)} GET /_mock/ lists what there is"
    if isinstance(error, MethodNotAllowed):
        methods = ", ".join(sorted(set(error.valid_methods or ()) - {"HEAD", "OPTIONS"}))
        return f"{request.path} takes {methods}, not {request.method}"
    return error.description or error.name
