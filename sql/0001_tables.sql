-- The tables. Who writes each stands above it; docs/database.md says when.
-- Constraint names are the sentences that a refused INSERT shows. Every check of a number is two-sided, because
-- 'NaN' > 0 is true in PostgreSQL. Money is NUMERIC(38,12), prices and quantities are NUMERIC(38,18), ratios are fractions.

-- One row a portfolio: its capital, costs and limits. Written by people, and current_capital (its cash) by the
-- PositionKeeper alone.
CREATE TABLE paper_trading_config (
    portfolio                     text           PRIMARY KEY,
    currency                      text           NOT NULL DEFAULT 'USDT',
    initial_capital               numeric(38,12) NOT NULL DEFAULT 10000,
    current_capital               numeric(38,12) NOT NULL,
    commission_pct                numeric(38,18) NOT NULL DEFAULT 0.001,
    min_commission                numeric(38,12) NOT NULL DEFAULT 1,
    slippage_pct                  numeric(38,18) NOT NULL DEFAULT 0.0005,
    max_position_size             numeric(38,18) NOT NULL DEFAULT 0.20,
    decision_confidence_threshold numeric(38,18) NOT NULL DEFAULT 0.6,
    min_notional                  numeric(38,12) NOT NULL DEFAULT 10,
    default_risk_score            numeric(38,18) NOT NULL DEFAULT 0.3,
    revision                      bigint         NOT NULL DEFAULT 1,
    created_at                    timestamptz    NOT NULL DEFAULT now(),
    CONSTRAINT "portfolio must be a name of 1 to 100 characters"
        CHECK (portfolio ~ '^[^[:cntrl:]]{1,100}$' AND portfolio = btrim(portfolio)),
    CONSTRAINT "currency must be letters and digits in upper case" CHECK (currency ~ '^[A-Z0-9]{2,20}$'),
    CONSTRAINT "initial_capital must be above 0" CHECK (initial_capital > 0 AND initial_capital < 1e20),
    CONSTRAINT "current_capital must be a finite amount" CHECK (current_capital > -1e24 AND current_capital < 1e24),
    CONSTRAINT "commission_pct must be a fraction from 0 to 0.1" CHECK (commission_pct >= 0 AND commission_pct <= 0.1),
    CONSTRAINT "min_commission must be an amount of 0 or more" CHECK (min_commission >= 0 AND min_commission < 1e20),
    CONSTRAINT "slippage_pct must be a fraction from 0 to 0.05" CHECK (slippage_pct >= 0 AND slippage_pct <= 0.05),
    CONSTRAINT "max_position_size must be a fraction above 0, at most 1" CHECK (max_position_size > 0 AND max_position_size <= 1),
    CONSTRAINT "decision_confidence_threshold must be from 0 to 1"
        CHECK (decision_confidence_threshold >= 0 AND decision_confidence_threshold <= 1),
    CONSTRAINT "min_notional must be an amount of 0 or more" CHECK (min_notional >= 0 AND min_notional < 1e20),
    CONSTRAINT "default_risk_score must be from 0 to 1" CHECK (default_risk_score >= 0 AND default_risk_score <= 1)
);

-- What the Sizer made of a decision. A filled one is written by the PositionKeeper in its fill's transaction.
CREATE TABLE paper_orders (
    order_id           uuid           PRIMARY KEY,
    decision_id        bigint         NOT NULL,
    portfolio          text           NOT NULL REFERENCES paper_trading_config,
    asset_class        text           NOT NULL,
    leg                smallint       NOT NULL,
    seq                bigint         NOT NULL,
    symbol             text           NOT NULL,
    side               text           NOT NULL,
    order_type         text           NOT NULL,
    quantity           numeric(38,18) NOT NULL,
    limit_price        numeric(38,18),
    status             text           NOT NULL,
    filled_quantity    numeric(38,18) NOT NULL,
    average_fill_price numeric(38,18),
    commission         numeric(38,12) NOT NULL,
    slippage           numeric(38,12) NOT NULL,
    strategy           text,
    config_revision    bigint         NOT NULL,
    equity             numeric(38,12) NOT NULL,
    marks              jsonb          NOT NULL,
    created_at         timestamptz    NOT NULL,
    filled_at          timestamptz,
    CONSTRAINT "one order for each leg of a decision" UNIQUE (decision_id, leg),
    CONSTRAINT "one order for each number of a portfolio" UNIQUE (portfolio, seq),
    CONSTRAINT "side must be BUY or SELL" CHECK (side IN ('BUY', 'SELL')),
    CONSTRAINT "order_type must be market or limit" CHECK (order_type IN ('market', 'limit')),
    CONSTRAINT "order status must be open, filled, cancelled or expired" CHECK (status IN ('open', 'filled', 'cancelled', 'expired')),
    CONSTRAINT "order quantity must be above 0" CHECK (quantity > 0 AND quantity < 1e20),
    CONSTRAINT "filled_quantity is from 0 to quantity" CHECK (filled_quantity >= 0 AND filled_quantity <= quantity),
    CONSTRAINT "filled_at is set exactly when an order is filled" CHECK ((status = 'filled') = (filled_at IS NOT NULL))
);
CREATE INDEX paper_orders_recent ON paper_orders (created_at DESC);

-- Each execution with its evidence. Written by the PositionKeeper.
CREATE TABLE paper_fills (
    order_id      uuid           NOT NULL REFERENCES paper_orders,
    fill_no       smallint       NOT NULL,
    position_id   uuid           NOT NULL,
    portfolio     text           NOT NULL,
    asset_class   text           NOT NULL,
    symbol        text           NOT NULL,
    side          text           NOT NULL,
    quantity      numeric(38,18) NOT NULL,
    price         numeric(38,18) NOT NULL,
    base_price    numeric(38,18) NOT NULL,
    price_time    timestamptz    NOT NULL,
    price_seen_at timestamptz    NOT NULL,
    price_source  text           NOT NULL,
    bid           numeric(38,18),
    ask           numeric(38,18),
    slippage_rate numeric(38,18) NOT NULL,
    notional      numeric(38,12) NOT NULL,
    commission    numeric(38,12) NOT NULL,
    cash_delta    numeric(38,12) NOT NULL,
    asset_delta   numeric(38,18) NOT NULL,
    filled_at     timestamptz    NOT NULL,
    PRIMARY KEY (order_id, fill_no),
    CONSTRAINT "fill quantity and price must be above 0"
        CHECK (quantity > 0 AND quantity < 1e20 AND price > 0 AND price < 1e20 AND base_price > 0 AND base_price < 1e20),
    CONSTRAINT "notional is quantity times price" CHECK (notional = round(quantity * price, 12)),
    CONSTRAINT "commission must be 0 or more" CHECK (commission >= 0 AND commission < 1e20),
    CONSTRAINT "cash_delta agrees with side, notional and commission"
        CHECK (cash_delta = CASE side WHEN 'BUY' THEN -notional - commission ELSE notional - commission END),
    CONSTRAINT "asset_delta agrees with side and quantity"
        CHECK (asset_delta = CASE side WHEN 'BUY' THEN quantity ELSE -quantity END)
);
CREATE INDEX paper_fills_portfolio ON paper_fills (portfolio, symbol);

-- What is held now; a row only while held. Prices and values as of its last fill. Written by the PositionKeeper.
CREATE TABLE paper_positions (
    position_id      uuid           PRIMARY KEY,
    portfolio        text           NOT NULL REFERENCES paper_trading_config,
    asset_class      text           NOT NULL,
    symbol           text           NOT NULL,
    side             text           NOT NULL,
    quantity         numeric(38,18) NOT NULL,
    cost             numeric(38,12) NOT NULL,
    entry_commission numeric(38,12) NOT NULL,
    entry_price      numeric(38,18) NOT NULL,
    current_price    numeric(38,18) NOT NULL,
    position_value   numeric(38,12) NOT NULL,
    unrealized_pnl   numeric(38,12) NOT NULL,
    strategy         text,
    opened_at        timestamptz    NOT NULL,
    CONSTRAINT "one position for each symbol of a portfolio" UNIQUE (portfolio, symbol),
    CONSTRAINT "position side must be LONG or SHORT" CHECK (side IN ('LONG', 'SHORT')),
    CONSTRAINT "position quantity must be above 0" CHECK (quantity > 0 AND quantity < 1e24),
    CONSTRAINT "position cost must be 0 or more" CHECK (cost >= 0 AND cost < 1e24)
);

-- The closing of all or part of a position; realized_pnl is gross. Written by the PositionKeeper.
CREATE TABLE paper_trades (
    position_id      uuid           NOT NULL,
    order_id         uuid           NOT NULL,
    fill_no          smallint       NOT NULL,
    portfolio        text           NOT NULL,
    asset_class      text           NOT NULL,
    symbol           text           NOT NULL,
    side             text           NOT NULL,
    quantity         numeric(38,18) NOT NULL,
    entry_price      numeric(38,18) NOT NULL,
    exit_price       numeric(38,18) NOT NULL,
    cost             numeric(38,12) NOT NULL,
    exit_notional    numeric(38,12) NOT NULL,
    entry_commission numeric(38,12) NOT NULL,
    exit_commission  numeric(38,12) NOT NULL,
    entry_time       timestamptz    NOT NULL,
    exit_time        timestamptz    NOT NULL,
    hold_duration    interval       NOT NULL,
    realized_pnl     numeric(38,12) NOT NULL,
    commission       numeric(38,12) NOT NULL,
    net_pnl          numeric(38,12) NOT NULL,
    closes           boolean        NOT NULL,
    strategy         text,
    PRIMARY KEY (exit_time, order_id, fill_no),
    CONSTRAINT "realized_pnl agrees with side, cost and exit_notional"
        CHECK (realized_pnl = CASE side WHEN 'LONG' THEN exit_notional - cost ELSE cost - exit_notional END),
    CONSTRAINT "commission is both commissions" CHECK (commission = entry_commission + exit_commission),
    CONSTRAINT "net_pnl is realized_pnl less commission" CHECK (net_pnl = realized_pnl - commission)
);
CREATE INDEX paper_trades_position ON paper_trades (position_id);
CREATE INDEX paper_trades_portfolio ON paper_trades (portfolio, exit_time DESC);

-- One committed state of a portfolio, valued at one moment. Written by the Snapshotter.
CREATE TABLE paper_portfolio_snapshots (
    time            timestamptz    NOT NULL,
    portfolio       text           NOT NULL,
    cash            numeric(38,12) NOT NULL,
    positions_value numeric(38,12) NOT NULL,
    total_value     numeric(38,12) NOT NULL,
    total_pnl       numeric(38,12) NOT NULL,
    total_pnl_pct   numeric(38,12) NOT NULL,
    daily_pnl       numeric(38,12) NOT NULL,
    num_positions   integer        NOT NULL,
    allocation      jsonb          NOT NULL,
    PRIMARY KEY (time, portfolio),
    CONSTRAINT "total_value is cash and positions" CHECK (total_value = cash + positions_value)
);
CREATE INDEX paper_portfolio_snapshots_portfolio ON paper_portfolio_snapshots (portfolio, time DESC);

-- Prices as they were seen, at most one a symbol and second. Written by the PriceTracker.
CREATE TABLE market_prices (
    time        timestamptz    NOT NULL,
    symbol      text           NOT NULL,
    source      text           NOT NULL,
    price       numeric(38,18) NOT NULL,
    bid         numeric(38,18),
    ask         numeric(38,18),
    volume      numeric,
    price_time  timestamptz    NOT NULL,
    PRIMARY KEY (symbol, time, source),
    CONSTRAINT "market price must be above 0" CHECK (price > 0 AND price < 1e20)
);
-- What is too old is found without reading the rest; rows lie in the order of their time.
CREATE INDEX market_prices_time ON market_prices USING brin (time);

-- Who writes: the epoch counts the processes that have held the lease. Written by the Supervisor's lease.
CREATE TABLE paper_lease (
    only_row   boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    epoch      bigint      NOT NULL,
    holder     text        NOT NULL,
    started_at timestamptz NOT NULL
);
INSERT INTO paper_lease (epoch, holder, started_at) VALUES (0, 'nobody', '-infinity');

-- In a row of its own, so that renewing waits for no transaction that checks the epoch.
CREATE TABLE paper_lease_renewal (
    only_row   boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    renewed_at timestamptz NOT NULL
);
INSERT INTO paper_lease_renewal (renewed_at) VALUES ('-infinity');

-- Counts the rebuilds of the decision path; every transaction of the path checks it. Written by the PositionKeeper.
CREATE TABLE paper_generation (
    only_row   boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    generation bigint  NOT NULL
);
INSERT INTO paper_generation (generation) VALUES (0);
