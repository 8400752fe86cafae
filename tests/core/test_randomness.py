"""Randomness and identity, both from the seed alone."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockanka.core.randomness import draw, hash_parts, make_controller_uuid, make_host_uuid, make_image_file_name

SEEDS = st.integers(-(2**63), 2**63 - 1)


@given(SEEDS, st.text(), st.text())
def test_a_draw_is_from_zero_to_below_one(seed: int, entity: str, purpose: str) -> None:
    """No draw is below 0, and none reaches 1."""
    assert 0 <= draw(seed, entity, purpose) < 1


@given(SEEDS, st.text(), st.text())
def test_a_draw_repeated_is_the_same(seed: int, entity: str, purpose: str) -> None:
    """Nothing but seed, entity and purpose goes into a draw."""
    assert draw(seed, entity, purpose) == draw(seed, entity, purpose)


def test_draws_are_roughly_uniform() -> None:
    """Of ten thousand draws about a thousand fall into each tenth."""
    counts = [0] * 10
    for n in range(10_000):
        counts[int(draw(0, f"entity {n}", "purpose") * 10)] += 1

    assert min(counts) > 850
    assert max(counts) < 1150


@pytest.mark.parametrize("other", [(1, "a", "b"), (0, "c", "b"), (0, "a", "c"), (0, "b", "a")])
def test_each_part_of_a_draw_counts(other: tuple[int, str, str]) -> None:
    """Another seed, another entity or another purpose is another draw."""
    assert draw(0, "a", "b") != draw(*other)


def test_parts_do_not_run_together() -> None:
    """What stands in one part and what in the next makes a difference."""
    assert hash_parts(0, "ab", "c") != hash_parts(0, "a", "bc")


@given(st.integers(1, 64))
def test_a_digest_is_as_long_as_asked_for(size: int) -> None:
    """A digest has the number of bytes that was asked for."""
    assert size == len(hash_parts(0, "a", size=size))


def test_text_that_is_no_valid_unicode_has_a_digest() -> None:
    """A lone surrogate, as requests may bring one, is as good as any text."""
    assert hash_parts(0, "\ud800") != hash_parts(0, "\ud801")


def assert_is_controllers(id: str) -> None:
    """The shape of an id of the controller: version 4, variant nibble 4 to 7."""
    parts = id.split("-")
    assert [8, 4, 4, 4, 12] == [len(part) for part in parts]
    assert set("".join(parts)) <= set("0123456789abcdef")
    assert "4" == parts[2][0]
    assert parts[3][0] in "4567"


@given(SEEDS, st.text(), st.integers(0, 10**9))
def test_ids_of_the_controller_have_its_odd_variant(seed: int, kind: str, count: int) -> None:
    """An id that the controller mints is a version 4 UUID but for a variant nibble of 4 to 7 (A0.2)."""
    assert_is_controllers(make_controller_uuid(seed, kind, count))


def test_every_variant_nibble_of_the_controller_occurs() -> None:
    """All of 4, 5, 6 and 7 stand at the variant's place."""
    nibbles = {make_controller_uuid(0, "instance", count)[19] for count in range(100)}

    assert set("4567") == nibbles


@given(SEEDS, st.text())
def test_ids_of_macs_are_proper_uuids(seed: int, name: str) -> None:
    """An id that a Mac mints is a UUID of version 4 with the standard variant (A0.2)."""
    id = UUID(make_host_uuid(seed, name))
    expected = (4, "specified in RFC 4122")

    assert expected == (id.version, id.variant)


def test_ids_of_a_kind_differ_from_one_to_the_next() -> None:
    """A thousand ids of each of two kinds are two thousand ids."""
    ids = {make_controller_uuid(0, kind, count) for kind in ("instance", "request") for count in range(1000)}

    assert 2000 == len(ids)


def test_another_seed_gives_other_ids() -> None:
    """The seed decides every id."""
    assert make_controller_uuid(0, "instance", 1) != make_controller_uuid(1, "instance", 1)
    assert make_host_uuid(0, "node", "a") != make_host_uuid(1, "node", "a")


@given(SEEDS, st.text())
def test_files_are_named_as_the_registry_names_them(seed: int, name: str) -> None:
    """A file's name is 32 hexadecimal digits and .ank (A11)."""
    stem, dot, end = make_image_file_name(seed, name).partition(".")
    expected = (32, ".", "ank")

    assert expected == (len(stem), dot, end)
    assert set(stem) <= set("0123456789abcdef")
