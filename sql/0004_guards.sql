-- What keeps the tables as the program left them. It guards against mistakes, not against intent.

-- What a decision asks for is settled by its INSERT: it may be under way already.
CREATE FUNCTION paper_decision_stands() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a decision never changes; cancel it and insert another' USING ERRCODE = 'check_violation';
END $$;

CREATE TRIGGER paper_decision_stands BEFORE UPDATE ON trading_decisions FOR EACH ROW
    WHEN (OLD.processed_at IS NULL
          AND (NEW.id, NEW.uid, NEW.portfolio, NEW.asset_class, NEW.symbol, NEW.decision, NEW.confidence, NEW.risk_score,
               NEW.quantity, NEW.strategy, NEW.created_at, NEW.expires_at)
              IS DISTINCT FROM
              (OLD.id, OLD.uid, OLD.portfolio, OLD.asset_class, OLD.symbol, OLD.decision, OLD.confidence, OLD.risk_score,
               OLD.quantity, OLD.strategy, OLD.created_at, OLD.expires_at))
    EXECUTE FUNCTION paper_decision_stands();

-- One writer for each table; asked once a statement.
CREATE FUNCTION paper_writer_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'table % is written by the program alone', TG_TABLE_NAME USING ERRCODE = 'check_violation';
END $$;

CREATE TRIGGER paper_writer_guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON paper_orders FOR EACH STATEMENT
    WHEN (current_setting('paper.writer', true) IS DISTINCT FROM 'PositionKeeper') EXECUTE FUNCTION paper_writer_guard();
CREATE TRIGGER paper_writer_guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON paper_fills FOR EACH STATEMENT
    WHEN (current_setting('paper.writer', true) IS DISTINCT FROM 'PositionKeeper') EXECUTE FUNCTION paper_writer_guard();
CREATE TRIGGER paper_writer_guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON paper_positions FOR EACH STATEMENT
    WHEN (current_setting('paper.writer', true) IS DISTINCT FROM 'PositionKeeper') EXECUTE FUNCTION paper_writer_guard();
CREATE TRIGGER paper_writer_guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON paper_trades FOR EACH STATEMENT
    WHEN (current_setting('paper.writer', true) IS DISTINCT FROM 'PositionKeeper') EXECUTE FUNCTION paper_writer_guard();
CREATE TRIGGER paper_writer_guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON paper_portfolio_snapshots FOR EACH STATEMENT
    WHEN (current_setting('paper.writer', true) IS DISTINCT FROM 'Snapshotter') EXECUTE FUNCTION paper_writer_guard();
