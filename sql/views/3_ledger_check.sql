-- Empty while the books balance and every decision has one outcome; else a sentence for each difference.
CREATE OR REPLACE VIEW v_paper_ledger_check AS
WITH fills AS (
    SELECT portfolio, sum(cash_delta) AS cash, sum(commission) AS commission FROM paper_fills GROUP BY portfolio
), account AS (
    SELECT portfolio, sum(cash_delta) AS cash,
           coalesce(sum(cash_delta) FILTER (WHERE kind IN ('deposit', 'withdrawal')), 0) AS net_deposits,
           coalesce(sum(cash_delta) FILTER (WHERE kind = 'dividend'), 0) AS dividends
    FROM paper_account_events GROUP BY portfolio
), deltas AS (
    SELECT portfolio, symbol, asset_delta FROM paper_fills
    UNION ALL
    SELECT portfolio, symbol, asset_delta FROM paper_account_events WHERE asset_delta <> 0
    UNION ALL
    SELECT portfolio, new_symbol, new_asset_delta FROM paper_account_events WHERE new_asset_delta <> 0
), assets AS (
    SELECT portfolio, symbol, sum(asset_delta) AS quantity FROM deltas GROUP BY portfolio, symbol
), held AS (
    SELECT portfolio, symbol, CASE side WHEN 'LONG' THEN quantity ELSE -quantity END AS quantity FROM paper_positions
), open AS (
    SELECT portfolio, sum(position_value) AS value, sum(unrealized_pnl - entry_commission) AS unrealized,
           sum(entry_commission) AS commission
    FROM paper_positions GROUP BY portfolio
), trades AS (
    SELECT portfolio, sum(net_pnl) AS net, sum(commission) AS commission FROM paper_trades GROUP BY portfolio
), entries AS (
    SELECT f.position_id, sum(f.notional) AS cost
    FROM paper_fills f LEFT JOIN paper_trades t USING (order_id, fill_no) WHERE t.order_id IS NULL GROUP BY f.position_id
), closed AS (
    SELECT position_id, sum(cost) AS cost FROM paper_trades GROUP BY position_id
), events AS (
    SELECT portfolio, version FROM paper_order_events
    UNION ALL
    SELECT portfolio, version FROM paper_fills WHERE version IS NOT NULL
    UNION ALL
    SELECT portfolio, version FROM paper_account_events
), versions AS (
    SELECT portfolio, min(version) AS first, max(version) AS last, count(DISTINCT version) AS different
    FROM events GROUP BY portfolio
)
SELECT paper_portfolio_label(c.portfolio) AS portfolio, 'cash' AS what,
       format('cash of portfolio %s is %s, its fills make it %s', paper_portfolio_label(c.portfolio), c.current_capital,
              c.initial_capital + coalesce(f.cash, 0) + coalesce(a.cash, 0)) AS difference
FROM paper_trading_config c LEFT JOIN fills f USING (portfolio) LEFT JOIN account a USING (portfolio)
WHERE c.current_capital <> c.initial_capital + coalesce(f.cash, 0) + coalesce(a.cash, 0)
UNION ALL
SELECT paper_portfolio_label(portfolio), 'holdings',
       format('portfolio %s holds %s %s, its fills make it %s', paper_portfolio_label(portfolio), coalesce(h.quantity, 0), symbol, coalesce(a.quantity, 0))
FROM assets a FULL JOIN held h USING (portfolio, symbol)
WHERE coalesce(a.quantity, 0) <> coalesce(h.quantity, 0)
UNION ALL
SELECT paper_portfolio_label(c.portfolio), 'law 1',
       format('portfolio %s gained %s, its trades and positions make it %s', paper_portfolio_label(c.portfolio), made.gain, made.accounted)
FROM paper_trading_config c LEFT JOIN open o USING (portfolio) LEFT JOIN trades t USING (portfolio)
LEFT JOIN account a USING (portfolio)
CROSS JOIN LATERAL (
    SELECT c.current_capital + coalesce(o.value, 0) - c.initial_capital - coalesce(a.net_deposits, 0) AS gain,
           coalesce(t.net, 0) + coalesce(o.unrealized, 0) + coalesce(a.dividends, 0) AS accounted
) made
WHERE made.gain <> made.accounted
UNION ALL
SELECT paper_portfolio_label(c.portfolio), 'commission',
       format('portfolio %s paid %s in commissions, its trades and positions account for %s', paper_portfolio_label(c.portfolio),
              coalesce(f.commission, 0), coalesce(t.commission, 0) + coalesce(o.commission, 0))
FROM paper_trading_config c LEFT JOIN fills f USING (portfolio) LEFT JOIN open o USING (portfolio) LEFT JOIN trades t USING (portfolio)
WHERE coalesce(f.commission, 0) <> coalesce(t.commission, 0) + coalesce(o.commission, 0)
UNION ALL
SELECT paper_portfolio_label(p.portfolio), 'position value',
       format('the position in %s of portfolio %s is worth %s with result %s, which its quantity, price and cost do not make',
              p.symbol, p.portfolio, p.position_value, p.unrealized_pnl)
FROM paper_positions p CROSS JOIN LATERAL (SELECT CASE p.side WHEN 'LONG' THEN 1 ELSE -1 END AS value) sign
WHERE p.position_value <> sign.value * round(p.quantity * p.current_price, 12)
   OR p.unrealized_pnl <> p.position_value - sign.value * p.cost
UNION ALL
SELECT paper_portfolio_label(p.portfolio), 'position cost',
       format('position %s in %s cost %s, of which its trades and what is left account for %s', e.position_id, p.symbol,
              e.cost, coalesce(x.cost, 0) + coalesce(p.cost, 0))
FROM entries e LEFT JOIN closed x USING (position_id) LEFT JOIN paper_positions p USING (position_id)
WHERE e.cost <> coalesce(x.cost, 0) + coalesce(p.cost, 0)
UNION ALL
SELECT paper_portfolio_label(o.portfolio), 'order', format('order %s is filled by %s, its fills make it %s', o.order_id, o.filled_quantity, coalesce(sum(f.quantity), 0) + o.split_quantity)
FROM paper_orders o LEFT JOIN paper_fills f USING (order_id)
GROUP BY o.order_id HAVING o.filled_quantity <> coalesce(sum(f.quantity), 0) + o.split_quantity
UNION ALL
SELECT paper_portfolio_label(o.portfolio), 'order', format('order %s is filled, but only by %s of %s', o.order_id, o.filled_quantity, o.quantity)
FROM paper_orders o WHERE o.status = 'filled' AND o.filled_quantity <> o.quantity
UNION ALL
SELECT paper_portfolio_label(o.portfolio), 'order',
       format('exit %s is leg %s of decision %s, which is no executed PROTECT and whose entry has no fill', o.order_id, o.leg, o.decision_id)
FROM paper_orders o
WHERE o.leg > 1 AND NOT EXISTS (SELECT FROM paper_fills f WHERE f.order_id = o.parent)
  AND NOT EXISTS (SELECT FROM trading_decisions d
                  WHERE d.id = o.decision_id AND upper(btrim(d.decision)) = 'PROTECT' AND d.status = 'executed')
UNION ALL
SELECT paper_portfolio_label(c.portfolio), 'reserved',
       format('the open orders of portfolio %s reserve %s, its cash is %s', paper_portfolio_label(c.portfolio), sum(o.reserved), c.current_capital)
FROM paper_trading_config c JOIN paper_orders o USING (portfolio)
WHERE o.status = 'open' GROUP BY c.portfolio HAVING sum(o.reserved) > greatest(c.current_capital, 0)
UNION ALL
SELECT paper_portfolio_label(e.portfolio), 'version', format('%s events of portfolio %s have version %s', count(*), paper_portfolio_label(e.portfolio), e.version)
FROM events e GROUP BY e.portfolio, e.version HAVING count(*) > 1
UNION ALL
SELECT paper_portfolio_label(portfolio), 'version',
       format('portfolio %s has version %s, its last event has version %s', paper_portfolio_label(portfolio), coalesce(s.version::text, 'none'), coalesce(v.last::text, 'none'))
FROM paper_portfolio_state s FULL JOIN versions v USING (portfolio)
WHERE s.version IS DISTINCT FROM v.last
UNION ALL
SELECT paper_portfolio_label(v.portfolio), 'version',
       format('portfolio %s has %s events of versions %s to %s', paper_portfolio_label(v.portfolio), v.different, v.first, v.last)
FROM versions v WHERE v.different <> v.last - v.first + 1
UNION ALL
SELECT paper_portfolio_label(o.portfolio), 'law 2', format('order %s is %s, but its decision %s is %s', o.order_id, o.status, o.decision_id, coalesce(d.status, 'gone'))
FROM paper_orders o LEFT JOIN trading_decisions d ON d.id = o.decision_id
CROSS JOIN LATERAL (
    SELECT CASE WHEN o.status = 'filled' OR o.status <> 'open' AND o.filled_quantity > 0 THEN 'executed' ELSE o.status END AS status
) due
WHERE o.leg = 1 AND (d.id IS NULL OR d.status <> due.status OR d.order_id IS DISTINCT FROM o.order_id)
UNION ALL
SELECT paper_portfolio_label(paper_portfolio_at(d.portfolio, least(d.created_at, d.received_at))), 'law 2',
       format('decision %s is %s, but %s (docs/database.md, Guards)', d.id, d.status, flaw.text)
FROM trading_decisions d LEFT JOIN paper_orders o ON o.order_id = d.order_id
CROSS JOIN LATERAL (SELECT upper(btrim(d.decision)) AS action) a
CROSS JOIN LATERAL (
    -- A CANCEL names the order that it cancelled, an AMEND the one that it changed, a PROTECT an exit; only a CANCEL may name none.
    SELECT CASE
        WHEN d.order_id IS NULL AND (d.status = 'open' OR a.action <> 'CANCEL') THEN 'it names no order'
        WHEN d.order_id IS NOT NULL AND o.order_id IS NULL THEN format('its order %s does not exist', d.order_id)
        WHEN a.action IN ('CANCEL', 'AMEND', 'PROTECT')
             AND d.portfolio <> (SELECT c.name FROM paper_trading_config c WHERE c.portfolio = o.portfolio)
            THEN format('its order %s is of portfolio %s', d.order_id, paper_portfolio_label(o.portfolio))
        WHEN a.action IN ('CANCEL', 'AMEND', 'PROTECT') AND d.status = 'open' THEN format('a %s never rests', a.action)
        WHEN a.action NOT IN ('CANCEL', 'AMEND', 'PROTECT') AND (o.decision_id <> d.id OR o.leg <> 1)
            THEN format('its order %s is leg %s of decision %s', d.order_id, o.leg, o.decision_id)
    END AS text
) flaw
-- The first condition is for speed: a decision with an order of its own has no flaw.
WHERE d.status IN ('executed', 'open') AND (o.order_id IS NULL OR o.decision_id <> d.id OR o.leg <> 1) AND flaw.text IS NOT NULL
UNION ALL
SELECT paper_portfolio_label(paper_portfolio_at(d.portfolio, least(d.created_at, d.received_at))), 'law 2', format('decision %s is %s without a reason', d.id, d.status)
FROM trading_decisions d
WHERE d.status IN ('executed', 'rejected', 'ignored', 'expired') AND coalesce(d.outcome_reason, '') = ''
UNION ALL
SELECT paper_portfolio_label(f.portfolio), 'outside the quote',
       format('order %s of portfolio %s: %s %s at %s, which is outside its quote (bid %s, ask %s)', f.order_id, paper_portfolio_label(f.portfolio),
              f.side, f.symbol, trim_scale(f.price), trim_scale(f.bid), trim_scale(f.ask))
FROM paper_fills f JOIN paper_orders o USING (order_id)
WHERE o.price_rule = 'quote' AND f.liquidity = 'taker' AND f.bid <= f.ask
  AND (f.side = 'BUY' AND f.price < f.ask OR f.side = 'SELL' AND f.price > f.bid)
UNION ALL
SELECT paper_portfolio_label(c.portfolio), 'closed',
       format('portfolio %s is closed, but has %s', paper_portfolio_label(c.portfolio), rest.what)
FROM paper_trading_config c
CROSS JOIN LATERAL (
    SELECT format('a position in %s', p.symbol) AS what FROM paper_positions p WHERE p.portfolio = c.portfolio
    UNION ALL
    SELECT format('the open order %s', o.order_id) FROM paper_orders o WHERE o.portfolio = c.portfolio AND o.status = 'open'
) rest
WHERE c.closed_at IS NOT NULL
UNION ALL
SELECT n.name, 'lives', format('portfolio %s has %s present lives', n.name, n.present)
FROM (SELECT name, count(*) FILTER (WHERE replaced_at IS NULL) AS present FROM paper_trading_config GROUP BY name) n
WHERE n.present <> 1;
