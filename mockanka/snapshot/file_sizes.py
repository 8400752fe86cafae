"""Sizes of files, of which a controller returns only sums: the size of each version and of each template.

Files that are in the same sums form a group and share the size of the group. Sums with one unknown group give its size
directly; the rest is a system of linear equations, solved for sizes that are not negative.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

MAX_TABLEAU_CELLS = 40_000
"""The largest system that is solved; larger ones are approximated."""
ATTEMPTS_FOR_INTEGERS = 12
"""Solutions that are tried to find one in whole bytes."""


@dataclass(frozen=True)
class SizeSum:
    """The size of some files together."""

    files: frozenset[str]
    total: int


class Equation(NamedTuple):
    """The sum of the sizes of some groups of files."""

    groups: set[int]
    total: int


def solve_file_sizes(sums: Sequence[SizeSum]) -> dict[str, int]:
    """Return a size for each file, so that the sums are met if any sizes meet them."""
    groups = _group_files(sums)
    equations = [Equation(set(), size_sum.total) for size_sum in sums]
    for group, sum_indexes in enumerate(groups):
        for index in sum_indexes:
            equations[index].groups.add(group)
    group_sizes = _solve_equations(equations)
    sizes: dict[str, int] = {}
    for group, files in enumerate(groups.values()):
        share, rest = divmod(group_sizes.get(group, 0), len(files))
        sizes |= {name: share + (rest if index == 0 else 0) for index, name in enumerate(files)}
    return sizes


def _group_files(sums: Sequence[SizeSum]) -> dict[tuple[int, ...], list[str]]:
    """Return the files by the indexes of the sums that they are in."""
    memberships: dict[str, list[int]] = defaultdict(list)
    for index, size_sum in enumerate(sums):
        for name in sorted(size_sum.files):
            memberships[name].append(index)
    groups: dict[tuple[int, ...], list[str]] = defaultdict(list)
    for name, sum_indexes in memberships.items():
        groups[tuple(sum_indexes)].append(name)
    return groups


def _solve_equations(equations: list[Equation]) -> dict[int, int]:
    sizes: dict[int, int] = {}
    while True:
        solvable = next((equation for equation in equations if len(equation.groups - sizes.keys()) == 1), None)
        if solvable is None:
            break
        (group,) = solvable.groups - sizes.keys()
        sizes[group] = max(0, solvable.total - _sum_known(sizes, solvable.groups))
    remaining = [
        Equation(unknown, equation.total - _sum_known(sizes, equation.groups))
        for equation in equations
        if (unknown := equation.groups - sizes.keys())
    ]
    return sizes | (_solve_in_whole_bytes(remaining) or _distribute(remaining))


def _sum_known(sizes: dict[int, int], groups: Iterable[int]) -> int:
    return sum(sizes.get(group, 0) for group in groups)


def _distribute(equations: list[Equation]) -> dict[int, int]:
    """Return sizes that need not meet all sums: each sum is divided among the groups without a size so far."""
    sizes: dict[int, int] = {}
    for equation in equations:
        unknown = sorted(equation.groups - sizes.keys())
        left = max(0, equation.total - _sum_known(sizes, equation.groups))
        for index, group in enumerate(unknown):
            sizes[group] = left // len(unknown) + (left % len(unknown) if index == 0 else 0)
    return sizes


def _solve_in_whole_bytes(equations: list[Equation]) -> dict[int, int] | None:
    """Return sizes that meet all sums, or None if there are none.

    The vertex that the simplex method finds depends on the order of the groups, so several orders are tried until one
    has no fractions. If all have, they are cut off, and sums are missed by a few bytes.
    """
    groups = sorted(set().union(*(equation.groups for equation in equations))) if equations else []
    cells = len(equations) * (len(groups) + len(equations))
    if any(equation.total < 0 for equation in equations) or cells > MAX_TABLEAU_CELLS:
        return None
    solution: dict[int, Fraction] | None = None
    for attempt in range(ATTEMPTS_FOR_INTEGERS):
        start = attempt % len(groups) if groups else 0
        order = [*groups[start:], *groups[:start]]
        solution = _find_vertex(equations, order[::-1] if attempt % 2 else order)
        if solution is None or all(size.denominator == 1 for size in solution.values()):
            break
    return None if solution is None else {group: int(solution.get(group, Fraction(0))) for group in groups}


def _find_vertex(equations: list[Equation], groups: list[int]) -> dict[int, Fraction] | None:
    """Return a non-negative solution, or None if there is none: phase 1 of the simplex method with Bland's rule.

    Each row of the tableau has the coefficients of the groups and, last, the total. Every row begins with an artificial
    variable of its own as its basic variable, which needs no column: it never enters the basis again.
    """
    tableau = [
        [Fraction(group in equation.groups) for group in groups] + [Fraction(equation.total)] for equation in equations
    ]
    basis: list[int | None] = [None] * len(equations)  # the column of each row's basic variable; None if artificial
    while True:
        # Phase-1 objective of the simplex: the sum of all rows without a basic variable among the groups.
        artificial = [row for row, column in zip(tableau, basis, strict=True) if column is None]
        objective = [sum(cells, Fraction(0)) for cells in zip(*artificial, strict=True)]
        if not objective or objective[-1] == 0:
            break
        entering = next((column for column in range(len(groups)) if objective[column] > 0), None)
        if entering is None:
            return None
        leaving = _leaving_row(tableau, basis, entering)
        tableau = _pivot(tableau, leaving, entering)
        basis[leaving] = entering
    return {groups[column]: row[-1] for row, column in zip(tableau, basis, strict=True) if column is not None}


def _leaving_row(tableau: list[list[Fraction]], basis: list[int | None], entering: int) -> int:
    """Return the row that limits the entering variable most; among equals an artificial one, else the first column."""
    ratios = [(row[-1] / row[entering], index) for index, row in enumerate(tableau) if row[entering] > 0]
    _, leaving = min(ratios, key=lambda ratio: (ratio[0], basis[ratio[1]] is not None, basis[ratio[1]] or 0))
    return leaving


def _pivot(tableau: list[list[Fraction]], leaving: int, entering: int) -> list[list[Fraction]]:
    """Return the tableau with the entering variable as the basic variable of the leaving row."""
    pivot = [cell / tableau[leaving][entering] for cell in tableau[leaving]]
    return [
        pivot
        if index == leaving
        else [cell - row[entering] * pivot_cell for cell, pivot_cell in zip(row, pivot, strict=True)]
        for index, row in enumerate(tableau)
    ]
