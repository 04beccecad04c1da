"""Counts of things in messages."""


def counted(count: int, word: str, plural: str = "") -> str:
    """Return a count with its noun: 1 instrument, 2 instruments.

    Args:
        count: how many.
        word: the noun in the singular.
        plural: the noun in the plural, if it is not the singular and an s.
    """
    return f"{count:,} {word if count == 1 else plural or f'{word}s'}"
