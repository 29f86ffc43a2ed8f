"""Random places of damage: flipped bits, zeroed blocks, files cut off."""

from __future__ import annotations

from collections.abc import Callable
from random import Random


def flipped(whole: bytes, random: Random) -> bytes:
    """Flip one bit, as a worn disk does."""
    damaged = bytearray(whole)
    damaged[random.randrange(len(whole))] ^= 1 << random.randrange(8)
    return bytes(damaged)


def several_flipped(whole: bytes, random: Random) -> bytes:
    """Flip bits in up to eight places."""
    for _ in range(random.randint(2, 8)):
        whole = flipped(whole, random)
    return whole


def zeroed(whole: bytes, random: Random) -> bytes:
    """Zero a block, as a crash does to what was not on the disk yet."""
    start = random.randrange(len(whole))
    length = min(random.choice([1, 16, 512, 4096]), len(whole) - start)
    return whole[:start] + bytes(length) + whole[start + length :]


def cut_off(whole: bytes, random: Random) -> bytes:
    """Cut off the end, perhaps all of it."""
    return whole[: random.randrange(len(whole))]


KINDS: tuple[Callable[[bytes, Random], bytes], ...] = (flipped, several_flipped, zeroed, cut_off)
