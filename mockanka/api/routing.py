"""Operations that came with a later release: until then the router does not know them."""

from __future__ import annotations

from flask import Flask, request
from werkzeug.exceptions import MethodNotAllowed, NotFound

from mockanka.core.controller import Controller
from mockanka.core.operations import find_operation, methods_by_path


def known_methods(controller: Controller, path: str) -> list[str]:
    """Return the methods that a path takes at the simulated release, sorted."""
    return sorted(methods_by_path(controller.release).get(path, []))


def refuse_the_future(app: Flask, controller: Controller) -> None:
    """Answer to what came later as to any path or method that does not exist."""

    @app.before_request
    def look() -> None:
        operation = find_operation(request.method, request.path)
        if operation is None or operation.is_in(controller.release):
            return
        methods = known_methods(controller, request.path)
        raise MethodNotAllowed(methods) if methods else NotFound
