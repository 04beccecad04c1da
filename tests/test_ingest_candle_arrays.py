import orjson
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.deribit.candle_arrays import CELLS, Columns, at_once, one_by_one
from ingest.deribit.replies import HttpReply, read_answer
from lake.errors import ExchangeError

ROWS = 400
ARRAYS = ("ticks", *CELLS)
NUMBERS = [1_577_865_600_000 + n * 60_000 for n in range(ROWS)]
BODY = orjson.dumps(
    {
        "jsonrpc": "2.0",
        "result": {"status": "ok", "ticks": NUMBERS}
        | {name: [n + 0.5 + at / 7 for n in range(ROWS)] for at, name in enumerate(CELLS)},
        "usIn": 1,
        "usOut": 1_700_000_000_000_001,
        "testnet": False,
    }
).decode()

numbers = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
# In place of a number; the last ones are no JSON, or no number that a float holds.
in_its_place = st.sampled_from(
    ["null", "true", "false", '"1"', "[1]", "[]", "{}", '{"a":[1]}', "-0", "1e-320", "1e400", "NaN"]
) | numbers.map(lambda number: orjson.dumps(float(number)).decode())


def carefully(body: bytes) -> Columns | None:
    """What is read cell by cell; None where that refuses."""
    try:
        return one_by_one(read_answer(HttpReply(200, body, {})).result)
    except ExchangeError:
        return None


def bits(columns: Columns) -> dict[str, list[int | None]]:
    """The cells to the last bit: zeros differ by their sign."""
    return {
        name: pl.Series(columns[name].to_list(), dtype=pl.Float64)
        .reinterpret(signed=True)
        .to_list()
        for name in ARRAYS
    }


def array_of(name: str) -> str:
    start = BODY.index(f'"{name}":[') + len(name) + 3
    return BODY[start : BODY.index("]", start) + 1]


def test_a_plain_page_is_read_at_once_and_as_cell_by_cell() -> None:
    plain, careful = at_once(BODY.encode()), carefully(BODY.encode())
    assert plain is not None
    assert careful is not None
    assert plain.us_out == 1_700_000_000_000_001
    assert bits(plain.columns) == bits(careful)


@given(st.data())
def test_a_page_with_any_cell_changed_is_read_as_cell_by_cell_or_left_to_that(
    data: st.DataObject,
) -> None:
    array = array_of(data.draw(st.sampled_from(ARRAYS)))
    cells = array[1:-1].split(",")
    cells[data.draw(st.integers(0, ROWS - 1))] = data.draw(in_its_place)
    body = BODY.replace(array, f"[{','.join(cells)}]").encode()
    plain = at_once(body)
    if plain is not None:
        careful = carefully(body)
        assert careful is not None
        assert bits(plain.columns) == bits(careful)


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        (array_of("close"), "7"),
        (array_of("close"), "[7]"),
        (array_of("close"), "null"),
        (array_of("close"), f"[{array_of('close')}]"),
        (array_of("close"), array_of("close")[:-1] + ",1]"),
        ('"close"', '"closes"'),
        ('"close"', '"cl\\u006fse"'),
        ('"close"', '"close":[1],"close"'),
        ('"close":', '"close":1,"close":'),
        ('"volume":', '"cost":1,"volume":'),
        ('"status":"ok"', '"status":"no_data"'),
        ('"status":"ok"', '"status":"no_data","status":"ok"'),
        ('"status":"ok"', '"status":null'),
        ('"status":"ok",', ""),
        ('"testnet":false', '"testnet":null'),
        ('"testnet":false', '"testnet":0'),
        ('"testnet":false', '"error":{"code":10028,"message":"too_many_requests"}'),
        ('"usOut":', '"usOut":1,"usOut":'),
        ('"usOut":1700000000000001', '"usOut":"now"'),
        ('"usOut":1700000000000001', '"usOut":true'),
        ('"result":', '"result":null,"result":'),
        ('"jsonrpc":"2.0"', '"jsonrpc":' + "[" * 100_000 + "]" * 100_000),
        ("}", ""),
        ('"ok"', '"o\ud800k"'),
    ],
)
def test_a_reply_that_is_not_plain_is_left_to_be_read_cell_by_cell(
    written: str, instead: str
) -> None:
    changed = BODY.replace(written, instead)
    assert changed != BODY
    assert at_once(changed.encode(errors="surrogatepass")) is None


def test_a_page_that_tells_neither_clock_nor_testnet_is_plain() -> None:
    body = BODY.replace(',"usOut":1700000000000001,"testnet":false', "")
    plain = at_once(body.encode())
    assert plain is not None
    assert plain.us_out is None


def test_a_small_reply_is_left_to_be_read_cell_by_cell() -> None:
    small = orjson.dumps({"result": {"status": "ok", **{name: [1, 2] for name in ARRAYS}}})
    assert carefully(small) is not None
    assert at_once(small) is None
