"""mockanka: a stateful mock of the Anka Build Cloud controller's REST API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mockanka.core.time_control import Never
    from mockanka.scenario import ScenarioError
    from mockanka.testing.anka import Anka, serve

__version__ = "0.1.0"
__all__ = ["Anka", "Never", "ScenarioError", "__version__", "serve"]

_HOMES = {
    "Anka": "mockanka.testing.anka",
    "Never": "mockanka.core.time_control",
    "ScenarioError": "mockanka.scenario",
    "serve": "mockanka.testing.anka",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that ``import mockanka`` alone costs next to nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
