-- Wake-ups and guards. A wake-up is a hint; the poll is the truth.

-- One statement, one wake-up: a trigger for each row would halve concurrent inserts.
CREATE FUNCTION paper_wake() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify(TG_ARGV[0], '');
    RETURN NULL;
END $$;

CREATE TRIGGER paper_decisions_wake AFTER INSERT ON trading_decisions
    FOR EACH STATEMENT EXECUTE FUNCTION paper_wake('paper_decisions');
CREATE TRIGGER paper_outcomes_wake AFTER UPDATE ON trading_decisions
    FOR EACH STATEMENT EXECUTE FUNCTION paper_wake('paper_outcomes');

-- A decision begins as pending and ends once. The conditions stand in the triggers, so that a row that keeps them costs nothing.
CREATE FUNCTION paper_decision_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        RAISE EXCEPTION 'a decision begins as pending; leave status and processed_at out' USING ERRCODE = 'check_violation';
    END IF;
    RAISE EXCEPTION 'decision % has ended (%) and never changes', OLD.id, OLD.status
        USING ERRCODE = 'check_violation';
END $$;

CREATE TRIGGER paper_decision_begins BEFORE INSERT ON trading_decisions FOR EACH ROW
    WHEN (NEW.status <> 'pending' OR NEW.processed_at IS NOT NULL)
    EXECUTE FUNCTION paper_decision_guard();
CREATE TRIGGER paper_decision_ends_once BEFORE UPDATE ON trading_decisions FOR EACH ROW
    WHEN (OLD.processed_at IS NOT NULL
          AND (NEW.uid, NEW.portfolio, NEW.symbol, NEW.decision, NEW.confidence, NEW.risk_score, NEW.quantity,
               NEW.created_at, NEW.status, NEW.outcome_reason, NEW.order_id, NEW.processed_at)
              IS DISTINCT FROM
              (OLD.uid, OLD.portfolio, OLD.symbol, OLD.decision, OLD.confidence, OLD.risk_score, OLD.quantity,
               OLD.created_at, OLD.status, OLD.outcome_reason, OLD.order_id, OLD.processed_at))
    EXECUTE FUNCTION paper_decision_guard();

-- A portfolio's row: cash starts as the initial capital; capital and currency never change; each change of a rule counts.
CREATE FUNCTION paper_config_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.current_capital := coalesce(NEW.current_capital, NEW.initial_capital);
        IF NEW.current_capital <> NEW.initial_capital THEN
            RAISE EXCEPTION 'portfolio % must start with current_capital = initial_capital', NEW.portfolio
                USING ERRCODE = 'check_violation';
        END IF;
        NEW.revision := 1;
        RETURN NEW;
    END IF;
    IF NEW.initial_capital IS DISTINCT FROM OLD.initial_capital OR NEW.currency IS DISTINCT FROM OLD.currency
       OR NEW.portfolio IS DISTINCT FROM OLD.portfolio THEN
        RAISE EXCEPTION 'the name, initial_capital and currency of portfolio % never change; create another portfolio', OLD.portfolio
            USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.current_capital IS DISTINCT FROM OLD.current_capital
       AND coalesce(current_setting('paper.writer', true), '') <> 'PositionKeeper' THEN
        RAISE EXCEPTION 'current_capital of portfolio % is its cash and follows from its fills; only the PositionKeeper writes it', OLD.portfolio
            USING ERRCODE = 'check_violation';
    END IF;
    NEW.revision := OLD.revision;
    IF to_jsonb(NEW) - 'current_capital' <> to_jsonb(OLD) - 'current_capital' THEN
        NEW.revision := OLD.revision + 1;
        PERFORM pg_notify('paper_config', '');
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER paper_config_guard BEFORE INSERT OR UPDATE ON paper_trading_config
    FOR EACH ROW EXECUTE FUNCTION paper_config_guard();
CREATE TRIGGER paper_config_wake AFTER INSERT OR DELETE ON paper_trading_config
    FOR EACH STATEMENT EXECUTE FUNCTION paper_wake('paper_config');
