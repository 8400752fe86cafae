"""Random numbers and ids that depend on the seed alone.

A draw is a hash of seed, entity and purpose: what happens to one entity changes nothing for another, and no state is
kept between draws.
"""

from hashlib import blake2b
from uuid import UUID

FLOAT_BITS = 53
"""Bits of a float's mantissa: so many bits of a hash make a number below 1 without rounding."""


def hash_parts(seed: int, *parts: object, size: int = 16) -> bytes:
    """Return ``size`` bytes that depend on the seed and on every part, and on nothing else."""
    text = "\0".join(str(part) for part in (seed, *parts))
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=size).digest()


def draw(seed: int, entity: str, purpose: str) -> float:
    """Return a number from 0 to below 1, uniformly distributed."""
    bits = int.from_bytes(hash_parts(seed, entity, purpose, size=8), "big")
    return (bits >> (64 - FLOAT_BITS)) / (1 << FLOAT_BITS)


def make_controller_uuid(seed: int, kind: str, count: int) -> str:
    """Return an id as the controller makes them: like UUID version 4, but with a variant nibble of 4 to 7.

    Evidence: controller-facts A0.2, true of every instance, request and group id ever published.
    """
    raw = bytearray(hash_parts(seed, "minted", kind, count))
    raw[6] = raw[6] & 0x0F | 0x40  # the version
    raw[8] = raw[8] & 0x3F | 0x40  # the variant
    return str(UUID(bytes=bytes(raw)))


def make_host_uuid(seed: int, *names: object) -> str:
    """Return an id as a Mac makes them (nodes, templates, VMs): a standard UUID version 4 (controller-facts A0.2)."""
    return str(UUID(bytes=hash_parts(seed, *names), version=4))


def make_image_file_name(seed: int, *names: object) -> str:
    """Return the name of an image or state file: 32 hex digits and ``.ank`` (controller-facts A11)."""
    return f"{hash_parts(seed, *names).hex()}.ank"
