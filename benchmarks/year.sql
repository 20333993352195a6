-- Five symbols in turn: trip n is in symbol n mod 5, and is over before the next one of that symbol begins. The last few
-- are not sold. Each buy and each sell is a decision, an order and a fill.
SELECT setseed(0.42);
INSERT INTO paper_trading_config (portfolio, name, initial_capital, current_capital, created_at)
VALUES ('default', 'default', 100000, 100000, date_trunc('day', now()) - interval '{minutes} minutes');
CREATE TEMPORARY TABLE trips AS
SELECT n, (ARRAY['BTC/USDT', 'ETH/USDT', 'SOL/USDT', 'XRP/USDT', 'AAPL'])[n % 5 + 1] AS symbol,
       (ARRAY['crypto', 'crypto', 'crypto', 'crypto', 'equity'])[n % 5 + 1] AS asset_class,
       (ARRAY['trend', 'reversion', NULL])[n % 3 + 1] AS strategy, md5('position' || n)::uuid AS position_id,
       opened,
       CASE WHEN n <= {trips} THEN opened + (0.2 + 0.7 * random()) * 5 * ({minutes} - 60) / {trips} * interval '1 minute'
            ELSE date_trunc('day', now()) + interval '1 hour' END AS closed,
       round((random() * 0.01 + 0.001)::numeric, 8) * 1000 AS quantity, bought,
       round(bought * (1.0032 + (random() + random() + random() - 1.5) * 0.02)::numeric, 2) AS sold
FROM (SELECT n, date_trunc('day', now()) - interval '{minutes} minutes' + n * ({minutes} - 60)::float / {trips} * interval '1 minute'
             AS opened, round((400 + 100 * sin(n / 9000.0) + 20 * random())::numeric, 2) AS bought
      FROM generate_series(1, {trips} + {held}) n) walk;
CREATE TEMPORARY TABLE legs AS
SELECT row_number() OVER (ORDER BY at, n, side) AS seq, md5('order' || n || side)::uuid AS order_id, *,
       round(quantity * price, 12) AS notional, greatest(round(quantity * price * 0.001, 12), 1) AS commission,
       CASE side WHEN 'BUY' THEN quantity ELSE -quantity END AS asset_delta
FROM (SELECT t.*, 'BUY' AS side, opened AS at, bought AS base, round(bought * 1.0005, 2) AS price FROM trips t
      UNION ALL
      SELECT t.*, 'SELL', closed, sold, round(sold * 0.9995, 2) FROM trips t WHERE n <= {trips}) l;
ALTER TABLE trading_decisions DISABLE TRIGGER USER;
INSERT INTO trading_decisions (id, symbol, decision, confidence, reasoning, strategy, created_at, status, outcome_reason,
                               order_id, processed_at)
OVERRIDING SYSTEM VALUE
SELECT seq, symbol, side, 0.8, 'momentum, and "quoted"', strategy, at - interval '20 ms', 'executed',
       'filled ' || quantity, order_id, at
FROM legs;
INSERT INTO trading_decisions (id, symbol, decision, confidence, strategy, created_at, status, outcome_reason, processed_at)
OVERRIDING SYSTEM VALUE
SELECT 10000000 + n, 'BTC/USDT', 'BUY', 0.5, 'trend', at, CASE WHEN n % 4 = 0 THEN 'rejected' ELSE 'ignored' END,
       (ARRAY['no room: 20 % are in BTC/USDT', 'confidence below threshold: 0.5 is below 0.6', 'hold: nothing to do'])
       [CASE WHEN n % 4 = 0 THEN 1 ELSE 2 + n % 2 END], at
FROM (SELECT n, date_trunc('day', now()) - interval '{minutes} minutes' + n * {minutes}::float / {refused} * interval '1 minute' AS at
      FROM generate_series(1, {refused}) n) d;
ALTER TABLE trading_decisions ENABLE TRIGGER USER;
INSERT INTO paper_orders SELECT order_id, seq, 'default', asset_class, 1, seq, symbol, side, 'market', quantity, NULL,
       'filled', quantity, price, commission, round(quantity * abs(price - base), 12), strategy, 1, 100000, '{{}}', at, at
FROM legs;
INSERT INTO paper_fills SELECT order_id, 1, position_id, 'default', asset_class, symbol, side, quantity, price, base, at, at,
       'simulated', NULL, NULL, 0.0005, notional, commission,
       CASE side WHEN 'BUY' THEN -notional - commission ELSE notional - commission END, asset_delta, at
FROM legs;
INSERT INTO paper_trades SELECT s.position_id, s.order_id, 1, 'default', s.asset_class, s.symbol, 'LONG', s.quantity,
       b.price, s.price, b.notional, s.notional, b.commission, s.commission, b.at, s.at, s.at - b.at,
       s.notional - b.notional, b.commission + s.commission, s.notional - b.notional - b.commission - s.commission, true,
       s.strategy
FROM legs s JOIN legs b USING (position_id) WHERE s.side = 'SELL' AND b.side = 'BUY';
INSERT INTO paper_positions SELECT position_id, 'default', asset_class, symbol, 'LONG', quantity, notional, commission,
       price, price, round(quantity * price, 12), 0, strategy, at
FROM legs WHERE n > {trips};
UPDATE paper_trading_config SET current_capital = initial_capital + (SELECT sum(cash_delta) FROM paper_fills);
CREATE TEMPORARY TABLE held AS
SELECT date_bin('1 minute', m, '2000-01-01') AS minute, count(*)::integer AS positions,
       sum(round(quantity * (bought + (sold - bought)
           * (extract(epoch FROM m - opened) / extract(epoch FROM closed - opened))::numeric), 8)) AS value
FROM trips, generate_series(
    date_bin('1 minute', opened - interval '1 microsecond', '2000-01-01') + interval '1 minute', least(closed, date_trunc('day', now())),
                            interval '1 minute') m GROUP BY 1;
CREATE TEMPORARY TABLE cash AS
SELECT minute, 100000 + sum(change) OVER (ORDER BY minute) AS cash
FROM (SELECT m AS minute, coalesce(sum(cash_delta), 0) AS change
      FROM generate_series(date_trunc('day', now()) - interval '{minutes} minutes' + interval '1 minute', date_trunc('day', now()),
                           interval '1 minute') m
      LEFT JOIN paper_fills ON m = date_bin('1 minute', filled_at - interval '1 microsecond', '2000-01-01') + interval '1 minute'
      GROUP BY 1) changed;
SET paper.writer = 'Snapshotter';
INSERT INTO paper_portfolio_snapshots
SELECT minute, 'default', cash, value, cash + value, cash + value - 100000, round((cash + value - 100000) / 100000, 12),
       cash + value - first_value(cash + value) OVER (PARTITION BY date_trunc('day', minute) ORDER BY minute), positions,
       jsonb_build_object('cash', (cash / (cash + value))::numeric(38,12)::text)
FROM (SELECT minute, cash, coalesce(value, 0) AS value, coalesce(positions, 0) AS positions
      FROM cash LEFT JOIN held USING (minute) ORDER BY minute) moments;
INSERT INTO market_prices SELECT now(), symbol, 'simulated', 430.25, NULL, NULL, NULL, now() FROM trips GROUP BY symbol;
