"""Acceptance criteria AC-007 to AC-009 of the users' guide, decided from rows; pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

# The guide's limit, and the number of candles that it is for.
LIMIT_BYTES = 1_500_000_000
GUIDE_CANDLES = 13_200_000

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Criterion:
    """One criterion, decided.

    Attributes:
        name: as in the guide, with an addition if the criterion has several parts.
        asks: the requirement.
        passed: None if there is no data to decide it yet.
        figure: the result in words.
    """

    name: str
    asks: str
    passed: bool | None
    figure: str

    @property
    def verdict(self) -> str:
        """The decision in one word."""
        return {True: "pass", False: "FAIL", None: "open"}[self.passed]


def registry(rows: Sequence[Row], scope: str = "everything") -> Criterion:
    """Decide AC-007 within the lake's scope (in words), by the rows of `proofs.REGISTRY`."""
    futures = sum(row["futures"] for row in rows)
    lengths = {
        length: sum(row["futures"] for row in rows if row["length"] == length)
        for length in ("daily", "weekly", "monthly", "quarterly")
    }
    wrong = {
        text: sum(row[name] for row in rows)
        for name, text in (
            ("not_in_coverage", "without coverage"),
            ("not_covered_whole", "not covered from listing to end"),
            ("with_minutes_never_asked", "with minutes never asked for"),
            ("with_minutes_without_answer", "with minutes without an answer"),
        )
    }
    return Criterion(
        "AC-007",
        "every future since 2019 that the exchange lists has a status for each minute "
        f"within the lake's scope ({scope})",
        None if not futures else not any(wrong.values()),
        f"within the scope ({scope}) {futures:,} futures ({_listed(lengths)}); {_listed(wrong)}",
    )


def deliveries(rows: Sequence[Row]) -> Criterion:
    """Decide AC-007 of the futures that expired, by the rows of `proofs.DELIVERIES`."""
    is_stored = any(row["delivered"] for row in rows)
    counts = {row["verdict"]: row["futures"] for row in rows}
    return Criterion(
        "AC-007, deliveries",
        "every expired future within the scope was delivered, at the delivery price of its day, "
        "and every delivered one is in `instruments`",
        set(counts) == {"proved"} if is_stored else None,
        _listed(counts) if is_stored else "no delivery is stored",
    )


def basis(origins: Sequence[Row], formulas: Sequence[Row]) -> Criterion:
    """Decide AC-008, by the rows of `proofs.BASIS_ORIGIN` and `proofs.BASIS_FORMULAS`."""
    candles, rows, without, unexplained, differing = (
        sum(row[name] for row in origins)
        for name in (
            "candles", "basis_rows", "without_perpetual", "unexplained", "futures_that_differ",
        )
    )  # fmt: skip
    wrong = sum(n for row in formulas for name, n in row.items() if name not in _NO_FAULT)
    return Criterion(
        "AC-008",
        "every candle of a future has a basis row, or its perpetual lacks that minute",
        None if not candles else not (unexplained or differing or wrong),
        f"{candles:,} candles = {rows:,} basis rows + {without:,} without a minute of the "
        f"perpetual + {unexplained:,} unexplained; {differing:,} futures whose rows differ from "
        f"their candles; {wrong:,} values that differ from their formula",
    )


def lake_storage(rows: Sequence[Row]) -> Criterion:
    """Decide AC-009 of the lake, by the rows of `proofs.FUTURES_STORAGE`: of the table `candles`,
    as the guide's limit is of `futures_ohlcv`.
    """
    of = {row["table_name"]: row for row in rows}
    own = of.get("candles", {"rows": 0, "bytes": 0})
    all_bytes = sum(row["bytes"] for row in rows)
    criterion = _storage("AC-009, lake", own["rows"], own["bytes"])
    if not own["rows"]:
        return criterion
    total = f"with raw candles and basis {_scaled(own['rows'], all_bytes) / 1e9:.3f} GB"
    return replace(criterion, figure=f"{criterion.figure}; {total}")


def database_storage(rows: int, size_bytes: int) -> Criterion:
    """Decide AC-009 of PostgreSQL: of `futures_ohlcv`, by `pg_total_relation_size` (with keys)."""
    return _storage("AC-009, PostgreSQL", rows, size_bytes)


def _storage(name: str, rows: int, size_bytes: int) -> Criterion:
    asks = f"at most {LIMIT_BYTES / 1e9} GB for {GUIDE_CANDLES / 1e6} M candles of futures"
    if not rows:
        return Criterion(name, asks, None, "no candle of a future is stored")
    scaled = _scaled(rows, size_bytes)
    share = scaled / LIMIT_BYTES
    return Criterion(
        name,
        asks,
        scaled <= LIMIT_BYTES,
        f"{size_bytes:,} bytes for {rows:,} candles, {size_bytes / rows:.1f} each: "
        f"{scaled / 1e9:.3f} GB for {GUIDE_CANDLES / 1e6} M, {share:.0%} of the limit",
    )


def _scaled(rows: int, size_bytes: int) -> float:
    return size_bytes / rows * GUIDE_CANDLES


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())


_NO_FAULT = {"currency", "rows"}
