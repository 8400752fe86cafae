"""docs/fidelity.md: the evidence of each item of the contract."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import groupby

from mockanka.contract.document import load_document
from mockanka.contract.evidence import EVIDENCE_GRADES, guess_sentences
from mockanka.contract.items import RULES_SECTION, ContractItem, contract_items
from mockanka.contract.markdown import fact_definitions, fact_references, list_item, table

FIDELITY_INTRODUCTION = """\
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

COUNTED_KINDS = {
    "operation": "operations",
    "query": "parameters",
    "request": "request fields",
    "response": "response fields",
    "value": "values",
    "status": "status codes",
    "header": "headers",
    "rule": "rules",
}
"""The columns of the first table, by kind of item."""


def render_fidelity_page() -> str:
    """Return the page as Markdown."""
    items = contract_items(load_document())
    parts = [FIDELITY_INTRODUCTION, "## In numbers\n", _numbers(items), "## All guesses\n", _guesses(items)]
    for section, section_items in _by_section(items):
        body = _rules(section_items) if section == RULES_SECTION else _table(section_items)
        parts += [f"## {section}\n", body]
    parts.append(fact_definitions(fact for item in items for fact in item.evidence.facts))
    return "\n".join(parts)


def _by_section(items: Iterable[ContractItem]) -> list[tuple[str, list[ContractItem]]]:
    return [(section, list(group)) for section, group in groupby(items, key=lambda item: item.section)]


def count_grades(items: Iterable[ContractItem]) -> Counter[tuple[str, str]]:
    """Count the items by kind and strongest grade, each once; those that are partly a guess also as ``in part``."""
    counts: Counter[tuple[str, str]] = Counter()
    for item in items:
        if not item.described_in:
            kind = _counted_kind(item)
            counts[kind, item.evidence.grade] += 1
            counts[kind, "in part"] += item.evidence.is_partly_guess
    return counts


def _counted_kind(item: ContractItem) -> str:
    """Return the kind by which an item is counted: fields of envelopes and of selected shapes are response fields."""
    return item.kind if item.kind in COUNTED_KINDS else "response"


def _numbers(items: Iterable[ContractItem]) -> str:
    counts = count_grades(items)

    def row(title: str, *grades: str) -> list[str]:
        numbers = [sum(counts[kind, grade] for grade in grades) for kind in COUNTED_KINDS]
        return [title, *map(str, [*numbers, sum(numbers)])]

    rows = [row(grade, grade) for grade in EVIDENCE_GRADES]
    rows += [row("all", *EVIDENCE_GRADES), row("of these, a guess in part", "in part")]
    return table(["", *COUNTED_KINDS.values(), "all"], rows, "---:")


def _guesses(items: Iterable[ContractItem]) -> str:
    """Return every sentence of the contract that calls something a guess, by section and item."""
    parts = []
    for section, section_items in _by_section(items):
        guesses = [(item, sentence) for item in section_items for sentence in guess_sentences(item.text)]
        lines = [list_item(f"{_label(item)}: {sentence}") for item, sentence in guesses]
        if lines:
            parts.append("\n".join([f"{section}:", "", *lines, ""]))
    return "\n".join(parts)


def _rules(rules: Iterable[ContractItem]) -> str:
    return "\n".join([*(list_item(f"{rule.name}. {rule.text} ({_evidence(rule)})") for rule in rules), ""])


def _evidence(item: ContractItem) -> str:
    return "; ".join(filter(None, [", ".join(item.evidence.grades), fact_references(item.evidence.facts)]))


def _table(items: Iterable[ContractItem]) -> str:
    rows = [
        [
            _label(item) + _described_in(item),
            str(item.releases),
            ", ".join(item.evidence.grades),
            fact_references(item.evidence.facts),
        ]
        for item in items
    ]
    return table(["Field", "Releases", "Grade", "Evidence"], rows)


def _described_in(item: ContractItem) -> str:
    """Return where the parts of an item are listed, if that is elsewhere."""
    if not item.described_in:
        return ""
    return ", as above" if item.described_in == item.section else f", as in {item.described_in}"


def _label(item: ContractItem) -> str:
    if item.kind == "rule":
        return item.name
    if item.kind in ("operation", "value"):
        return f"`{item.name}`"
    return f"{item.kind} `{item.name}`" if item.name else item.kind
