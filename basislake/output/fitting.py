"""Layout of tables on a terminal: which columns fit, and their widths; pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len

GAP = 2
# Least width of a cell of several words, so that few words are alone on a line.
_LEAST_PROSE = 20


@dataclass(frozen=True, slots=True)
class Extent:
    """Possible widths of a column.

    Attributes:
        least: the width at which no word and no number is broken.
        most: the width at which nothing is wrapped.
        rank: see `Column`.
    """

    least: int
    most: int
    rank: int


@dataclass(frozen=True, slots=True)
class Fitted:
    """Shown and hidden columns.

    Attributes:
        widths: of the shown columns, by position.
        hidden: positions of the others.
    """

    widths: dict[int, int]
    hidden: list[int]


def extent(title: str, cells: Sequence[str], rank: int, *, wraps: bool) -> Extent:
    """Return the possible widths of a column.

    Args:
        title: its heading, which may be wrapped.
        cells: as they are printed.
        rank: see `Column`.
        wraps: whether the cells may be wrapped between words.
    """
    widest = max((cell_len(line) for cell in cells for line in cell.splitlines()), default=0)
    word = max((cell_len(word) for cell in cells for word in cell.split()), default=0)
    least = max(word, min(widest, _LEAST_PROSE)) if wraps else widest
    heading = max(map(cell_len, title.split()), default=0)
    return Extent(max(least, heading), max(widest, cell_len(title)), rank)


def fit(extents: Sequence[Extent], available: int | None, *, may_hide: bool) -> Fitted:
    """Return which columns are shown, and how wide.

    Args:
        extents: of all columns.
        available: characters of a line; None for lines of any length.
        may_hide: whether columns may be hidden; the first one never is.
    """
    shown = list(range(len(extents)))
    if available is None:
        return Fitted({place: extents[place].most for place in shown}, [])
    while may_hide and len(shown) > 1 and _total(extents[n].least for n in shown) > available:
        shown.remove(max(shown[1:], key=lambda n: (extents[n].rank, n)))
    widths = {
        place: max(extents[place].least, min(extents[place].most, available)) for place in shown
    }
    while _total(widths.values()) > available:
        wrapped = [place for place in shown if widths[place] > extents[place].least]
        if not wrapped:
            break
        widths[max(wrapped, key=lambda place: widths[place])] -= 1
    return Fitted(widths, [place for place in range(len(extents)) if place not in shown])


def _total(widths: Iterable[int]) -> int:
    each = list(widths)
    return sum(each) + GAP * (len(each) - 1)
