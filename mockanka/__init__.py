"""mockanka: a stateful mock of the Anka Build Cloud controller's REST API."""

__version__ = "0.1.0"
__all__ = ["__version__"]
