"""The simulated controller as a Flask application: complete by itself, on any WSGI server."""

from __future__ import annotations

import logging
import posixpath
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound
from werkzeug.routing import Rule

from mockanka.api import groups, images, instances, nodes, registry, status, usb
from mockanka.api.envelope import fail, failure_status, respond
from mockanka.api.request_fields import REMARKS, BadRequest, Remarks
from mockanka.api.routing import known_methods, refuse_the_future
from mockanka.core.controller import Controller
from mockanka.core.errors import Refusal

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

log = logging.getLogger("mockanka")


class GoRule(Rule):
    """A route that answers its own method only: Go's router adds neither HEAD nor OPTIONS."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if self.methods:
            self.methods.discard("HEAD")


class App(Flask):
    """The application, and the answers it keeps at hand for who polls."""

    url_rule_class = GoRule
    answers: instances.Answers
    remarks: Remarks

    def wsgi_app(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Send paths with doubled slashes or dots on to what they mean, as gorilla's router does (facts 0.3)."""
        path = environ.get("PATH_INFO", "")
        canonical = _canonical(path)
        if canonical == path:
            return super().wsgi_app(environ, start_response)
        query = environ.get("QUERY_STRING", "")
        location = quote(canonical.encode("latin-1", "replace")) + (f"?{query}" if query else "")
        start_response("301 Moved Permanently", [("Location", location), ("Content-Length", "0")])
        return [b""]


def _canonical(path: str) -> str:
    if "//" not in path and "/." not in path:
        return path
    return posixpath.normpath("/" + path.lstrip("/")) + ("/" if path.endswith("/") and path.strip("/.") else "")


def create_app(controller: Controller) -> App:
    """A WSGI application over a controller, which advances before each request."""
    app = App("mockanka", static_folder=None)
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.url_map.merge_slashes = False
    app.answers = instances.Answers(controller)
    app.register_blueprint(instances.blueprint(controller, app.answers))
    for resource in (nodes, registry, images, groups, usb, status):
        app.register_blueprint(resource.blueprint(controller))
    app.before_request(controller.advance)
    refuse_the_future(app, controller)
    _remark(app, controller)
    _handle_errors(app, controller)
    return app


def _remark(app: App, controller: Controller) -> None:
    app.remarks = app.extensions[REMARKS] = Remarks(lambda: controller.release)
    app.before_request(app.remarks.begin)

    @app.after_request
    def unknown_parameters(response: Response) -> Response:
        if request.url_rule is not None and response.status_code == 200:
            unread = [name for name in request.args if name not in app.remarks.read]
            app.remarks.unknown += [f"{name}: no such query parameter" for name in unread]
        return response


def _handle_errors(app: App, controller: Controller) -> None:
    def failure(message: str) -> Response:
        return respond(fail(message), failure_status(controller.release))

    @app.errorhandler(Refusal)
    def refused(refusal: Refusal) -> Response:
        return failure(str(refusal))

    @app.errorhandler(BadRequest)
    def bad_request(wrong: BadRequest) -> Response:
        app.remarks.broken = str(wrong)
        return failure(f"invalid request: {wrong}")

    @app.errorhandler(404)
    def no_such_path(_: HTTPException) -> Response:
        headers = {"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff"}
        return Response("404 page not found\n", 404, headers)

    @app.errorhandler(405)
    def no_such_method(_: MethodNotAllowed) -> Response:
        methods = known_methods(controller, request.path)
        if not methods:  # what the path takes it takes from a later release on
            return no_such_path(NotFound())
        # The real router answers with nothing at all; Allow is ours, for people and tools that read it.
        answer = Response(b"", 405, {"Allow": ", ".join(methods)})
        del answer.headers["Content-Type"]
        return answer

    @app.errorhandler(Exception)
    def fault(_: Exception) -> Response:
        log.exception("a fault in mockanka itself; please report it")
        return respond(fail("internal error in mockanka; its log has the details"), 500)
