"""The controller's licence: its tiers, what each includes, and its expiry (controller-facts C14)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal

from mockanka.core import nodes
from mockanka.core.errors import NeedsLicense
from mockanka.core.events import Event, FaultEvent
from mockanka.core.overrides import Overrides, override_end, set_override

if TYPE_CHECKING:
    from mockanka.core.controller import Controller

LicensedFeature = Literal["groups", "priority", "usb"]

TIERS: dict[str, frozenset[LicensedFeature]] = {
    "basic": frozenset(),
    "enterprise": frozenset({"groups", "priority", "usb"}),
    "enterprise plus": frozenset({"groups", "priority", "usb"}),
}
"""The tiers, lowest first, as the API names them, and the features that each includes."""

EXPIRED = "expired"


@dataclass
class License:
    """The licence of a controller."""

    tier: str = "enterprise plus"
    overrides: Overrides = field(default_factory=dict)
    """The condition that faults force: ``expired``."""

    @property
    def expired(self) -> bool:
        """True if the licence has expired, which makes nodes unlicensed (controller-facts C5)."""
        return EXPIRED in self.overrides

    def includes(self, feature: LicensedFeature) -> bool:
        """Return whether the tier includes a feature; an expired licence still includes it."""
        return feature in TIERS[self.tier]

    def require(self, feature: LicensedFeature, what: str) -> None:
        """Raise NeedsLicense, which names ``what``, unless the tier includes the feature."""
        if not self.includes(feature):
            raise NeedsLicense(what)


@dataclass(frozen=True, slots=True)
class LicenseExpired(FaultEvent):
    """The licence expires for ``lasts`` nanoseconds, or for good if that is 0 (controller-facts C5)."""

    kind: ClassVar = "license_expired"

    lasts: int

    def apply(self, controller: Controller) -> None:
        until = override_end(controller.now, self.lasts)
        set_override(controller.license.overrides, EXPIRED, until)
        _refresh_nodes(controller)
        if until is not None:
            controller.schedule(until, LicenseRenewed(until))


@dataclass(frozen=True, slots=True)
class LicenseRenewed(Event):
    """The licence is valid again, unless its expiry has been extended since."""

    kind: ClassVar = "license_renewed"

    until: int

    def is_current(self, controller: Controller) -> bool:
        return controller.license.overrides.get(EXPIRED) == self.until

    def makes_progress(self, controller: Controller) -> bool:
        return bool(controller.waiting)

    def apply(self, controller: Controller) -> None:
        del controller.license.overrides[EXPIRED]
        _refresh_nodes(controller)


def _refresh_nodes(controller: Controller) -> None:
    controller.record("license", "license", expired=controller.license.expired)
    for node in controller.nodes.values():
        nodes.refresh_state(controller, node)
