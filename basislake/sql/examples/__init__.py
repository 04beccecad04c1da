"""Example queries, the source of `basislake sql @NAME` and of docs/queries.md."""

from basislake.sql.examples.carry import CARRY
from basislake.sql.examples.curve import CURVE
from basislake.sql.examples.example import Example
from basislake.sql.examples.history import HISTORY
from basislake.sql.examples.lines import (
    CARRIES,
    CHECKS,
    CURVES,
    ELSEWHERE,
    LOOK_UP,
    SERIES,
    TRADES,
    Line,
)
from basislake.sql.examples.market import PRICES
from basislake.sql.examples.proofs import PROOFS
from basislake.sql.examples.soundness import SOUNDNESS
from basislake.sql.examples.volume import TRADING
from lake.errors import UsageError

MARK = "@"

# Title of a subject, command lines for its questions, and example queries.
SUBJECTS: tuple[tuple[str, tuple[Line, ...], tuple[Example, ...]], ...] = (
    ("Prices and contracts", LOOK_UP, PRICES),
    ("The curve", CURVES, CURVE),
    ("The basis through time", SERIES, HISTORY),
    ("Carry", CARRIES, CARRY),
    ("Trading", TRADES, TRADING),
    ("Is the data complete and sound?", CHECKS, (*SOUNDNESS, *PROOFS)),
    ("In other tools", ELSEWHERE, ()),
)
EXAMPLES = tuple(example for _, _, examples in SUBJECTS for example in examples)


def text_of(query: str) -> str:
    """Return the SQL of an example if the text is its name with the mark; else the text itself.

    Raises:
        UsageError: no example query has the name.
    """
    return named(query).sql if query.startswith(MARK) else query


def named(name: str) -> Example:
    """Return an example query by its name with the mark.

    Raises:
        UsageError: no example query has the name.
    """
    for example in EXAMPLES:
        if name == MARK + example.name:
            return example
    names = ", ".join(MARK + example.name for example in EXAMPLES)
    raise UsageError(f"There is no example query {name}. Choose one of {names}.")
