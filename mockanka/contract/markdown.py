"""Markdown for the generated pages: wrapped lists, tables, and links to sections of controller-facts."""

from __future__ import annotations

from collections.abc import Iterable
from textwrap import wrap

PAGE_WIDTH = 120


def wrap_text(text: str, indent: str = "") -> str:
    """Return the text in lines of the page's width; all lines but the first are indented."""
    lines = wrap(text, PAGE_WIDTH, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False)
    return "\n".join(lines)


def list_item(text: str) -> str:
    """Return an item of a list, wrapped, without a final line break."""
    return wrap_text(f"- {text}", "  ")


def table(head: list[str], rows: list[list[str]], rule: str = "---") -> str:
    """Return a table; ``rule`` aligns all columns but the first."""
    lines = [head, ["---", *[rule] * (len(head) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def fact_references(sections: Iterable[str]) -> str:
    """Return references to sections of controller-facts, which ``fact_definitions`` makes links."""
    return ", ".join(f"[{section}]" for section in sections)


def fact_definitions(sections: Iterable[str]) -> str:
    """Return the definitions of the references, each section once, in the order given."""
    return "".join(f"[{section}]: controller-facts.md#{section.lower()}\n" for section in dict.fromkeys(sections))
