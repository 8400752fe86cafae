"""The target of a proxy, and its release."""

from __future__ import annotations

from mockanka.core.release import DEFAULT_RELEASE
from mockanka.proxy.target import ReleaseLookup, parse_target
from mockanka.remote.client import ClientOptions


def test_without_a_response_the_default_release_is_used() -> None:
    """A target that is down has no release at first, later the default one, and the log says so."""
    log: list[str] = []
    lookup = ReleaseLookup(parse_target("http://127.0.0.1:1", ClientOptions()), ClientOptions(), log.append)

    assert (None, DEFAULT_RELEASE) == (lookup.get_if_reachable(), lookup.get_or_default())
    assert [False, True] == [
        line.startswith(f"exchanges are checked against release {DEFAULT_RELEASE}: nothing listens at") for line in log
    ]
