"""Tapes of decisions: what is read, what is refused, and what becomes of their rows."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from research.backtest.backtest import BacktestRequest, BacktestResult, backtest
from research.errors import TapeError
from research.tape import read_tape
from tests.support.research.markets import MINUTE, START, flat_bars, market, micros
from tests.support.values.builders import BTC, BY_QUOTE, ETH, free, rules

HEADING = "created_at,symbol,decision,confidence,quantity"
FREE = rules(costs=free(), execution=BY_QUOTE, max_position_size=1, min_notional=1)
PRICES = market(flat_bars([100, 110, 120, 130]), flat_bars([10, 11, 12, 13], ETH))


def tape_of(folder: Path, *lines: str, name: str = "tape.csv") -> Path:
    file = folder / name
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def executed(file: Path, begin: int | None = None) -> BacktestResult:
    return backtest(BacktestRequest(read_tape(file), PRICES, FREE, PRICES.origin if begin is None else begin))


def at(minutes: float) -> str:
    return (START + minutes * MINUTE).isoformat()


def fills(result: BacktestResult) -> list[tuple[object, ...]]:
    return list(result.records.fills.tuples(["symbol", "side", "quantity", "price"]))


def test_decisions_are_executed_at_the_next_price(tmp_path: Path) -> None:
    file = tape_of(
        tmp_path, HEADING, f"{at(1)},BTC/USDT,BUY,1,2", f"{at(1.5)},eth-usdt,buy,1,3", f"{at(2)},BTC/USDT,SELL,1,",
    )  # fmt: skip
    assert [(BTC, "BUY", 2, 110), (ETH, "BUY", 3, 11), (BTC, "SELL", 2, 120)] == fills(executed(file))


def test_the_rows_may_be_in_any_order_and_the_ids_stay(tmp_path: Path) -> None:
    lines = [f"{at(2)},BTC/USDT,SELL,1,", f"{at(1)},BTC/USDT,BUY,1,2"]
    file = tape_of(tmp_path, HEADING, *lines)
    result = executed(file)
    assert [(BTC, "BUY", 2, 110), (BTC, "SELL", 2, 120)] == fills(result)
    again = list(executed(file).records.fills.tuples(["order_id"]))
    assert list(result.records.fills.tuples(["order_id"])) == again
    # Another file has other ids, and so other draws of slippage.
    other = executed(tape_of(tmp_path, HEADING, *lines, "", name="other.csv"))
    assert again != list(other.records.fills.tuples(["order_id"]))


def test_parquet_is_read_too(tmp_path: Path) -> None:
    table = pyarrow.table({
        "created_at": [START + MINUTE], "symbol": ["BTC/USDT"], "decision": ["BUY"], "confidence": [Decimal("0.9")],
        "quantity": [1.5],
    })  # fmt: skip
    file = tmp_path / "tape.parquet"
    pyarrow.parquet.write_table(table, file)
    assert [(BTC, "BUY", Decimal("1.5"), 110)] == fills(executed(file))


def test_exported_decisions_are_a_tape(tmp_path: Path) -> None:
    heading = "id,uid,portfolio,symbol,decision,confidence,quantity,created_at,status,outcome_reason,target,strategy"
    first = f"17,0b5c,default,BTC/USDT,BUY,1,2,{at(1)},executed,bought,,dip"
    cancel = f"18,1b5c,default,*,CANCEL,1,,{at(1)},executed,,17,dip"
    file = tape_of(tmp_path, heading, first, cancel)
    tape = read_tape(file)
    assert ("columns without a meaning here: status, outcome_reason",) == tape.notes
    assert 2 == tape.entries[1].target
    result = executed(file)
    # The CANCEL comes before the price for which the BUY waits.
    assert {"cancelled": 1} == Counter(status for status, _, _ in result.records.outcome_counts().elements())
    # What was decided before the begin is not there.
    late = executed(file, micros(START + 2 * MINUTE))
    assert 0 == sum(late.records.outcome_counts().values())


def test_decisions_after_the_last_price_are_left_out(tmp_path: Path) -> None:
    result = executed(tape_of(tmp_path, HEADING, f"{at(1)},BTC/USDT,BUY,1,2", f"{at(99)},BTC/USDT,SELL,1,"))
    assert ("1 decision came after the last price and was left out",) == result.notes
    assert 1 == len(result.records.fills)


def test_several_strategies_stay_apart(tmp_path: Path) -> None:
    lines = [f"{at(1)},BTC/USDT,BUY,1,2,one", f"{at(1)},ETH/USDT,BUY,1,3,two"]
    result = executed(tape_of(tmp_path, f"{HEADING},strategy", *lines))
    assert ["one", "two"] == [execution.strategy for execution in result.records.executions()]


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (["symbol,decision", "BTC/USDT,BUY"], "the column created_at is missing; its columns are symbol, decision"),
        ([HEADING], "it holds none"),
        (
            [HEADING + ",stop_los", f"{at(1)},BTC/USDT,BUY,1,2,9"],
            "no column 'stop_los'; did you mean stop_loss?",
        ),
        ([HEADING, "yesterday,BTC/USDT,BUY,1,2"], "row 2: created_at = 'yesterday' must be a time such as"),
        ([HEADING, f"{at(1)},BTC/USDT,HODL,1,2"], "row 2: decision = 'HODL': must be BUY"),
        ([HEADING, f"{at(1)},BTC/USDT,BUY,1.5,2"], "row 2: confidence = '1.5': "),
        ([HEADING, f"{at(1)},BTC/USDT,BUY,,2"], "row 2: a decision needs confidence"),
        ([HEADING, f"{at(1)},BTC/USDT,BUY,1,2,3"], "row 2: it has more fields than the heading"),
        (
            [HEADING + ",portfolio", f"{at(1)},BTC/USDT,BUY,1,2,a", f"{at(1)},BTC/USDT,BUY,1,2,b"],
            "of the portfolios 'a', 'b'; keep those of one",
        ),
    ],
)
def test_a_tape_that_cannot_be_used_is_refused(lines: list[str], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(TapeError) as refused:
        read_tape(tape_of(tmp_path, *lines))
    assert sentence in str(refused.value)
    assert str(tmp_path / "tape.csv") in str(refused.value)


def test_what_is_no_file_of_decisions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TapeError, match="cannot read it: No such file"):
        read_tape(tmp_path / "none.csv")
    (tmp_path / "noise.csv").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(TapeError, match="neither CSV in UTF-8 nor Parquet"):
        read_tape(tmp_path / "noise.csv")
    (tmp_path / "cut.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(TapeError, match="cannot read it"):
        read_tape(tmp_path / "cut.parquet")


def test_a_day_of_a_decision_is_in_utc(tmp_path: Path) -> None:
    tape = read_tape(tape_of(tmp_path, HEADING, "2026-01-05T00:01:00,BTC/USDT,BUY,1,2"))
    zone = read_tape(tape_of(tmp_path, HEADING, "2026-01-05T02:01:00+02:00,BTC/USDT,BUY,1,2"))
    assert [micros(START + timedelta(minutes=1))] * 2 == [tape.entries[0].micros, zone.entries[0].micros]
    assert replace(tape.entries[0].intent) == zone.entries[0].intent
