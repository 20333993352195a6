"""Panels on value, results, costs and positions. docs/performance.md defines the figures."""

from __future__ import annotations

from deploy.dashboard.parts import (
    BLUE,
    COUNT,
    GREEN,
    GREY,
    MONEY,
    NUMBER,
    ORANGE,
    PRICE,
    RATIO,
    RED,
    Panel,
    Row,
    amount_text,
    amounts_as_text,
    bars,
    by_sign,
    coloured,
    decimals_of,
    lines,
    stat,
    table,
)

# Arrays instead of `IN ()`, which would be an error where nothing was ever traded.
SYMBOL = "symbol = ANY(ARRAY[${symbol}]::text[])"
STRATEGY = "strategy = ANY(ARRAY[${strategy}]::text[])"
STRATEGY_OR_NONE = "coalesce(nullif({}, ''), '(none)')"
"""A strategy, or the text for none."""
BIN = "date_bin(make_interval(secs => $__interval_ms / 1000.0), {}, 'epoch')"

# As in persistence/queries/history.py: the strategy is that of the order that opened the position.
TRADE_HISTORY = f"""
WITH closings AS (
    SELECT position_id, symbol, {STRATEGY_OR_NONE.format("strategy")} AS strategy,
           exit_time, realized_pnl, net_pnl, closes
    FROM paper_trades WHERE portfolio = '$portfolio_id'
), trips AS (
    SELECT position_id, symbol, strategy, sum(net_pnl) AS net, max(exit_time) AS ended
    FROM closings GROUP BY position_id, symbol, strategy HAVING bool_or(closes)
), executions AS (
    SELECT f.symbol, f.filled_at, f.notional, f.commission,
           CASE f.fill_no WHEN 1 THEN o.slippage ELSE 0 END AS slippage, coalesce(f.spread_cost, 0) AS spread,
           {STRATEGY_OR_NONE.format("first_value(o.strategy) OVER held")} AS strategy
    FROM paper_fills f JOIN paper_orders o USING (order_id) WHERE f.portfolio = '$portfolio_id'
    WINDOW held AS (PARTITION BY f.position_id ORDER BY o.seq, f.fill_no)
)
"""


def trade_history_query(rest: str) -> str:
    """Return a query over closings, round trips and executions of the portfolio."""
    return TRADE_HISTORY.strip() + "\n" + rest.strip()


PORTFOLIOS = table(
    "All portfolios",
    "Each portfolio in its own currency, valued at the last market prices (v_paper_portfolio_overview). Results at "
    "simulated or file prices prove nothing about real markets.",
    f"""
    SELECT o.portfolio, o.currency, {amount_text("o.total_value", "decimals")} AS value,
           {amount_text("o.total_pnl", "decimals")} AS result, o.total_pnl_pct AS "result %",
           {amount_text("o.cash", "decimals")} AS cash, o.num_positions AS positions, h.reason AS halted
    FROM v_paper_portfolio_overview o CROSS JOIN LATERAL (SELECT {decimals_of("o.currency")} AS decimals) d
    LEFT JOIN v_paper_halted h USING (portfolio) ORDER BY o.portfolio
    """,
    10,
    empty="There is no portfolio yet.",
    height=7,
    defaults=NUMBER,
    fields={
        "value": amounts_as_text(),
        "cash": amounts_as_text(),
        "positions": COUNT,
        "result": amounts_as_text(by_sign=True),
        "result %": RATIO,
        "halted": coloured(RED) | {"custom.cellOptions": {"type": "color-text"}},
    },
)

FIGURES = stat(
    "$portfolio, its whole life (amounts in $currency)",
    "From v_paper_performance_metrics: over the portfolio's whole life, whatever the time range. A win is a round trip "
    "with net > 0. Drawdown is over all snapshots, from the peak, the initial capital included. Sharpe ratio: of daily "
    "returns, annualised; below 10 days, the number of days instead.",
    """
    SELECT portfolio_value AS "value", total_pnl AS "result", total_pnl_pct AS "result %",
           total_trades AS "round trips", win_rate AS "win rate", profit_factor AS "profit factor",
           coalesce(round(sharpe_ratio, 2)::text, sharpe_reason) AS "Sharpe ratio", max_drawdown AS "max drawdown",
           coalesce(price_sources, 'no fill yet') AS "prices"
    FROM v_paper_performance_metrics WHERE portfolio = '$portfolio'
    """,
    14,
    height=7,
    defaults={"noValue": "There is no portfolio yet."} | NUMBER | coloured(BLUE),
    fields={
        "value": MONEY,
        "result": MONEY | by_sign(),
        "result %": RATIO | by_sign(),
        "round trips": COUNT,
        "win rate": RATIO,
        "max drawdown": RATIO,
    },
    money=("value", "result"),
)

EQUITY = lines(
    "Value ($currency)",
    "Cash and positions of the whole portfolio at its snapshots; the last one of each interval. Marks are closings "
    "with their net result, for the selected symbols and strategies.",
    f"""
    SELECT s.time, s.total_value AS "value", s.cash
    FROM (
        SELECT max(time) AS time FROM paper_portfolio_snapshots
        WHERE portfolio = '$portfolio_id' AND $__timeFilter(time) GROUP BY {BIN.format("time")}
    ) newest
    JOIN paper_portfolio_snapshots s ON s.time = newest.time AND s.portfolio = '$portfolio_id'
    ORDER BY s.time
    """,
    24,
    height=9,
    defaults=MONEY,
    fields={"value": coloured(BLUE), "cash": coloured(GREY)},
    finest="1s",
    money=("value", "cash"),
)

DRAWDOWN = lines(
    "Drawdown",
    "How far the value was below its highest until then, including the initial capital and snapshots before the time "
    "range; the worst of each interval.",
    f"""
    WITH start AS MATERIALIZED ( -- once, not for each snapshot
        SELECT greatest(c.initial_capital, (
                   SELECT max(s.total_value - s.net_deposits) FROM paper_portfolio_snapshots s
                   WHERE s.portfolio = c.portfolio AND s.time < $__timeFrom())) AS peak
        FROM paper_trading_config c WHERE c.portfolio = '$portfolio_id'
    ), valued AS (
        SELECT s.time, s.total_value, s.net_deposits,
               greatest(start.peak, max(s.total_value - s.net_deposits) OVER (ORDER BY s.time)) + s.net_deposits AS peak
        FROM paper_portfolio_snapshots s CROSS JOIN start WHERE s.portfolio = '$portfolio_id' AND $__timeFilter(s.time)
    )
    SELECT max(time) AS time, min((total_value - peak) / nullif(peak, 0)) AS "drawdown"
    FROM valued GROUP BY {BIN.format("time")} ORDER BY 1
    """,
    24,
    height=5,
    defaults=RATIO | {"max": 0},
    fields={"drawdown": coloured(RED) | {"custom.fillOpacity": 30}},
    finest="1s",
)

# The value at a boundary is that of the last snapshot at or before it.
PERIOD_RETURNS = """
WITH bounds AS (
    SELECT {bounds} AS opens, {ends} AS ends
), worth AS (
    SELECT b.opens, b.ends, after.total_value - (after.net_deposits - coalesce(before.net_deposits, 0)) AS value,
           coalesce(before.total_value, c.initial_capital) AS opening
    FROM bounds b
    CROSS JOIN paper_trading_config c
    LEFT JOIN LATERAL (
        SELECT s.total_value, s.net_deposits FROM paper_portfolio_snapshots s
        WHERE s.portfolio = c.portfolio AND s.time <= b.ends ORDER BY s.time DESC LIMIT 1
    ) after ON true
    LEFT JOIN LATERAL (
        SELECT s.total_value, s.net_deposits FROM paper_portfolio_snapshots s
        WHERE s.portfolio = c.portfolio AND s.time <= b.opens ORDER BY s.time DESC LIMIT 1
    ) before ON true
    WHERE c.portfolio = '$portfolio_id' AND b.opens <= now() AND after.total_value IS NOT NULL
)
"""


def period_returns(period: str) -> str:
    """Return the CTEs with the opening and closing value of each UTC day or month of the time range."""
    first = f"date_trunc('{period}', $__timeFrom()::timestamptz AT TIME ZONE 'UTC')"
    last = "$__timeTo()::timestamptz AT TIME ZONE 'UTC'"
    opens = f"generate_series({first}, {last}, interval '1 {period}') AT TIME ZONE 'UTC'"
    ends = f"(generate_series({first}, {last}, interval '1 {period}') + interval '1 {period}') AT TIME ZONE 'UTC'"
    return PERIOD_RETURNS.format(bounds=opens, ends=ends).strip()


DAILY = bars(
    "Daily results ($currency)",
    "Change of the portfolio's value over each UTC day, from its last snapshot at or before the day's beginning to the "
    "last at or before its end. The current day is incomplete; ratios leave it out.",
    period_returns("day") + '\nSELECT opens AS time, value - opening AS "result" FROM worth ORDER BY opens',
    14,
    defaults=MONEY,
    fields={"result": by_sign() | {"custom.gradientMode": "scheme"}},
    money=("result",),
)

MONTHLY = table(
    "Monthly results ($currency)",
    "The same for each UTC month of the time range, the months at its ends in full.",
    period_returns("month")
    + """
SELECT to_char(opens AT TIME ZONE 'UTC', 'YYYY-MM') AS month, value - opening AS result,
       (value - opening) / nullif(opening, 0) AS "result %", value AS "value at its end"
FROM worth ORDER BY opens DESC""",
    10,
    empty="There is no snapshot yet.",
    defaults=MONEY,
    fields={"result": by_sign() | {"custom.cellOptions": {"type": "color-text"}}, "result %": RATIO},
    money=("result", "value at its end"),
)

DISTRIBUTION = Panel(
    "barchart",
    "Distribution of results ($currency)",
    "Round trips that ended in the time range by their net result, in intervals with 0 as a border; lost means "
    "net < 0. Each interval includes its lower end, not its upper one.",
    trade_history_query(
        f"""
, chosen AS (
    SELECT net FROM trips WHERE ended BETWEEN $__timeFrom() AND $__timeTo() AND {SYMBOL} AND {STRATEGY}
), widest AS (
    SELECT CASE max(abs(net)) WHEN 0 THEN 1 ELSE max(abs(net)) / 10 END AS raw FROM chosen
), step AS (
    SELECT power(10::numeric, floor(log(raw))) * CASE
               WHEN raw <= power(10::numeric, floor(log(raw))) THEN 1
               WHEN raw <= power(10::numeric, floor(log(raw))) * 2 THEN 2
               WHEN raw <= power(10::numeric, floor(log(raw))) * 5 THEN 5 ELSE 10 END AS size
    FROM widest
), counted AS (
    SELECT floor(net / size)::int AS number, count(*) AS trips FROM chosen, step GROUP BY 1
)
SELECT format('%s to %s', trim_scale(number * size), trim_scale((number + 1) * size)) AS "net result",
       CASE WHEN number < 0 THEN coalesce(trips, 0) END AS "lost",
       CASE WHEN number >= 0 THEN coalesce(trips, 0) END AS "won or even"
FROM step, generate_series((SELECT min(number) FROM counted), (SELECT max(number) FROM counted)) AS number
LEFT JOIN counted USING (number) ORDER BY number
"""
    ),
    24,
    defaults=COUNT | {"custom": {"lineWidth": 0, "fillOpacity": 80}},
    fields={"lost": coloured(RED), "won or even": coloured(GREEN)},
    options={
        "xField": "net result",
        "stacking": "normal",
        "showValue": "auto",
        "xTickLabelRotation": -30,
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
    },
)


def grouped(by: str) -> str:
    """Return the results of each symbol or strategy in the time range."""
    return trade_history_query(f"""
, ended AS (
    SELECT {by}, count(*) AS trips, count(*) FILTER (WHERE net > 0) AS wins,
           sum(net) FILTER (WHERE net > 0) AS won, -sum(net) FILTER (WHERE net < 0) AS lost
    FROM trips WHERE ended BETWEEN $__timeFrom() AND $__timeTo() AND {SYMBOL} AND {STRATEGY} GROUP BY {by}
), closed AS (
    SELECT {by}, sum(realized_pnl) AS gross, sum(net_pnl) AS net
    FROM closings WHERE $__timeFilter(exit_time) AND {SYMBOL} AND {STRATEGY} GROUP BY {by}
), paid AS (
    SELECT {by}, sum(commission) AS commission, sum(spread) AS spread, sum(slippage) AS slippage,
           sum(notional) AS traded
    FROM executions WHERE $__timeFilter(filled_at) AND {SYMBOL} AND {STRATEGY} GROUP BY {by}
)
SELECT {by}, coalesce(trips, 0) AS "round trips", wins::numeric / trips AS "win rate",
       coalesce(won, 0) / lost AS "profit factor", coalesce(gross, 0) AS gross, coalesce(net, 0) AS net,
       commission, spread, slippage, traded
FROM paid LEFT JOIN closed USING ({by}) LEFT JOIN ended USING ({by}) ORDER BY net DESC, {by}
""")


IN_GROUPS = {
    "round trips": COUNT,
    "win rate": RATIO,
    "profit factor": NUMBER,
    "net": by_sign() | {"custom.cellOptions": {"type": "color-text"}},
}
AMOUNTS_IN_GROUPS = ("gross", "net", "commission", "spread", "slippage", "traded")
GROUPS = (
    "In the time range: round trips that ended in it; gross and net of its closings, including partial ones; "
    "commission, spread and slippage of its executions, including entries. Net = gross − both commissions of the "
    "closed part. "
)

BY_SYMBOL = table(
    "By symbol ($currency)",
    GROUPS,
    grouped("symbol"),
    12,
    empty="Nothing was traded.",
    defaults=MONEY,
    fields=IN_GROUPS,
    money=AMOUNTS_IN_GROUPS,
)

BY_STRATEGY = table(
    "By strategy ($currency)",
    GROUPS + "The strategy is that of the decision that opened the position; (none) without one.",
    grouped("strategy"),
    12,
    empty="Nothing was traded.",
    defaults=MONEY,
    fields=IN_GROUPS,
    money=AMOUNTS_IN_GROUPS,
)

COSTS = stat(
    "Costs in the time range ($currency)",
    "Of all executions, including entries of open positions. Spread and slippage are part of the prices, so gross "
    "results already include them.",
    trade_history_query(f"""
SELECT coalesce(sum(commission), 0) AS "commission", coalesce(sum(spread), 0) AS "spread",
       coalesce(sum(slippage), 0) AS "slippage", coalesce(sum(commission + spread + slippage), 0) AS "total",
       sum(commission + spread + slippage) / nullif(sum(notional), 0) AS "of traded value"
FROM executions WHERE $__timeFilter(filled_at) AND {SYMBOL} AND {STRATEGY}
"""),
    8,
    height=8,
    defaults=MONEY | coloured(ORANGE),
    fields={"of traded value": {"unit": "percentunit", "decimals": 3}},
    money=("commission", "spread", "slippage", "total"),
)

COSTS_BY_DAY = bars(
    "Costs over time ($currency)",
    "Commission, spread and slippage of the executions of each UTC day, or of longer steps where the time range is "
    "long.",
    trade_history_query(f"""
SELECT {BIN.format("filled_at")} AS time, sum(commission) AS "commission", sum(spread) AS "spread",
       sum(slippage) AS "slippage"
FROM executions WHERE $__timeFilter(filled_at) AND {SYMBOL} AND {STRATEGY} GROUP BY 1 ORDER BY 1
"""),
    16,
    stacked=True,
    defaults=MONEY,
    fields={"commission": coloured(ORANGE), "spread": coloured(BLUE), "slippage": coloured(GREY)},
    finest="1d",
    money=("commission", "spread", "slippage"),
)

POSITIONS = table(
    "Open positions ($currency)",
    "Open positions now, whatever the time range (v_paper_open_positions), at the last market price with its time and "
    "source. Unrealised results are before the costs of a sale.",
    f"""
    SELECT symbol, side, quantity, entry_price AS "entry price", current_price AS "price", price_time AS "price of",
           price_source AS source, position_value AS value, unrealized_pnl AS unrealised,
           unrealized_pnl_pct AS "unrealised %", strategy, opened_at AS opened
    FROM (
        SELECT symbol, side, quantity, entry_price, current_price, price_time, price_source, position_value,
               unrealized_pnl, unrealized_pnl_pct, {STRATEGY_OR_NONE.format("strategy")} AS strategy, opened_at
        FROM v_paper_open_positions WHERE portfolio = '$portfolio'
    ) held
    WHERE {SYMBOL} AND {STRATEGY} ORDER BY abs(position_value) DESC, symbol
    """,
    24,
    empty="There is no open position.",
    height=7,
    defaults=PRICE,
    fields={
        "value": MONEY,
        "unrealised": MONEY | by_sign() | {"custom.cellOptions": {"type": "color-text"}},
        "unrealised %": RATIO,
    },
    money=("value", "unrealised"),
)

ROWS = (
    Row("Value", (PORTFOLIOS, FIGURES, EQUITY, DRAWDOWN)),
    Row("Results", (DAILY, MONTHLY, DISTRIBUTION, BY_SYMBOL, BY_STRATEGY)),
    Row("Costs and positions", (COSTS, COSTS_BY_DAY, POSITIONS)),
)
