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

from mockanka.api.distributions import distribution_routes
from mockanka.api.envelope import INTERNAL_ERROR, encode_failure, failure_status, json_response
from mockanka.api.groups import group_routes
from mockanka.api.instance_cache import InstanceCache
from mockanka.api.instances import instance_routes
from mockanka.api.nodes import node_routes
from mockanka.api.registry import registry_routes
from mockanka.api.request_fields import REMARKS_EXTENSION, InvalidRequest, RequestRemarks, UndecodableRequest
from mockanka.api.routing import hide_later_operations, known_methods
from mockanka.api.save_images import image_routes
from mockanka.api.status import status_routes
from mockanka.api.templates import template_routes
from mockanka.api.usb import usb_routes
from mockanka.api.vlans import vlan_routes
from mockanka.core.controller import Controller
from mockanka.core.errors import Refusal

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class GoRule(Rule):
    """A route that answers its own method only: Go's router adds neither HEAD nor OPTIONS."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if self.methods:
            self.methods.discard("HEAD")


class ControllerApp(Flask):
    """The application of a controller, with its cached responses and its remarks about the last request."""

    url_rule_class = GoRule
    instance_cache: InstanceCache
    remarks: RequestRemarks

    def wsgi_app(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Redirect paths with doubled slashes or dots to their canonical form, as gorilla's router does (facts 0.3)."""
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


def create_app(controller: Controller) -> ControllerApp:
    """Return the WSGI application of a controller, which advances before each request."""
    app = ControllerApp("mockanka", static_folder=None)
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.url_map.merge_slashes = False
    app.instance_cache = InstanceCache(controller)
    app.register_blueprint(instance_routes(controller, app.instance_cache))
    app.register_blueprint(vlan_routes(controller))
    app.register_blueprint(node_routes(controller))
    app.register_blueprint(template_routes(controller))
    app.register_blueprint(distribution_routes(controller))
    app.register_blueprint(registry_routes(controller))
    app.register_blueprint(image_routes(controller))
    app.register_blueprint(group_routes(controller))
    app.register_blueprint(usb_routes(controller))
    app.register_blueprint(status_routes(controller))
    app.before_request(controller.advance)
    hide_later_operations(app, controller)
    _record_remarks(app, controller)
    _handle_errors(app, controller)
    return app


def _record_remarks(app: ControllerApp, controller: Controller) -> None:
    app.remarks = app.extensions[REMARKS_EXTENSION] = RequestRemarks(lambda: controller.release)
    app.before_request(app.remarks.begin)

    @app.after_request
    def remark_on_unknown_parameters(response: Response) -> Response:
        if request.url_rule is not None and response.status_code == 200:
            unknown = [name for name in request.args if name not in app.remarks.parameters_read]
            app.remarks.unknown += [f"{name}: no such query parameter" for name in unknown]
        return response


def _handle_errors(app: ControllerApp, controller: Controller) -> None:
    def failure(message: str) -> Response:
        return json_response(encode_failure(message), failure_status(controller.release))

    @app.errorhandler(Refusal)
    def handle_refusal(refusal: Refusal) -> Response:
        return failure(str(refusal))

    @app.errorhandler(InvalidRequest)
    def handle_invalid_request(error: InvalidRequest) -> Response:
        app.remarks.invalid = str(error)
        return failure(str(error) if isinstance(error, UndecodableRequest) else f"invalid request: {error}")

    @app.errorhandler(404)
    def handle_unknown_path(_: HTTPException) -> Response:
        headers = {"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff"}
        return Response("404 page not found\n", 404, headers)

    @app.errorhandler(405)
    def handle_unknown_method(_: MethodNotAllowed) -> Response:
        methods = known_methods(controller, request.path)
        if not methods:  # all operations of the path are of later releases
            return handle_unknown_path(NotFound())
        # No Allow, as of gorilla/mux (controller-facts A0.2).
        response = Response(b"", 405)
        del response.headers["Content-Type"]
        return response

    @app.errorhandler(Exception)
    def handle_exception(_: Exception) -> Response:
        logging.getLogger("mockanka").exception("a fault in mockanka itself; please report it")
        return json_response(encode_failure(INTERNAL_ERROR), 500)
