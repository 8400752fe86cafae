"""Sizes of files, of which the wire tells only sums: of each version, and of all that a template has.

Files that are in the same sums are alike, and share what falls to them. What a sum leaves for one kind of file alone is
found at once; what is left then is a system of equations, solved for sizes that are not negative.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

LARGEST_SYSTEM = 40_000
"""Cells; above that sizes are given out one sum after the other."""


ATTEMPTS = 12
"""How often another solution is looked for, if one has fractions of bytes."""


@dataclass(frozen=True)
class Sum:
    """What some files, named once each, are together."""

    files: frozenset[str]
    total: int


def sizes_of(sums: Sequence[Sum]) -> dict[str, int]:
    """A size for each file, so that all sums come true, if any sizes make them."""
    member: dict[str, list[int]] = defaultdict(list)
    for place, each in enumerate(sums):
        for name in sorted(each.files):
            member[name].append(place)
    alike: dict[tuple[int, ...], list[str]] = defaultdict(list)
    for name, its_places in member.items():
        alike[tuple(its_places)].append(name)
    kinds = list(alike)
    rows: list[set[int]] = [set() for _ in sums]
    for kind, of_kind in enumerate(kinds):
        for place in of_kind:
            rows[place].add(kind)
    found = _found(rows, [each.total for each in sums])
    sizes: dict[str, int] = {}
    for kind, all_places in enumerate(kinds):
        names = alike[all_places]
        share, rest = divmod(found.get(kind, 0), len(names))
        sizes |= {name: share + (rest if place == 0 else 0) for place, name in enumerate(names)}
    return sizes


def _found(rows: list[set[int]], totals: list[int]) -> dict[int, int]:
    known: dict[int, int] = {}
    while True:
        single = next((place for place, row in enumerate(rows) if len(row - known.keys()) == 1), None)
        if single is None:
            break
        (kind,) = rows[single] - known.keys()
        known[kind] = max(0, totals[single] - sum(known[each] for each in rows[single] & known.keys()))
    open_rows = [(row - known.keys(), total - _sum(known, row)) for row, total in zip(rows, totals, strict=True)]
    open_rows = [(row, total) for row, total in open_rows if row]
    return known | (_in_whole_bytes(open_rows) or _given_out(open_rows))


def _sum(known: dict[int, int], row: Iterable[int]) -> int:
    return sum(known.get(each, 0) for each in row)


def _given_out(rows: list[tuple[set[int], int]]) -> dict[int, int]:
    """Each sum in its turn among what has nothing yet: not all need come true."""
    given: dict[int, int] = {}
    for row, total in rows:
        fresh = sorted(row - given.keys())
        left = max(0, total - _sum(given, row))
        for place, kind in enumerate(fresh):
            given[kind] = left // len(fresh) + (left % len(fresh) if place == 0 else 0)
    return given


def _in_whole_bytes(rows: list[tuple[set[int], int]]) -> dict[int, int] | None:
    """Sizes that make all sums, but for a few bytes if what is found has fractions; None if there are none."""
    kinds = sorted(set().union(*(row for row, _ in rows))) if rows else []
    if any(total < 0 for _, total in rows) or len(rows) * (len(kinds) + len(rows)) > LARGEST_SYSTEM:
        return None
    solved: dict[int, Fraction] | None = None
    for turn in range(ATTEMPTS):
        place = turn % len(kinds) if kinds else 0
        order = [*kinds[place:], *kinds[:place]]
        solved = _solved(rows, order[::-1] if turn % 2 else order)
        if solved is None or all(value.denominator == 1 for value in solved.values()):
            break
    return None if solved is None else {kind: int(solved.get(kind, Fraction(0))) for kind in kinds}


def _solved(rows: list[tuple[set[int], int]], kinds: list[int]) -> dict[int, Fraction] | None:
    """Sizes that make all sums, by the simplex method with Bland's rule; which ones goes by the order of the kinds."""
    table = [[Fraction(kind in row) for kind in kinds] + [Fraction(total)] for row, total in rows]
    basis: list[int | None] = [None] * len(rows)  # None: what the row still lacks
    while True:
        # The row that says how much all rows that lack something lack together, by kind and in all.
        lacking = [row for row, column in zip(table, basis, strict=True) if column is None]
        lack = [sum(cells, Fraction(0)) for cells in zip(*lacking, strict=True)] if lacking else []
        if not lack or lack[-1] == 0:
            break
        entering = next((column for column in range(len(kinds)) if lack[column] > 0), None)
        if entering is None:
            return None
        ratios = [(row[-1] / row[entering], place) for place, row in enumerate(table) if row[entering] > 0]
        _, leaving = min(ratios, key=lambda each: (each[0], basis[each[1]] is not None, basis[each[1]] or 0))
        pivot = [cell / table[leaving][entering] for cell in table[leaving]]
        table = [
            pivot if place == leaving else [a - row[entering] * b for a, b in zip(row, pivot, strict=True)]
            for place, row in enumerate(table)
        ]
        basis[leaving] = entering
    return {kinds[column]: row[-1] for row, column in zip(table, basis, strict=True) if column is not None}
