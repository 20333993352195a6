"""Fourteen days of a service, from event to event, with all that an operator gets to see of them.

Two portfolios of 10,000 USDT are in a validation run; the commission is 0.1 %. The agent of `default` buys 10 BTC/USDT
at 100 and sells them three hours later, once a day at first and then twice. Sold at 104 they bring 40 − 1.00 − 1.04 =
37.96, at 102 20 − 1.00 − 1.02 = 17.98, at 99 −10 − 1.00 − 0.99 = −11.99. `risky` buys once and holds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from console.cli import main
from domain.alarms import TRADING_KINDS, Alarm, AlarmKind
from tests.support.database.proxy import Proxy
from tests.support.fortnight.clock import threads_follow
from tests.support.fortnight.fortnight import ETH, Fortnight

NO_STRAY = "portfolio is under validation: run fortnight is not bound to strategy stray"
NO_PRICE = "no price in time: none of BTC/USDT was seen within 30 s"


@pytest.fixture
def days(embedded_url: str) -> Iterator[Fortnight]:
    with Proxy(embedded_url) as proxy:
        fortnight = Fortnight(embedded_url, proxy)
        with threads_follow(fortnight.clock):
            fortnight.begin()
            try:
                yield fortnight
            finally:
                fortnight.close()


def live(days: Fortnight) -> None:
    """Live through the days, from Tuesday 20 October 2026 on."""
    days.midnight(0)
    days.round_trip(1, (7, 10), "104")
    days.night(1)
    days.round_trip(2, (7, 10), "99")
    days.at(2, 11)
    days.restart(datetime(2026, 10, 21, 11, 5, tzinfo=UTC))
    days.night(2)
    days.round_trip(3, (7, 10), "104")
    days.night(3)
    days.at(4, 6)
    assert ("rejected", NO_STRAY) == days.outcome(days.send("BUY", strategy="stray"))
    days.usual_day(4, "104", "102")
    days.night(4)
    days.usual_day(5, "104", "99")
    days.service.system.crash("PositionKeeper")
    days.night(5)
    days.usual_day(6, "104", "102")  # 25 October, which has 25 hours in Berlin
    days.night(6)

    days.round_trip(7, (7, 10), "104")
    days.lose_exchange()
    days.at(7, 12)
    waiting = days.send("BUY")
    days.until_one_waits()
    days.expect(AlarmKind.PRICE_SOURCE_SILENT)
    days.at(7, 12, 0, 31)
    assert ("rejected", NO_PRICE) == days.outcome(waiting)
    days.at(7, 12, 5)
    days.regain_exchange()
    days.expect(AlarmKind.PRICE_SOURCE_SILENT, over=True)
    days.night(7)

    days.at(8, 7, BTC="100")
    days.trade("BUY", quantity="90", symbol=ETH, portfolio="risky")
    days.trade("BUY")
    days.at(8, 10, BTC="104", ETH="85")  # 991 + 90 × 85 = 8,641
    days.trade("SELL")
    days.expect(AlarmKind.DRAWDOWN)
    days.round_trip(8, (12, 15), "102")
    days.expect(AlarmKind.VALIDATION_AT_RISK)
    days.night(8)

    days.at(9, 6, ETH="100")
    days.expect(AlarmKind.DRAWDOWN, over=True)
    days.usual_day(9, "104", "99")
    days.at(9, 16, 30)
    with days.without_database(9, 18, 30):
        days.service.travel(datetime(2026, 10, 28, 16, 33, tzinfo=UTC))
        days.expect(AlarmKind.DATABASE_AWAY)
    days.expect(AlarmKind.DATABASE_AWAY, over=True)
    days.night(9)

    for hour in (7, 12, 17):  # and no decision
        days.at(10, hour)
    days.night(10)
    days.expect(AlarmKind.AGENT_SILENT)
    days.usual_day(11, "104", "102")
    days.expect(AlarmKind.AGENT_SILENT, over=True)
    days.at(11, 22, 50)
    days.restart(datetime(2026, 10, 30, 23, 5, tzinfo=UTC))  # over the local midnight
    days.midnight(11)
    days.usual_day(12, "104", "99")  # 31 October
    days.night(12)
    days.usual_day(13, "104", "102")
    days.night(13)
    days.usual_day(14, "104", "102")
    days.night(14)


ONE_WON = "1 round trip closed, 1 won, net +37.96; 2 fills, commission 2.04"
ONE_LOST = "1 round trip closed, 0 won, net -11.99; 2 fills, commission 1.99"
TWO_WON = "2 round trips closed, 2 won, net +55.94; 4 fills, commission 4.06"
ONE_OF_TWO = "2 round trips closed, 1 won, net +25.97; 4 fills, commission 4.03"
# The drawdown: a sale at 104 costs 1.04 that the value before it does not have; bought at 100 and sold at 99 are 13.03.
LITTLE, MORE = "0 open positions; drawdown 0.01 %", "0 open positions; drawdown 0.13 %"
OF_DEFAULT = [
    f"10,037.96 USDT, +37.96 (+0.38 %) since Tue 00:00 CEST; {ONE_WON}; 2 decisions (2 executed); {LITTLE}",
    f"10,025.97 USDT, -11.99 (-0.12 %) since Wed 00:00 CEST; {ONE_LOST}; 2 decisions (2 executed); {MORE}",
    f"10,063.93 USDT, +37.96 (+0.38 %) since Thu 00:00 CEST; {ONE_WON}; 2 decisions (2 executed); {LITTLE}",
    f"10,119.87 USDT, +55.94 (+0.56 %) since Fri 00:00 CEST; {TWO_WON}; 5 decisions (4 executed, 1 rejected); {LITTLE}",
    f"10,145.84 USDT, +25.97 (+0.26 %) since Sat 00:00 CEST; {ONE_OF_TWO}; 4 decisions (4 executed); {MORE}",
    f"10,201.78 USDT, +55.94 (+0.55 %) since Sun 00:00 CEST; {TWO_WON}; 4 decisions (4 executed); {LITTLE}",
    f"10,239.74 USDT, +37.96 (+0.37 %) since Mon 00:00 CET; {ONE_WON}; 3 decisions (2 executed, 1 rejected); {LITTLE}",
    f"10,295.68 USDT, +55.94 (+0.55 %) since Tue 00:00 CET; {TWO_WON}; 4 decisions (4 executed); {LITTLE}",
    f"10,321.65 USDT, +25.97 (+0.25 %) since Wed 00:00 CET; {ONE_OF_TWO}; 4 decisions (4 executed); {MORE}",
    f"10,321.65 USDT, +0.00 (+0.00 %) since Thu 00:00 CET; 0 fills, commission 0.00; 0 decisions; {MORE}",
    f"10,377.59 USDT, +55.94 (+0.54 %) since Fri 00:00 CET; {TWO_WON}; 4 decisions (4 executed); {LITTLE}",
    f"10,403.56 USDT, +25.97 (+0.25 %) since Sat 00:00 CET; {ONE_OF_TWO}; 4 decisions (4 executed); {MORE}",
    f"10,459.50 USDT, +55.94 (+0.54 %) since Sun 00:00 CET; {TWO_WON}; 4 decisions (4 executed); {LITTLE}",
    f"10,515.44 USDT, +55.94 (+0.53 %) since Mon 00:00 CET; {TWO_WON}; 4 decisions (4 executed); {LITTLE}",
]
NOTHING = "0 fills, commission 0.00; 0 decisions"
BOUGHT = "1 fill, commission 9.00; 1 decision (1 executed)"
FLAT = f"{NOTHING}; 0 open positions; drawdown 0.00 %"
HELD = f"{NOTHING}; 1 open position; drawdown 0.09 %"
OF_RISKY = [
    *(
        f"10,000.00 USDT, +0.00 (+0.00 %) since {day} 00:00 CEST; {FLAT}"
        for day in ("Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    ),
    f"10,000.00 USDT, +0.00 (+0.00 %) since Mon 00:00 CET; {FLAT}",
    f"8,641.00 USDT, -1,359.00 (-13.59 %) since Tue 00:00 CET; {BOUGHT}; 1 open position; drawdown 13.59 %",
    f"9,991.00 USDT, +1,350.00 (+15.62 %) since Wed 00:00 CET; {HELD}",
    *(f"9,991.00 USDT, +0.00 (+0.00 %) since {day} 00:00 CET; {HELD}" for day in ("Thu", "Fri", "Sat", "Sun", "Mon")),
]
MIDNIGHTS = [
    "2026-10-21 00:00 +0200", "2026-10-22 00:00 +0200", "2026-10-23 00:00 +0200", "2026-10-24 00:00 +0200",
    "2026-10-25 00:00 +0200", "2026-10-26 00:00 +0100", "2026-10-27 00:00 +0100", "2026-10-28 00:00 +0100",
    "2026-10-29 00:00 +0100", "2026-10-30 00:00 +0100", "2026-10-31 00:05 +0100", "2026-11-01 00:00 +0100",
    "2026-11-02 00:00 +0100", "2026-11-03 00:00 +0100",
]  # fmt: skip
"""When the summaries were sent; at the end of 30 October no process served, so the next one sent them."""


@pytest.mark.slow
def test_a_fortnight(days: Fortnight, capsys: pytest.CaptureFixture[str]) -> None:
    live(days)
    assert OF_DEFAULT == days.texts(AlarmKind.DAILY_SUMMARY, "default")
    assert OF_RISKY == days.texts(AlarmKind.DAILY_SUMMARY, "risky")
    summaries = [alarm for alarm in days.alarms if alarm.kind is AlarmKind.DAILY_SUMMARY]
    assert [at for at in MIDNIGHTS for _ in ("default", "risky")] == [f"{a.at:%Y-%m-%d %H:%M %z}" for a in summaries]

    alarms = [alarm for alarm in days.alarms if alarm.kind is AlarmKind.DRAWDOWN or alarm.kind not in TRADING_KINDS]
    assert sorted(ALARMS) == sorted(map(without_seconds, alarms))
    assert VERDICTS_OF_DEFAULT == days.texts(AlarmKind.VALIDATION, "default")
    assert VERDICTS_OF_RISKY == days.texts(AlarmKind.VALIDATION, "risky")
    ready = "SELECT portfolio, day::text FROM paper_validation_verdicts WHERE ready"
    assert [("default", "2026-11-02")] == days.rows(ready)
    assert [(30,)] == days.rows("SELECT count(*) FROM paper_validation_verdicts")

    check_books(days)
    capsys.readouterr()
    assert 4 == main(["validate", "--json", "--database-url", days.url])  # because of `risky`
    check_verdicts(json.loads(capsys.readouterr().out))
    assert 0 == main(["report", "--json", "--database-url", days.url])
    check_report(json.loads(capsys.readouterr().out)["portfolios"])


LOST = "0 of 20 round trips, cannot pass any more because max drawdown: 13.59 %"
ALARMS = [
    ("10-26 12:00", "price_source_silent", "price source local has sent no price of BTC/USDT since 10:00 UTC"),
    ("10-26 12:05", "price_source_silent, over", "price source local sends prices of BTC/USDT again"),
    ("10-27 10:00", "drawdown", "risky: the drawdown is 13.59 %, above the limit of 10 %"),
    ("10-27 10:00", "validation_at_risk", f"validation fortnight of portfolio risky: day 8 of 14, {LOST}"),
    ("10-28 06:00", "drawdown, over", "risky: the drawdown is 0.09 % again, at most half of the limit of 10 %"),
    ("10-28 16:30", "lease_lost", "the lease's connection is lost"),
    ("10-28 16:33", "database_away", "the database has been unavailable or locked since 16:30 UTC"),
    ("10-28 18:30", "database_away, over", "the database is back"),
    ("10-28 18:30", "lease_lost, over", "this process holds the lease again"),
    ("10-29 23:00", "agent_silent", "no decision since 2026-10-28 15:00 UTC"),
    ("10-30 07:00", "agent_silent, over", "a decision has come again"),
]
"""By UTC, without seconds, and without what follows a semicolon."""


def without_seconds(alarm: Alarm) -> tuple[str, str, str]:
    text = re.sub(r"(\d\d:\d\d):\d\d UTC", r"\1 UTC", alarm.text.partition(";")[0])
    kind = f"{alarm.kind}, over" if alarm.over else str(alarm.kind)
    return f"{alarm.at.astimezone(UTC):%m-%d %H:%M}", kind, re.sub(r" after \d+ s$", "", text)


VERDICTS_OF_DEFAULT = [
    "day 1 of 14, 0 of 20 round trips, on course",
    "day 2 of 14, 1 of 20 round trips, behind: at this rate 14 round trips in 14 days",
    "day 3 of 14, 2 of 20 round trips, not met so far: win rate: 50 % (1 of 2)",
    "day 4 of 14, 3 of 20 round trips, behind: at this rate 14 round trips in 14 days",
    "day 5 of 14, 5 of 20 round trips, behind: at this rate 17 round trips in 14 days",
    "day 6 of 14, 7 of 20 round trips, behind: at this rate 19 round trips in 14 days",
    "day 7 of 14, 9 of 20 round trips, on course",
    "day 8 of 14, 10 of 20 round trips, on course",
    "day 9 of 14, 12 of 20 round trips, on course",
    "day 10 of 14, 14 of 20 round trips, on course",
    "day 11 of 14, 14 of 20 round trips, behind: at this rate 19 round trips in 14 days",
    "day 12 of 14, 16 of 20 round trips, on course",
    "day 13 of 14, 18 of 20 round trips, on course",
    "day 14 of 14, 20 of 20 round trips, on course",
    "14 whole days, 22 of 20 round trips, ready",
]
VERDICTS_OF_RISKY = [
    "day 1 of 14, 0 of 20 round trips, on course",
    *(f"day {day} of 14, 0 of 20 round trips, behind: at this rate 0 round trips in 14 days" for day in range(2, 9)),
    *(f"day {day} of 14, {LOST}" for day in range(9, 15)),
    f"14 whole days, {LOST}",
]


def check_books(days: Fortnight) -> None:
    assert [] == days.rows("SELECT * FROM v_paper_ledger_check")
    assert [(0,)] == days.rows("SELECT count(*) FROM paper_audits WHERE differences <> '[]'")
    outcomes = "SELECT portfolio, status, count(*) FROM trading_decisions GROUP BY 1, 2 ORDER BY 1, 2"
    assert [("default", "executed", 44), ("default", "rejected", 2), ("risky", "executed", 1)] == days.rows(outcomes)
    cash = "SELECT portfolio, current_capital::text FROM paper_trading_config ORDER BY 1"
    assert [("default", "10515.440000000000"), ("risky", "991.000000000000")] == days.rows(cash)
    # A time that is given twice, or that is not of these days, is none of the clock's.
    (times,) = zip(*days.rows("SELECT filled_at FROM paper_fills ORDER BY filled_at"), strict=True)
    assert all(timedelta(0) < later - earlier for earlier, later in pairwise(times))
    spans = days.rows("SELECT since, until FROM paper_uptime ORDER BY since")
    assert [
        ("10-19 22:30", "10-21 11:00"), ("10-21 11:05", "10-28 16:30"), ("10-28 18:30", "10-30 22:50"),
        ("10-30 23:05", "11-03 00:01"),
    ] == [tuple(f"{at.astimezone(UTC):%m-%d %H:%M}" for at in span) for span in spans]  # fmt: skip


def check_verdicts(document: Any) -> None:
    default, risky = document["portfolios"]
    assert (True, [], 0.9995) == (default["ready"], default["missing"], round(float(default["psr"]), 4))
    assert ["decision 7 of stray (rejected)"] == default["foreign_decisions"]
    operational = {one["name"]: one["seen"] for one in default["operational_criteria"] if one["name"] != "audits"}
    assert {
        "uptime": "99.31 % of 14 d 1 h", "restarts": "1 crash or hang", "outcomes": "45 decisions, none late",
        "prices": "missing for 2.22 % (1 of 45)", "quarantine": "nothing", "books": "no difference",
    } == operational  # fmt: skip
    assert {
        "days": "14", "trades": "22", "win_rate": "81.82 % (18 of 22)", "sharpe_ratio": "28.29",
        "max_drawdown": "0.13 %", "net_result": "closings +515.44, value +515.44",
    } == {one["name"]: one["seen"] for one in default["statistical_criteria"]}  # fmt: skip
    assert (False, ["statistically failed (Sharpe ratio and max drawdown)"]) == (risky["ready"], risky["missing"])


def check_report(portfolios: Any) -> None:
    default, risky = portfolios
    assert ("10000", "10515.44", ["local"], []) == (
        default["opening"], default["closing"], default["price_sources"], default["price_sources_not_real"]
    )  # fmt: skip
    results = default["results"]
    assert (22, 18, 4, "560", "44.56", "515.44") == (
        results["total_trades"], results["winning_trades"], results["losing_trades"],
        results["gross_pnl"], results["total_commission"], results["net_pnl"],
    )  # fmt: skip
    months = [("2026-10-01", "403.56"), ("2026-11-01", "111.88")]
    assert months == [(month["start"], month["result"]) for month in default["months"]]
    assert [
        "37.96", "-11.99", "37.96", "55.94", "25.97", "55.94", "37.96", "55.94", "25.97", "0", "55.94", "25.97",
        "55.94", "55.94",
    ] == [day["result"] for day in default["days"] if day["whole"]]  # fmt: skip
    assert (46, 45, 44) == tuple(default["funnel"][name] for name in ("received", "above_threshold", "filled"))
    assert ("9991", 1) == (risky["closing"], len(risky["positions"]))
