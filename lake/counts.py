"""Numbers of things in messages."""


def counted(count: int, word: str, plural: str = "") -> str:
    """Return a number of things for people: 1 instrument, 2 instruments.

    Args:
        count: how many.
        word: of one.
        plural: of several, where it is not the word and an s.
    """
    return f"{count:,} {word if count == 1 else plural or f'{word}s'}"
