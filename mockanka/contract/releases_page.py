"""docs/releases.md: what came with which release, written from the table."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from textwrap import wrap

from mockanka.core.release import DEFAULT_RELEASE, FEATURES, KNOWN_RELEASES, OLDEST_RELEASE, Feature

INTRODUCTION = f"""\
# Releases

`--release` chooses the controller that is simulated, from {OLDEST_RELEASE} on; so do `MOCKANKA_RELEASE` and `release` in a
scenario. Without it the scenario rules, else it is {DEFAULT_RELEASE}.

A release that is not known is the nearest lower one that is, with a note. These are known:

{{known}}

What differs follows, the newest first, each with the sections of the controller-facts that are its evidence. It says
"guess" where nobody has seen which release it came with. What is not named here is simulated alike at every release.
`mockanka openapi --release RELEASE` prints the whole contract of one.
"""  # noqa: E501

NOT_SIMULATED = (
    "Before 1.20 a node whose address changed was still told by the old one.",
    "From 1.23 on a node of Apple silicon has a capacity of 2, unless its agent was told otherwise; here it has "
    "what the scenario says.",
    "Before 1.24 a node told wrong amounts of `ram`, and of which kind is not on record.",
    "Before 1.28 a node without a licence was not shown as Inactive (Invalid License), and took work all the same.",
    "Before 1.32 a node was Unhealthy when its VMs had failed, later when it is full and none of them runs; here "
    "it is when it is told to be.",
    "Before 1.33 a distribution sometimes stood at progress 1 for ever, or was answered by OK with a body of null.",
    "Before 1.39 an instance that was saved with a `revert_tag` that does not exist was Pushing for ever.",
    "Before 1.43 an instance that was terminated while its template was pulled left its VM behind.",
    "Before 1.48 an instance in the list showed for seconds no template and no tag.",
    "Before 1.48 a node that had just joined had an empty state until its first report.",
    "Before 1.48 a script with a long `script_timeout` could end with `startup script exit code 125`.",
    "Before 1.48 a long startup script held up the other starts on its node.",
    "From 1.50 on a node can give its VMs' names another prefix.",
    "`startup_script_condition` is kept, and makes no difference: a script that is not monitored never holds up "
    "Started, and one that is begins when the VM is up.",
)
"""Differences between real releases, and effects of what is asked for, that every simulated one is without."""


WIDTH = 120


def page() -> str:
    """The page, as it stands in the project's documents."""
    known = "\n".join(wrap(", ".join(map(str, KNOWN_RELEASES)) + ".", WIDTH))
    parts = [INTRODUCTION.format(known=known), "## Not simulated\n", _bullets(NOT_SIMULATED)]
    newest_first = sorted(FEATURES.values(), key=lambda feature: feature.since, reverse=True)
    for since, features in groupby(newest_first, key=lambda feature: feature.since):
        parts += [f"## {since}\n", _bullets(map(_told, features))]
    return "\n".join(parts)


def _told(feature: Feature) -> str:
    guess = "; the release is a guess" if feature.guess else ""
    return f"{feature.what} ({feature.evidence}{guess})"


def _bullets(texts: Iterable[str]) -> str:
    return "".join("\n".join(wrap(f"- {text}", WIDTH, subsequent_indent="  ")) + "\n" for text in texts)
