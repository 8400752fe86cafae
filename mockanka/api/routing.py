"""Routes by the table of operations: their methods and paths, and the releases that have them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from flask import Blueprint, Flask, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import MethodNotAllowed, NotFound

from mockanka.core.controller import Controller
from mockanka.core.operations import OPERATIONS, find_operation, methods_by_path

ViewFunction = TypeVar("ViewFunction", bound=Callable[..., ResponseReturnValue])

_OPERATIONS_BY_ID = {operation.id: operation for operation in OPERATIONS}


class OperationRoutes(Blueprint):
    """A blueprint whose routes are operations of the controller's API."""

    def operation(self, operation_id: str) -> Callable[[ViewFunction], ViewFunction]:
        """Return a decorator that has a function answer an operation, given by its ``operationId``."""
        operation = _OPERATIONS_BY_ID[operation_id]
        return self.route(operation.path, methods=[operation.method])


def known_methods(controller: Controller, path: str) -> list[str]:
    """Return the methods that a path takes at the simulated release, sorted."""
    return sorted(methods_by_path(controller.release).get(path, []))


def hide_later_operations(app: Flask, controller: Controller) -> None:
    """Make an application answer an operation of a later release as any path or method that does not exist."""

    @app.before_request
    def check_release() -> None:
        operation = find_operation(request.method, request.path)
        if operation is None or operation.is_in(controller.release):
            return
        methods = known_methods(controller, request.path)
        raise MethodNotAllowed(methods) if methods else NotFound
