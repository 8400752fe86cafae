"""docs/releases.md: the differences between releases, from the table of features."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from mockanka.contract.markdown import fact_definitions, fact_references, list_item, wrap_text
from mockanka.core.release import BUILDS, DEFAULT_RELEASE, FEATURES, KNOWN_RELEASES, OLDEST_RELEASE, Feature

RELEASES_INTRODUCTION = """\
# Releases

`--release` selects the release of the controller to simulate, from {oldest} on. `MOCKANKA_RELEASE` and the scenario key
`release` do the same; the option and the environment variable take precedence over the scenario. The default is
{default}.

A release that is not in this list is simulated as the nearest lower one, with a note:

{known}

The status and the agents of nodes show a release with its build, `{version}`. No build is on record of
{unknown}; theirs are made up. (guess)

The differences follow, newest release first, each with the sections of the [controller-facts](controller-facts.md) that
support it. "Guess" means that it is not on record which release made the change. Whatever is not listed is simulated
alike at every release. `mockanka openapi --release RELEASE` prints the contract of a single release.
"""

NOT_SIMULATED = (
    "Before 1.20 a node whose address had changed was still shown with the old one.",
    "From 1.23 on a node of Apple silicon has a capacity of 2 unless its agent is configured otherwise; the mock uses "
    "the capacity in the scenario.",
    "Before 1.24 a node reported wrong amounts of `ram`; how they were wrong is not on record.",
    "Before 1.28 a node without a licence was not shown as Inactive (Invalid License) and still took instances.",
    "Before 1.32 a node became Unhealthy when its VMs had failed, later when it is full and none of its VMs run; in "
    "the mock a node becomes Unhealthy only when a scenario, a fault or a command makes it so.",
    "Before 1.33 a distribution sometimes remained at progress 1 forever, or the response was OK with a null body.",
    "Before 1.39 saving an instance with a `revert_tag` that does not exist left it Pushing forever.",
    "Before 1.43 terminating an instance while its template was pulled left its VM behind.",
    "Before 1.48 an instance in the list had no template and no tag for some seconds.",
    "Before 1.48 a node that had just joined had an empty state until its first report.",
    "Before 1.48 a script with a long `script_timeout` could end with `startup script exit code 125`.",
    "Before 1.48 a long startup script delayed the other starts on its node.",
    "From 1.50 on a node can be configured with another prefix for the names of its VMs.",
    "`startup_script_condition` is stored and has no effect: a script that is not monitored never delays Started, "
    "and a monitored script begins when the VM runs.",
)
"""Differences between real releases, and effects of request fields, that are not simulated."""


def render_releases_page() -> str:
    """Return the page as Markdown."""
    known = wrap_text(", ".join(map(str, KNOWN_RELEASES)) + ".")
    unknown = ", ".join(str(release) for release, build in BUILDS.items() if not build)
    version = DEFAULT_RELEASE.version
    parts = [
        RELEASES_INTRODUCTION.format(
            oldest=OLDEST_RELEASE, default=DEFAULT_RELEASE, known=known, version=version, unknown=unknown
        ),
        "## Not simulated\n",
        _list(NOT_SIMULATED),
    ]
    newest_first = sorted(FEATURES.values(), key=lambda feature: feature.since, reverse=True)
    for since, features in groupby(newest_first, key=lambda feature: feature.since):
        parts += [f"## {since}\n", _list(map(_describe_feature, features))]
    parts.append(fact_definitions(section for feature in newest_first for section in _sections(feature)))
    return "\n".join(parts)


def _describe_feature(feature: Feature) -> str:
    guess = "; the release is a guess" if feature.guess else ""
    return f"{feature.description} ({fact_references(_sections(feature))}{guess})"


def _sections(feature: Feature) -> list[str]:
    return feature.evidence.split(", ")


def _list(texts: Iterable[str]) -> str:
    return "".join(f"{list_item(text)}\n" for text in texts)
