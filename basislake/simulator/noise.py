"""Pseudo-random numbers that depend only on words and minutes."""

from collections.abc import Sequence
from hashlib import blake2b

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

_BITS = 53


def _word(value: int) -> pa.Scalar:
    return pa.scalar(value, pa.uint64())


_GAMMA = _word(0x9E3779B97F4A7C15)
_FIRST = _word(0xBF58476D1CE4E5B9)
_SECOND = _word(0x94D049BB133111EB)


def draw(*words: object) -> float:
    """Return a number in [0, 1) that depends only on the words, and is equal on every machine."""
    return (_key(*words) >> 11) / (1 << _BITS)


def noise(first: int, end: int, prefix: str, names: Sequence[str]) -> pl.DataFrame:
    """Return, for each minute and name, a number in [0, 1) that depends on these (splitmix64).

    The values of Polars' own `hash` may change between versions, so it is not used. Arrow computes
    the numbers for all names at once, as it can shift bits where Polars would divide.

    Args:
        first: minute since 1970, in the range.
        end: minute since 1970, not in the range.
        prefix: set before each name, with a slash.
        names: of the numbers.

    Returns:
        Columns minute, and `price noise` for the name price.
    """
    minutes = pl.int_range(first, end, eager=True).alias("minute")
    base = pc.multiply(minutes.cast(pl.UInt64).to_arrow(), _GAMMA)
    seeded = [pc.add(base, _word(_key(prefix, name))) for name in names]
    mixed = pa.concat_arrays(seeded)
    mixed = pc.multiply(_folded(mixed, 30), _FIRST)
    mixed = pc.multiply(_folded(mixed, 27), _SECOND)
    mixed = pc.shift_right(_folded(mixed, 31), _word(64 - _BITS))
    numbers = pl.Series(pc.multiply(pc.cast(mixed, pa.float64()), 2.0**-_BITS))
    columns = [
        numbers.slice(n * len(minutes), len(minutes)).alias(f"{name} noise")
        for n, name in enumerate(names)
    ]
    return pl.DataFrame([minutes, *columns])


def _key(*words: object) -> int:
    text = "/".join(map(str, words)).encode()
    return int.from_bytes(blake2b(text, digest_size=8).digest())


def _folded(mixed: pa.Array, bits: int) -> pa.Array:
    return pc.bit_wise_xor(mixed, pc.shift_right(mixed, _word(bits)))
