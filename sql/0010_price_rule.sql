-- The price rule of each portfolio, the rules of each revision, and the evidence of each fill. No existing row is written:
-- a column with a constant default is added without a rewrite.

-- Existing portfolios keep the last trade as their price; new ones meet bid and ask.
ALTER TABLE paper_trading_config ADD COLUMN price_rule text NOT NULL DEFAULT 'last';
ALTER TABLE paper_trading_config ALTER COLUMN price_rule SET DEFAULT 'quote';
ALTER TABLE paper_trading_config ADD COLUMN max_touch_share numeric(38,18) NOT NULL DEFAULT 1;
ALTER TABLE paper_trading_config
    ADD CONSTRAINT "price_rule must be quote or last" CHECK (price_rule IN ('quote', 'last')),
    ADD CONSTRAINT "max_touch_share must be a fraction from 0 to 1" CHECK (max_touch_share >= 0 AND max_touch_share <= 1);

-- The rules of each revision of a portfolio, from `at` on. Written by a trigger on paper_trading_config alone.
CREATE TABLE paper_portfolio_rules (
    portfolio                     text           NOT NULL,
    revision                      bigint         NOT NULL,
    at                            timestamptz    NOT NULL,
    commission_pct                numeric(38,18) NOT NULL,
    min_commission                numeric(38,12) NOT NULL,
    slippage_pct                  numeric(38,18) NOT NULL,
    price_rule                    text           NOT NULL,
    max_touch_share               numeric(38,18) NOT NULL,
    max_position_size             numeric(38,18) NOT NULL,
    decision_confidence_threshold numeric(38,18) NOT NULL,
    min_notional                  numeric(38,12) NOT NULL,
    default_risk_score            numeric(38,18) NOT NULL,
    PRIMARY KEY (portfolio, revision)
);
INSERT INTO paper_portfolio_rules
SELECT portfolio, revision, clock_timestamp(), commission_pct, min_commission, slippage_pct, price_rule, max_touch_share,
       max_position_size, decision_confidence_threshold, min_notional, default_risk_score
FROM paper_trading_config;

-- By names of columns, so that a later rule needs a column of paper_portfolio_rules and no other function. The name of a
-- deleted portfolio may be used again; it had no orders, so its revisions go. It runs with the rights of its owner, because
-- a role that may change a portfolio need not be allowed to write here; so no other role may attach it to a table.
CREATE FUNCTION paper_rules_changed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('DELETE FROM %I.paper_portfolio_rules WHERE portfolio = $1 AND revision >= $2', TG_TABLE_SCHEMA)
        USING NEW.portfolio, NEW.revision;
    EXECUTE format('INSERT INTO %1$I.paper_portfolio_rules'
                   ' SELECT * FROM jsonb_populate_record(NULL::%1$I.paper_portfolio_rules, $1)', TG_TABLE_SCHEMA)
        USING to_jsonb(NEW) || jsonb_build_object('at', clock_timestamp());
    RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION paper_rules_changed() FROM PUBLIC;
CREATE TRIGGER paper_rules_begin AFTER INSERT ON paper_trading_config
    FOR EACH ROW EXECUTE FUNCTION paper_rules_changed();
-- The condition is cheap: the PositionKeeper changes the cash, and not the revision, with each group of fills.
CREATE TRIGGER paper_rules_change AFTER UPDATE ON paper_trading_config FOR EACH ROW
    WHEN (NEW.revision IS DISTINCT FROM OLD.revision) EXECUTE FUNCTION paper_rules_changed();
CREATE TRIGGER paper_writer_guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON paper_portfolio_rules FOR EACH STATEMENT
    WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION paper_writer_guard();

-- The marks of a portfolio's other positions in the equity that orders were sized from; orders of one moment share a row.
-- marks_no is the seq of the first of them. Written by the PositionKeeper.
CREATE TABLE paper_marks (
    portfolio text        NOT NULL,
    marks_no  bigint      NOT NULL,
    at        timestamptz NOT NULL,
    marks     jsonb       NOT NULL,
    PRIMARY KEY (portfolio, marks_no),
    CONSTRAINT "marks must be an object" CHECK (jsonb_typeof(marks) = 'object')
);
CREATE TRIGGER paper_writer_guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON paper_marks FOR EACH STATEMENT
    WHEN (current_setting('paper.writer', true) IS DISTINCT FROM 'PositionKeeper') EXECUTE FUNCTION paper_writer_guard();

-- What an order's price rests on. Orders of earlier versions have their own copy of the marks, later ones a marks_no.
ALTER TABLE paper_orders ADD COLUMN price_rule text;
ALTER TABLE paper_orders ADD COLUMN rules_version smallint NOT NULL DEFAULT 1;
ALTER TABLE paper_orders ADD COLUMN tick numeric(38,18);
ALTER TABLE paper_orders ADD COLUMN marks_no bigint;
ALTER TABLE paper_orders ALTER COLUMN marks DROP NOT NULL;
ALTER TABLE paper_orders
    ADD CONSTRAINT "price_rule of an order must be quote or last" CHECK (price_rule IN ('quote', 'last'));

-- What a fill met in the market, and by how much it was worse than the mark.
ALTER TABLE paper_fills ADD COLUMN liquidity text NOT NULL DEFAULT 'unknown';
ALTER TABLE paper_fills ADD COLUMN last_price numeric(38,18);
ALTER TABLE paper_fills ADD COLUMN bid_size numeric(38,18);
ALTER TABLE paper_fills ADD COLUMN ask_size numeric(38,18);
ALTER TABLE paper_fills ADD COLUMN last_size numeric(38,18);
ALTER TABLE paper_fills ADD COLUMN touch_size numeric(38,18);
ALTER TABLE paper_fills ADD COLUMN spread_cost numeric(38,12);
ALTER TABLE paper_fills ADD COLUMN slippage_cost numeric(38,12);
ALTER TABLE paper_fills ADD COLUMN size_cost numeric(38,12);
ALTER TABLE paper_fills ADD COLUMN random_cost numeric(38,12);
ALTER TABLE paper_fills
    ADD CONSTRAINT "liquidity must be taker, maker or unknown" CHECK (liquidity IN ('taker', 'maker', 'unknown'));

-- The mark of price rule quote: the last trade, within bid and ask where both are known; domain/trading/prices.py has the same.
CREATE FUNCTION paper_mark(price numeric, bid numeric, ask numeric) RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN bid <= ask THEN least(greatest(price, bid), ask) ELSE price END;

-- As before, but a portfolio with price rule quote values its positions at paper_mark.
CREATE OR REPLACE FUNCTION calculate_position_pnl(position_id uuid, price numeric DEFAULT NULL) RETURNS numeric
LANGUAGE sql STABLE BEGIN ATOMIC
    SELECT CASE p.side
               WHEN 'LONG' THEN round(p.quantity * coalesce($2, m.price, p.current_price), 12) - p.cost
               ELSE p.cost - round(p.quantity * coalesce($2, m.price, p.current_price), 12)
           END
    FROM paper_positions p
    JOIN paper_trading_config c USING (portfolio)
    LEFT JOIN LATERAL (
        SELECT CASE c.price_rule WHEN 'quote' THEN paper_mark(q.price, q.bid, q.ask) ELSE q.price END AS price
        FROM market_prices q WHERE q.symbol = p.symbol ORDER BY q.time DESC LIMIT 1
    ) m ON true
    WHERE p.position_id = $1;
END;

CREATE OR REPLACE VIEW v_paper_open_positions AS
SELECT p.portfolio, p.symbol, p.asset_class, p.side, p.quantity, p.entry_price, p.cost, p.entry_commission,
       mark.price                                                           AS current_price,
       m.time                                                               AS price_time,
       coalesce(m.source, 'last fill')                                      AS price_source,
       sign.value * round(p.quantity * mark.price, 12)                      AS position_value,
       sign.value * (round(p.quantity * mark.price, 12) - p.cost)           AS unrealized_pnl,
       round(sign.value * (round(p.quantity * mark.price, 12) - p.cost) / nullif(p.cost, 0), 12) AS unrealized_pnl_pct,
       p.strategy, p.opened_at, now() - p.opened_at                         AS hold_duration, p.position_id
FROM paper_positions p
JOIN paper_trading_config c USING (portfolio)
LEFT JOIN LATERAL (
    SELECT (CASE c.price_rule WHEN 'quote' THEN paper_mark(q.price, q.bid, q.ask) ELSE q.price END)::numeric(38,18) AS price,
           q.time, q.source
    FROM market_prices q WHERE q.symbol = p.symbol ORDER BY q.time DESC LIMIT 1
) m ON true
CROSS JOIN LATERAL (SELECT coalesce(m.price, p.current_price) AS price) mark
CROSS JOIN LATERAL (SELECT CASE p.side WHEN 'LONG' THEN 1 ELSE -1 END AS value) sign;

-- As before, with what a taker under price rule quote cannot have got.
CREATE OR REPLACE VIEW v_paper_ledger_check AS
WITH fills AS (
    SELECT portfolio, sum(cash_delta) AS cash, sum(commission) AS commission FROM paper_fills GROUP BY portfolio
), assets AS (
    SELECT portfolio, symbol, sum(asset_delta) AS quantity FROM paper_fills GROUP BY portfolio, symbol
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
)
SELECT c.portfolio, 'cash' AS what,
       format('cash of portfolio %s is %s, its fills make it %s', c.portfolio, c.current_capital,
              c.initial_capital + coalesce(f.cash, 0)) AS difference
FROM paper_trading_config c LEFT JOIN fills f USING (portfolio)
WHERE c.current_capital <> c.initial_capital + coalesce(f.cash, 0)
UNION ALL
SELECT portfolio, 'holdings',
       format('portfolio %s holds %s %s, its fills make it %s', portfolio, coalesce(h.quantity, 0), symbol, coalesce(a.quantity, 0))
FROM assets a FULL JOIN held h USING (portfolio, symbol)
WHERE coalesce(a.quantity, 0) <> coalesce(h.quantity, 0)
UNION ALL
SELECT c.portfolio, 'law 1',
       format('portfolio %s gained %s, its trades and positions make it %s', c.portfolio,
              c.current_capital + coalesce(o.value, 0) - c.initial_capital, coalesce(t.net, 0) + coalesce(o.unrealized, 0))
FROM paper_trading_config c LEFT JOIN open o USING (portfolio) LEFT JOIN trades t USING (portfolio)
WHERE c.current_capital + coalesce(o.value, 0) - c.initial_capital <> coalesce(t.net, 0) + coalesce(o.unrealized, 0)
UNION ALL
SELECT c.portfolio, 'commission',
       format('portfolio %s paid %s in commissions, its trades and positions account for %s', c.portfolio,
              coalesce(f.commission, 0), coalesce(t.commission, 0) + coalesce(o.commission, 0))
FROM paper_trading_config c LEFT JOIN fills f USING (portfolio) LEFT JOIN open o USING (portfolio) LEFT JOIN trades t USING (portfolio)
WHERE coalesce(f.commission, 0) <> coalesce(t.commission, 0) + coalesce(o.commission, 0)
UNION ALL
SELECT p.portfolio, 'position value',
       format('the position in %s of portfolio %s is worth %s with result %s, which its quantity, price and cost do not make',
              p.symbol, p.portfolio, p.position_value, p.unrealized_pnl)
FROM paper_positions p CROSS JOIN LATERAL (SELECT CASE p.side WHEN 'LONG' THEN 1 ELSE -1 END AS value) sign
WHERE p.position_value <> sign.value * round(p.quantity * p.current_price, 12)
   OR p.unrealized_pnl <> p.position_value - sign.value * p.cost
UNION ALL
SELECT p.portfolio, 'position cost',
       format('position %s in %s cost %s, of which its trades and what is left account for %s', e.position_id, p.symbol,
              e.cost, coalesce(x.cost, 0) + coalesce(p.cost, 0))
FROM entries e LEFT JOIN closed x USING (position_id) LEFT JOIN paper_positions p USING (position_id)
WHERE e.cost <> coalesce(x.cost, 0) + coalesce(p.cost, 0)
UNION ALL
SELECT o.portfolio, 'order', format('order %s is filled by %s, its fills make it %s', o.order_id, o.filled_quantity, coalesce(sum(f.quantity), 0))
FROM paper_orders o LEFT JOIN paper_fills f USING (order_id)
GROUP BY o.order_id HAVING o.filled_quantity <> coalesce(sum(f.quantity), 0)
UNION ALL
SELECT o.portfolio, 'order', format('portfolio %s has %s orders, the last one is number %s', o.portfolio, count(*), max(o.seq))
FROM paper_orders o GROUP BY o.portfolio HAVING count(*) <> max(o.seq)
UNION ALL
SELECT o.portfolio, 'law 2', format('order %s is filled, but its decision %s is %s', o.order_id, o.decision_id, coalesce(d.status, 'gone'))
FROM paper_orders o LEFT JOIN trading_decisions d ON d.id = o.decision_id
WHERE o.status = 'filled' AND (d.id IS NULL OR d.status <> 'executed' OR d.order_id <> o.order_id)
UNION ALL
SELECT d.portfolio, 'law 2', format('decision %s is executed, but its order %s does not exist', d.id, d.order_id)
FROM trading_decisions d LEFT JOIN paper_orders o USING (order_id)
WHERE d.status = 'executed' AND o.order_id IS NULL
UNION ALL
SELECT d.portfolio, 'law 2', format('decision %s is %s without a reason', d.id, d.status)
FROM trading_decisions d
WHERE d.status IN ('executed', 'rejected', 'ignored', 'expired') AND coalesce(d.outcome_reason, '') = ''
UNION ALL
SELECT f.portfolio, 'outside the quote',
       format('order %s of portfolio %s: %s %s at %s, which is outside its quote (bid %s, ask %s)', f.order_id, f.portfolio,
              f.side, f.symbol, trim_scale(f.price), trim_scale(f.bid), trim_scale(f.ask))
FROM paper_fills f JOIN paper_orders o USING (order_id)
WHERE o.price_rule = 'quote' AND f.liquidity = 'taker' AND f.bid <= f.ask
  AND (f.side = 'BUY' AND f.price < f.ask OR f.side = 'SELL' AND f.price > f.bid);
