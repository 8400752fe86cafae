"""The anchors of the sections of docs/controller-facts.md."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

FACTS_PAGE = Path(__file__).parents[1] / "docs" / "controller-facts.md"
ANCHOR = re.compile(r'<a id="([^"]*)"></a>')


def anchors(page: str) -> list[str]:
    """Return the anchors of a page, in its order."""
    return ANCHOR.findall(page)


@cache
def fact_anchors() -> set[str]:
    """Return the anchors of controller-facts: the sections in lower case."""
    return set(anchors(FACTS_PAGE.read_text("utf-8")))
