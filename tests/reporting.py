"""Shared parts of the report tests: creation, figures as frames, and the shown values."""

from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import polars as pl

from basislake.report.facts import Facts

MADE_AT = datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
HOSTILE = "</script><img src=x onerror=alert(1)>&amp;<b>\u2028"


class Reader(HTMLParser):
    """Tags, and the texts of tables and headings."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def read(page: str) -> Reader:
    """What a page consists of."""
    reader = Reader()
    reader.feed(page)
    return reader


def text_of(path: str) -> str:
    """All texts of a page on disk, joined."""
    return "".join(read(Path(path).read_text()).texts)


def figure(facts: Facts, name: str) -> pl.DataFrame:
    """A figure's rows."""
    return pl.DataFrame(facts.rows[name], strict=False)
