"""Random numbers and ids that depend on the seed alone."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockanka.core.randomness import draw, hash_parts, make_controller_uuid, make_host_uuid, make_image_file_name

SEEDS = st.integers(-(2**63), 2**63 - 1)


@given(SEEDS, st.text(), st.text())
def test_a_draw_is_from_zero_to_below_one(seed: int, entity: str, purpose: str) -> None:
    """It may be 0, and is never 1."""
    assert 0 <= draw(seed, entity, purpose) < 1


@given(SEEDS, st.text(), st.text())
def test_a_repeated_draw_is_the_same(seed: int, entity: str, purpose: str) -> None:
    """It depends on seed, entity and purpose alone."""
    assert draw(seed, entity, purpose) == draw(seed, entity, purpose)


def test_draws_are_roughly_uniform() -> None:
    """Of ten thousand draws about a thousand are in each tenth."""
    counts = [0] * 10
    for n in range(10_000):
        counts[int(draw(0, f"entity {n}", "purpose") * 10)] += 1

    assert min(counts) > 850
    assert max(counts) < 1150


@pytest.mark.parametrize("other", [(1, "a", "b"), (0, "c", "b"), (0, "a", "c"), (0, "b", "a")])
def test_a_draw_depends_on_each_of_its_parts(other: tuple[int, str, str]) -> None:
    """Another seed, entity or purpose makes another number."""
    assert draw(0, "a", "b") != draw(*other)


def test_parts_of_a_hash_are_separated() -> None:
    """Text that moves from one part to the next makes another hash."""
    assert hash_parts(0, "ab", "c") != hash_parts(0, "a", "bc")


@given(st.integers(1, 64))
def test_a_hash_has_the_requested_size(size: int) -> None:
    """The size is in bytes."""
    assert size == len(hash_parts(0, "a", size=size))


def test_text_that_is_invalid_unicode_has_a_hash() -> None:
    """Requests may contain a lone surrogate."""
    assert hash_parts(0, "\ud800") != hash_parts(0, "\ud801")


def assert_controller_uuid(id: str) -> None:
    """Assert the format of the controller's ids: UUID version 4, with a variant nibble of 4 to 7."""
    parts = id.split("-")
    assert [8, 4, 4, 4, 12] == [len(part) for part in parts]
    assert set("".join(parts)) <= set("0123456789abcdef")
    assert "4" == parts[2][0]
    assert parts[3][0] in "4567"


@given(SEEDS, st.text(), st.integers(0, 10**9))
def test_ids_of_the_controller_have_its_variant(seed: int, kind: str, count: int) -> None:
    """They are UUIDs of version 4, except for a variant nibble of 4 to 7 (A0.2)."""
    assert_controller_uuid(make_controller_uuid(seed, kind, count))


def test_every_variant_nibble_of_the_controller_occurs() -> None:
    """It is 4, 5, 6 or 7."""
    nibbles = {make_controller_uuid(0, "instance", count)[19] for count in range(100)}

    assert set("4567") == nibbles


@given(SEEDS, st.text())
def test_ids_of_macs_are_standard_uuids(seed: int, name: str) -> None:
    """They are UUIDs of version 4 with the standard variant (A0.2)."""
    id = UUID(make_host_uuid(seed, name))
    expected = (4, "specified in RFC 4122")

    assert expected == (id.version, id.variant)


def test_ids_are_unique() -> None:
    """No two of a thousand ids of two kinds are equal."""
    ids = {make_controller_uuid(0, kind, count) for kind in ("instance", "request") for count in range(1000)}

    assert 2000 == len(ids)


def test_another_seed_makes_other_ids() -> None:
    """Ids of the controller and of Macs depend on it."""
    assert make_controller_uuid(0, "instance", 1) != make_controller_uuid(1, "instance", 1)
    assert make_host_uuid(0, "node", "a") != make_host_uuid(1, "node", "a")


@given(SEEDS, st.text())
def test_files_are_named_like_those_of_the_registry(seed: int, name: str) -> None:
    """The name is 32 hexadecimal digits and .ank (A11)."""
    stem, dot, end = make_image_file_name(seed, name).partition(".")
    expected = (32, ".", "ank")

    assert expected == (len(stem), dot, end)
    assert set(stem) <= set("0123456789abcdef")
