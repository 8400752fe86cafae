"""Randomness and identity, both from the seed alone.

Each draw hashes seed, entity and purpose, so what happens to one entity never disturbs another, and nothing
has to be remembered between draws.
"""

from hashlib import blake2b
from uuid import UUID


def digest(seed: int, *parts: object, size: int = 16) -> bytes:
    """``size`` bytes that depend on the seed and on every part, and on nothing else."""
    text = "\0".join(str(part) for part in (seed, *parts))
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=size).digest()


def draw(seed: int, entity: str, purpose: str) -> float:
    """A number in [0, 1), evenly spread."""
    return (int.from_bytes(digest(seed, entity, purpose, size=8), "big") >> 11) / 2**53


def controller_uuid(seed: int, kind: str, count: int) -> str:
    """An id as the controller mints it: like UUID version 4, but with a variant nibble of 4 to 7.

    Evidence: controller-facts A0.2, true of every instance, request and group id ever published.
    """
    raw = bytearray(digest(seed, "minted", kind, count))
    raw[6] = raw[6] & 0x0F | 0x40
    raw[8] = raw[8] & 0x3F | 0x40
    return str(UUID(bytes=bytes(raw)))


def host_uuid(seed: int, *names: object) -> str:
    """An id as a Mac mints it (nodes, templates, VMs): a proper UUID version 4 (controller-facts A0.2)."""
    return str(UUID(bytes=digest(seed, *names), version=4))


def image_file_name(seed: int, *names: object) -> str:
    """The name of an image or state file: 32 hex digits and ``.ank`` (controller-facts A11)."""
    return f"{digest(seed, *names).hex()}.ank"
