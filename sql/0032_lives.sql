-- Lives of portfolios: one can be closed, and begin anew under the same name. No row of its history is written.

-- portfolio, the key to which all tables refer, never changes: it is the id of one life of a portfolio. That of the first life
-- is the name, that of a later one name@life. What people write into decisions, halts and requests is the name.
ALTER TABLE paper_trading_config
    ADD COLUMN name text,
    ADD COLUMN life integer NOT NULL DEFAULT 1,
    ADD COLUMN closed_at timestamptz,
    ADD COLUMN replaced_at timestamptz;
ALTER TABLE paper_trading_config DISABLE TRIGGER USER;
UPDATE paper_trading_config SET name = portfolio;
ALTER TABLE paper_trading_config ENABLE TRIGGER USER;
ALTER TABLE paper_trading_config
    ALTER COLUMN name SET NOT NULL,
    DROP CONSTRAINT "portfolio must be a name of 1 to 100 characters",
    ADD CONSTRAINT "portfolio must be a name of 1 to 100 characters"
        CHECK (name ~ '^[^[:cntrl:]]{1,100}$' AND name = btrim(name)),
    ADD CONSTRAINT "life must be 1 or more" CHECK (life >= 1),
    ADD CONSTRAINT "a portfolio that was replaced is closed" CHECK (replaced_at IS NULL OR closed_at IS NOT NULL),
    ADD CONSTRAINT "one row for each life of a portfolio" UNIQUE (name, life);
CREATE UNIQUE INDEX paper_trading_config_present ON paper_trading_config (name) WHERE replaced_at IS NULL;

-- As before; in addition the program alone closes a portfolio and begins its next life, and a closed one never changes.
CREATE OR REPLACE FUNCTION paper_config_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    by_program CONSTANT boolean := coalesce(current_setting('paper.writer', true), '') = 'PositionKeeper';
    not_rules CONSTANT text[] := ARRAY['current_capital', 'closed_at', 'replaced_at'];
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.current_capital := coalesce(NEW.current_capital, NEW.initial_capital);
        IF NEW.current_capital <> NEW.initial_capital THEN
            RAISE EXCEPTION 'portfolio % must start with current_capital = initial_capital', NEW.portfolio
                USING ERRCODE = 'check_violation';
        END IF;
        IF NOT by_program THEN
            IF NEW.portfolio ~ '@[0-9]+$' THEN
                RAISE EXCEPTION 'the name % is not possible: @ and digits at its end would name an earlier life of a portfolio', NEW.portfolio
                    USING ERRCODE = 'check_violation';
            END IF;
            NEW.name := NEW.portfolio;
            NEW.life := 1;
            NEW.closed_at := NULL;
            NEW.replaced_at := NULL;
        END IF;
        NEW.revision := 1;
        RETURN NEW;
    END IF;
    IF NEW.initial_capital IS DISTINCT FROM OLD.initial_capital OR NEW.currency IS DISTINCT FROM OLD.currency
       OR NEW.portfolio IS DISTINCT FROM OLD.portfolio OR NEW.name IS DISTINCT FROM OLD.name OR NEW.life IS DISTINCT FROM OLD.life THEN
        RAISE EXCEPTION 'the name, initial_capital and currency of portfolio % never change; create another portfolio', OLD.portfolio
            USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.current_capital IS DISTINCT FROM OLD.current_capital AND NOT by_program THEN
        RAISE EXCEPTION 'current_capital of portfolio % is its cash and follows from its fills; only the PositionKeeper writes it', OLD.portfolio
            USING ERRCODE = 'check_violation';
    END IF;
    IF (NEW.closed_at IS DISTINCT FROM OLD.closed_at OR NEW.replaced_at IS DISTINCT FROM OLD.replaced_at) AND NOT by_program THEN
        RAISE EXCEPTION 'portfolio % is closed by a request: INSERT INTO paper_account_requests with kind close or reset', OLD.portfolio
            USING ERRCODE = 'check_violation';
    END IF;
    NEW.revision := OLD.revision;
    IF to_jsonb(NEW) - not_rules <> to_jsonb(OLD) - not_rules THEN
        IF OLD.replaced_at IS NOT NULL THEN
            RAISE EXCEPTION 'portfolio % has ended and never changes; the present one of this name has the id %', OLD.portfolio,
                (SELECT portfolio FROM paper_trading_config WHERE name = OLD.name AND replaced_at IS NULL)
                USING ERRCODE = 'check_violation';
        ELSIF OLD.closed_at IS NOT NULL THEN
            RAISE EXCEPTION 'portfolio % is closed and never changes; a reset begins it anew', OLD.portfolio USING ERRCODE = 'check_violation';
        END IF;
        NEW.revision := OLD.revision + 1;
        PERFORM pg_notify('paper_config', '');
    ELSIF NEW.closed_at IS DISTINCT FROM OLD.closed_at THEN
        PERFORM pg_notify('paper_config', '');
    END IF;
    RETURN NEW;
END $$;

-- The id of the portfolio that people name: its present life, or an earlier one as name@life. NULL if there is none.
CREATE FUNCTION paper_portfolio_id(name text) RETURNS text LANGUAGE sql STABLE SECURITY DEFINER BEGIN ATOMIC
    SELECT c.portfolio FROM paper_trading_config c
    WHERE c.name = $1 AND c.replaced_at IS NULL OR c.name = regexp_replace($1, '@[0-9]+$', '') AND c.name || '@' || c.life = $1
    ORDER BY c.name <> $1 LIMIT 1;
END;

-- What people call the portfolio of an id: its name, and name@life for an earlier life. An id that is not known stays as it is.
CREATE FUNCTION paper_portfolio_label(portfolio text) RETURNS text LANGUAGE sql STABLE SECURITY DEFINER BEGIN ATOMIC
    SELECT coalesce((SELECT CASE WHEN c.replaced_at IS NULL THEN c.name ELSE c.name || '@' || c.life END
                     FROM paper_trading_config c WHERE c.portfolio = $1), $1);
END;

-- The id of the life in which something of a name was made. A name that is not known stays as it is.
CREATE FUNCTION paper_portfolio_at(name text, at timestamptz) RETURNS text LANGUAGE sql STABLE SECURITY DEFINER BEGIN ATOMIC
    SELECT coalesce((SELECT c.portfolio FROM paper_trading_config c
                     WHERE c.name = $1 AND (c.replaced_at IS NULL OR $2 < c.replaced_at) ORDER BY c.life LIMIT 1), $1);
END;

-- A view calls them as the role that reads it, which need not be allowed to read portfolios, so they have the rights of their
-- owner; names are no secret. Their bodies are parsed here, so a search path changes nothing. Granted also where new functions are
-- closed to the public.
GRANT EXECUTE ON FUNCTION paper_portfolio_id(text), paper_portfolio_label(text), paper_portfolio_at(text, timestamptz) TO PUBLIC;

-- People write names into halts and requests, the program ids. With the rights of its owner: who may write these need not be
-- allowed to read portfolios.
CREATE FUNCTION paper_resolve_portfolio() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('SELECT coalesce(%I.paper_portfolio_id($1), $1)', TG_TABLE_SCHEMA) INTO NEW.portfolio USING NEW.portfolio;
    RETURN NEW;
END $$;
REVOKE ALL ON FUNCTION paper_resolve_portfolio() FROM PUBLIC;
CREATE TRIGGER paper_resolve_portfolio BEFORE INSERT ON paper_halts FOR EACH ROW
    WHEN (NEW.portfolio IS NOT NULL AND current_setting('paper.writer', true) IS DISTINCT FROM 'PositionKeeper')
    EXECUTE FUNCTION paper_resolve_portfolio();
CREATE TRIGGER paper_resolve_portfolio BEFORE INSERT ON paper_account_requests FOR EACH ROW
    WHEN (NEW.portfolio IS NOT NULL) EXECUTE FUNCTION paper_resolve_portfolio();

-- A portfolio is closed, or closed and begun anew, by a request. A reset may name the capital of the next life.
ALTER TABLE paper_account_requests
    DROP CONSTRAINT "kind must be deposit, withdrawal or an adjustment",
    ADD CONSTRAINT "kind must be deposit, withdrawal, an adjustment, close or reset" CHECK (kind IN
        ('deposit', 'withdrawal', 'split', 'symbol_change', 'redenomination', 'dividend', 'write_off', 'close', 'reset')),
    DROP CONSTRAINT "a deposit or withdrawal has no symbol, an adjustment has one",
    ADD CONSTRAINT "an adjustment has a symbol, and no other"
        CHECK ((symbol IS NULL) = (kind IN ('deposit', 'withdrawal', 'close', 'reset'))),
    DROP CONSTRAINT "a deposit, withdrawal or dividend has an amount, and no other",
    ADD CONSTRAINT "a deposit, withdrawal or dividend has an amount, a reset may"
        CHECK (kind = 'reset' OR (amount IS NOT NULL) = (kind IN ('deposit', 'withdrawal', 'dividend')));
