"""Cards with the market of each coin, and tiles with figures of the lake: HTML from facts; pure."""

from html import escape

from basislake.output.units import size
from basislake.report.facts import Facts
from basislake.report.listing import MINUS, NOTHING, count_of, number, share

_SCALES = ((1e9, "B"), (1e6, "M"), (1e3, "k"))


def cards(facts: Facts) -> str:
    """Return a card for each coin: price, price changes, basis and traded amounts."""
    rows = facts.rows["quotes"]
    names = sorted({str(coin) for figure in facts.rows.values() for coin in figure.get("coin", [])})
    return "".join(
        _card({name: values[n] for name, values in rows.items()}, names)
        for n in range(count_of(rows))
    )


def tiles(facts: Facts) -> str:
    """Return tiles with figures of the lake."""
    of = facts.first("summary")
    storage = sum(facts.rows["storage"]["bytes"])
    covered = of["covered_pct"]
    listed = [
        ("Instruments", number(of["instruments"]),
         f"{number(of['futures'])} futures; {number(of['with_candles'])} with candles"),
        ("Candles", number(of["candles"]), f"{number(of['raw_candles'])} raw"),
        ("Covered", NOTHING if covered is None else f"{share(covered)} %",
         f"{number(of['due_minutes'] - of['present_minutes'])} minutes without a candle"),
        ("Basis rows", number(of["basis_rows"]), f"{number(of['unmatched'])} unmatched"),
        ("Quarantine", number(of["quarantined"]), "candles refused or replaced"),
        ("Storage", size(storage), _a_candle(storage, of["raw_candles"])),
        ("PostgreSQL", *_database(facts)),
    ]  # fmt: skip
    return "".join(
        f"<div><dt>{name}</dt><dd>{value}<small>{note}</small></dd></div>"
        for name, value, note in listed
    )


def amount(value: float | None) -> str:
    """Return an amount of money in its largest unit: 1.26 B."""
    if value is None:
        return NOTHING
    for scale, unit in _SCALES:
        if value >= scale:
            return f"{value / scale:,.{2 if value < 10 * scale else 1}f} {unit}"
    return f"{value:,.0f}"


def _card(of: dict[str, object], coins: list[str]) -> str:
    place = coins.index(str(of["coin"])) % 4 + 1
    facts = [
        ("7 days", _change(of["change_7d_pct"])),
        ("30 days", _change(of["change_30d_pct"])),
        (f"24 h low {NOTHING} high", f"{number(of['low_1d'])} {NOTHING} {number(of['high_1d'])}"),
        ("24 h perpetual volume", f"{amount(_number(of['perpetual_cost_1d']))} USD"),
        ("24 h futures volume", f"{amount(_number(of['futures_cost_1d']))} USD"),
        ("Open futures", number(of["open_futures"])),
    ]
    front = NOTHING
    note = "basis: no front quarterly"
    if of["front_quarterly"] is not None:
        front = f"{number(of['front_annualised_pct'])} %"
        note = f"basis a year, {of['front_quarterly']}, {number(of['front_days'])} days"
    listed = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts)
    return (
        f'<div class="card" style="--coin:var(--series-{place})">'
        f'<div class="headline"><p><b>{escape(str(of["perpetual"]))}</b>'
        f"<small>{escape(str(of['minute']))} UTC</small></p>"
        f'<p class="price">{number(of["price"])}<small>USD</small>'
        f"<span>{_change(of['change_1d_pct'])}<small>24 h</small></span></p>"
        f'<p class="front">{front}<small>{escape(note)}</small></p></div>'
        f"<dl>{listed}</dl></div>"
    )


def _change(value: object) -> str:
    if not isinstance(value, float):
        return NOTHING
    sign, name = ("+", "up") if value > 0 else (MINUS, "down") if value < 0 else ("", "flat")
    return f'<span class="{name}">{sign}{abs(value):,.2f} %</span>'


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) else None


def _a_candle(size_bytes: int, candles: int) -> str:
    return f"{size_bytes / candles:.1f} bytes per candle" if candles else "no candle yet"


def _database(facts: Facts) -> tuple[str, str]:
    parity = facts.rows["parity"]
    if not facts.has_database:
        return NOTHING, "not queried"
    rows = f"{sum(parity['database_rows']):,} rows"
    return ("equal" if all(parity["is_equal"]) else "differs"), rows
