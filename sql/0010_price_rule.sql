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
