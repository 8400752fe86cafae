"""docs/fidelity.md: how each thing that the contract says is known, written from the document's evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import groupby
from textwrap import wrap

from mockanka.contract.document import load
from mockanka.contract.evidence import GRADES, guesses
from mockanka.contract.items import RULES, Entry, entries

INTRODUCTION = """\
# Fidelity

This page shows how closely the contract matches the real controller. It lists the evidence for each operation,
parameter, field, value and status code. `mockanka fidelity` prints it from `x-evidence` in `openapi/controller.yaml`.

- `captured`: seen in real traffic
- `reference`: stated in the published API reference
- `documented`: stated only in later documents
- `client relies`: required by a published client, which would not work otherwise
- `derived`: follows from several of the above
- `guess`: none of the above; after other grades, only the parts that the contract calls a guess

The strongest grade stands first. Evidence names sections of the [controller-facts](controller-facts.md).
[Releases](releases.md) lists what each release added and removed.
"""

WIDTH = 120
KINDS = {
    "operation": "operations",
    "query": "parameters",
    "request": "request fields",
    "answer": "answer fields",
    "value": "values",
    "status": "status codes",
    "header": "headers",
    "rule": "rules",
}
"""What is counted, by kind of entry."""


def page() -> str:
    """The page, as it stands in the project's documents."""
    ledger = entries(load())
    parts = [INTRODUCTION, "## In numbers\n", _numbers(ledger), "## All guesses\n", _guesses(ledger)]
    for place, there in _by_place(ledger):
        parts += [f"## {place}\n", _rules(there) if place == RULES else _table(there)]
    parts.append(_links(ledger))
    return "\n".join(parts)


def _by_place(ledger: Iterable[Entry]) -> list[tuple[str, list[Entry]]]:
    return [(place, list(there)) for place, there in groupby(ledger, key=lambda entry: entry.place)]


def counts(ledger: Iterable[Entry]) -> Counter[tuple[str, str]]:
    """How many things of each kind have each grade, each of them once; and how many are ``in part`` a guess."""
    counted: Counter[tuple[str, str]] = Counter()
    for entry in ledger:
        if not entry.again:
            kind = _kind(entry)
            counted[kind, entry.evidence.grade] += 1
            counted[kind, "in part"] += entry.evidence.partly
    return counted


def _kind(entry: Entry) -> str:
    """The kind under which an entry is counted: all that stands in an answer is an answer field."""
    return entry.kind if entry.kind in KINDS else "answer"


def _numbers(ledger: Iterable[Entry]) -> str:
    counted = counts(ledger)

    def row(title: str, *grades: str) -> list[str]:
        numbers = [sum(counted[kind, grade] for grade in grades) for kind in KINDS]
        return [title, *map(str, [*numbers, sum(numbers)])]

    rows = [row(grade, grade) for grade in GRADES]
    rows += [row("all", *GRADES), row("of these, a guess in part", "in part")]
    return _rows(["", *KINDS.values(), "all"], rows, "---:")


def _guesses(ledger: Iterable[Entry]) -> str:
    """Every sentence of the contract that calls something a guess, below where it stands."""
    parts = []
    for place, there in _by_place(ledger):
        told = [_bullet(f"{_name(entry)}: {sentence}") for entry in there for sentence in guesses(entry.text)]
        if told:
            parts.append("\n".join([f"{place}:", "", *told, ""]))
    return "\n".join(parts)


def _rules(rules: Iterable[Entry]) -> str:
    return "\n".join([*(_bullet(f"{entry.name}. {entry.text} ({_told(entry)})") for entry in rules), ""])


def _told(entry: Entry) -> str:
    return "; ".join(filter(None, [", ".join(entry.evidence.grades), _sections(entry)]))


def _sections(entry: Entry) -> str:
    """The sections of controller-facts, as references to the definitions at the end of the page."""
    return ", ".join(f"[{section}]" for section in entry.evidence.facts)


def _links(ledger: Iterable[Entry]) -> str:
    """The definitions of the sections' links, in the order in which the page names them."""
    sections = dict.fromkeys(section for entry in ledger for section in entry.evidence.facts)
    return "".join(f"[{section}]: controller-facts.md#{section.lower()}\n" for section in sections)


def _table(fields: Iterable[Entry]) -> str:
    rows = [
        [
            _name(entry) + _where(entry),
            str(entry.bounds),
            ", ".join(entry.evidence.grades),
            _sections(entry),
        ]
        for entry in fields
    ]
    return _rows(["Field", "Releases", "Grade", "Evidence"], rows, "---")


def _where(entry: Entry) -> str:
    """Where an entry's parts were told, if that was before."""
    if not entry.again:
        return ""
    return ", as above" if entry.again == entry.place else f", as in {entry.again}"


def _name(entry: Entry) -> str:
    if entry.kind == "rule":
        return entry.name
    if entry.kind in ("operation", "value"):
        return f"`{entry.name}`"
    return f"{entry.kind} `{entry.name}`" if entry.name else entry.kind


def _rows(head: list[str], rows: list[list[str]], rule: str) -> str:
    lines = [head, ["---", *[rule] * (len(head) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _bullet(text: str) -> str:
    return "\n".join(wrap(f"- {text}", WIDTH, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False))
