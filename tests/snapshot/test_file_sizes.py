"""Sizes of files that are found from the sizes of versions and templates."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mockanka.snapshot.file_sizes import SizeSum, solve_file_sizes
from tests.conftest import examples

FILES = "abcdefgh"
VERSIONS = st.lists(st.sets(st.sampled_from(FILES), min_size=1), min_size=1, max_size=6)


def sums_of(versions: list[set[str]], sizes: dict[str, int]) -> list[SizeSum]:
    """Return the sizes of versions and of their template, given those of the files."""
    all_files = set().union(*versions)
    return [SizeSum(frozenset(files), sum(sizes[file] for file in files)) for files in (*versions, all_files)]


@settings(max_examples=examples(100, 600))
@given(VERSIONS, st.lists(st.integers(0, 10**12), min_size=8, max_size=8))
def test_every_sum_is_met(versions: list[set[str]], sizes: list[int]) -> None:
    """Sizes are found that give the size of every version and of the template, whatever files versions share."""
    sums = sums_of(versions, dict(zip(FILES, sizes, strict=True)))
    found = solve_file_sizes(sums)

    assert all(size >= 0 for size in found.values())
    # If no solution in whole bytes is found, fractions are cut off.
    missed = [abs(size_sum.total - sum(found[file] for file in size_sum.files)) for size_sum in sums]
    assert max(missed) < len(FILES)


def test_layers_have_the_size_that_they_add() -> None:
    """A version on top of another adds the difference of their sizes."""
    found = solve_file_sizes([SizeSum(frozenset("a"), 20), SizeSum(frozenset("ab"), 28), SizeSum(frozenset("abc"), 29)])

    assert {"a": 20, "b": 8, "c": 1} == found


def test_files_of_the_same_sums_share_their_size() -> None:
    """They get equal sizes, and the first of them also the remainder."""
    assert {"a": 4, "b": 3, "c": 3} == solve_file_sizes([SizeSum(frozenset("abc"), 10)])


def test_sums_that_contradict_each_other_are_met_in_part() -> None:
    """A version that is larger than its template still gets a size."""
    assert {"a": 10} == solve_file_sizes([SizeSum(frozenset("a"), 10), SizeSum(frozenset("a"), 5)])
