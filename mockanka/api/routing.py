"""Operations that came with a later release: until then the router does not know them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from flask import Flask, current_app, request
from werkzeug.exceptions import MethodNotAllowed, NotFound

from mockanka.core.controller import Controller

View = TypeVar("View", bound=Callable[..., object])


def came_with(feature: str) -> Callable[[View], View]:
    """Marks an operation with the feature that it is, or belongs to."""

    def mark(view: View) -> View:
        view.came_with = feature  # type: ignore[attr-defined]
        return view

    return mark


def feature_of(app: Flask, endpoint: str) -> str | None:
    """What an operation came with; None if it was always there."""
    feature: str | None = getattr(app.view_functions[endpoint], "came_with", None)
    return feature


def known_methods(app: Flask, controller: Controller, path: str) -> list[str]:
    """The methods that a path takes at the simulated release."""
    return sorted(
        method
        for rule in app.url_map.iter_rules()
        if rule.rule == path
        and ((feature := feature_of(app, rule.endpoint)) is None or controller.release.has(feature))
        for method in rule.methods or ()
    )


def refuse_the_future(app: Flask, controller: Controller) -> None:
    """Answer to what came later as to any path or method that does not exist."""

    @app.before_request
    def look() -> None:
        if request.endpoint is None:
            return
        feature = feature_of(current_app, request.endpoint)
        if feature is None or controller.release.has(feature):
            return
        methods = known_methods(current_app, controller, request.path)
        raise MethodNotAllowed(methods) if methods else NotFound
