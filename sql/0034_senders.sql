-- Who sent a decision, and when the database got it: the database itself writes both. And outcomes that a sender cannot write.

-- Older rows have neither, and none is written.
ALTER TABLE trading_decisions ADD COLUMN sent_by text;
ALTER TABLE trading_decisions ADD COLUMN received_at timestamptz;
ALTER TABLE trading_decisions
    ALTER COLUMN sent_by SET DEFAULT session_user,
    ALTER COLUMN received_at SET DEFAULT paper_now(),
    ADD CONSTRAINT "sent_by must be 1 to 120 characters" CHECK (length(sent_by) BETWEEN 1 AND 120) NOT VALID;

-- A key is unique for each sender. The new index is there before the old constraint goes; a row without a key is not in it.
CREATE UNIQUE INDEX "idempotency_key was used by this sender" ON trading_decisions (idempotency_key, sent_by)
    WHERE idempotency_key IS NOT NULL;
ALTER TABLE trading_decisions DROP CONSTRAINT IF EXISTS "idempotency_key was used before";
ALTER INDEX "idempotency_key was used by this sender" RENAME TO "idempotency_key was used before";

-- The intake's order: as the database got them. Rows without that time are older, and have the order that they had.
DO $$ BEGIN
    -- By its schema: another one in the search path may have an index of this name, too.
    EXECUTE format('DROP INDEX IF EXISTS %I.trading_decisions_pending', current_schema());
END $$;
CREATE INDEX trading_decisions_pending ON trading_decisions
    (received_at NULLS FIRST, (CASE WHEN received_at IS NULL THEN created_at END), id)
    WHERE processed_at IS NULL AND status = 'pending';

-- A writer is the owner of trading_decisions or a member of that role: to nobody else does PostgreSQL ascribe a grant option
-- that was not granted. The conditions stand in the triggers, so that they ask the role that runs the statement.

-- Defaults give both values, so the function runs only where others are stated; those of a writer stay.
CREATE FUNCTION paper_decision_received() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    is_writer CONSTANT boolean := has_table_privilege(TG_RELID, 'TRIGGER WITH GRANT OPTION');
BEGIN
    IF NEW.sent_by IS NULL OR NOT is_writer THEN
        NEW.sent_by := session_user;
    END IF;
    IF NEW.received_at IS NULL OR NOT is_writer THEN
        EXECUTE format('SELECT %I.paper_now()', TG_TABLE_SCHEMA) INTO NEW.received_at;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER paper_decision_received BEFORE INSERT ON trading_decisions FOR EACH ROW
    WHEN (NEW.sent_by IS DISTINCT FROM session_user::text OR NEW.received_at IS DISTINCT FROM paper_now())
    EXECUTE FUNCTION paper_decision_received();

-- The database gives the id. Where it is an identity, one that a sender states is refused; an adopted table may have another
-- default, such as a random UUID, whose values nobody can tell from stated ones, so it is computed again. With the rights of
-- the owner, because a sender need not be allowed to use the sequence.
CREATE FUNCTION paper_decision_id() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    last_made   text;
    is_identity boolean;
    made_by     text;
BEGIN
    BEGIN
        last_made := currval(pg_get_serial_sequence(TG_RELID::regclass::text, 'id'));
    EXCEPTION WHEN object_not_in_prerequisite_state THEN
        last_made := NULL; -- this session has not been given one
    END;
    IF NEW.id::text = last_made THEN
        RETURN NEW;
    END IF;
    SELECT a.attidentity <> '', pg_get_expr(d.adbin, d.adrelid) INTO is_identity, made_by
    FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = TG_RELID AND a.attname = 'id';
    IF is_identity THEN
        RAISE EXCEPTION 'the id of a decision is given by the database; leave it out' USING ERRCODE = 'insufficient_privilege';
    ELSIF made_by IS NOT NULL THEN
        EXECUTE 'SELECT ' || made_by INTO NEW.id;
    END IF;
    RETURN NEW;
END $$;
REVOKE ALL ON FUNCTION paper_decision_id() FROM PUBLIC;
CREATE TRIGGER paper_decision_id BEFORE INSERT ON trading_decisions FOR EACH ROW
    WHEN (NOT has_table_privilege('trading_decisions'::regclass, 'TRIGGER WITH GRANT OPTION'))
    EXECUTE FUNCTION paper_decision_id();

-- The program names the order of a decision.
CREATE FUNCTION paper_decision_order() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the order of a decision is named by the program; leave order_id out' USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER paper_decision_order BEFORE INSERT ON trading_decisions FOR EACH ROW
    WHEN (NEW.order_id IS NOT NULL) EXECUTE FUNCTION paper_decision_order();

-- A key of an older row, whose sender is not known, is used for every sender. With the rights of the owner: who may insert need
-- not be allowed to read. Its body is parsed here, so a search path changes nothing.
CREATE FUNCTION paper_key_is_older(key text) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER BEGIN ATOMIC
    SELECT EXISTS (SELECT FROM trading_decisions d WHERE d.idempotency_key::text = $1 AND d.sent_by IS NULL);
END;
GRANT EXECUTE ON FUNCTION paper_key_is_older(text) TO PUBLIC;
CREATE FUNCTION paper_decision_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'duplicate key value violates unique constraint "idempotency_key was used before"'
        USING ERRCODE = 'unique_violation', CONSTRAINT = 'idempotency_key was used before', TABLE = TG_TABLE_NAME,
              SCHEMA = TG_TABLE_SCHEMA, DETAIL = 'A row from before senders were stored has it.';
END $$;
CREATE TRIGGER paper_decision_key BEFORE INSERT ON trading_decisions FOR EACH ROW
    WHEN (NEW.idempotency_key IS NOT NULL AND paper_key_is_older(NEW.idempotency_key::text))
    EXECUTE FUNCTION paper_decision_key();

-- Writers alone end a decision, but for a sender who cancels one of his own that is pending.
CREATE FUNCTION paper_decision_written() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF OLD.status = 'pending' AND NEW.status = 'cancelled' THEN
        IF OLD.sent_by <> session_user::text THEN
            RAISE EXCEPTION 'decision % was sent by %, who alone may cancel it', OLD.id, OLD.sent_by
                USING ERRCODE = 'insufficient_privilege';
        END IF;
        NEW.order_id := NULL;
        IF NEW.processed_at IS NOT NULL THEN
            EXECUTE format('SELECT %I.paper_now()', TG_TABLE_SCHEMA) INTO NEW.processed_at;
        END IF;
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the outcome of decision % is written by the program alone; its sender may cancel it while it is pending', OLD.id
        USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER paper_decision_written BEFORE UPDATE ON trading_decisions FOR EACH ROW
    WHEN ((NEW.status, NEW.outcome_reason, NEW.order_id, NEW.processed_at)
              IS DISTINCT FROM (OLD.status, OLD.outcome_reason, OLD.order_id, OLD.processed_at)
          AND NOT has_table_privilege('trading_decisions'::regclass, 'TRIGGER WITH GRANT OPTION'))
    EXECUTE FUNCTION paper_decision_written();

-- The setting paper.writer is anybody's, so it does not suffice any more.
DROP TRIGGER IF EXISTS paper_ended_decision_stays ON trading_decisions;
CREATE TRIGGER paper_ended_decision_stays BEFORE DELETE ON trading_decisions FOR EACH ROW
    WHEN (OLD.processed_at IS NOT NULL
          AND (current_setting('paper.writer', true) IS DISTINCT FROM 'PositionKeeper'
               OR NOT has_table_privilege('trading_decisions'::regclass, 'TRIGGER WITH GRANT OPTION')))
    EXECUTE FUNCTION paper_ended_decision_stays();
DROP TRIGGER IF EXISTS paper_decisions_stay ON trading_decisions;
CREATE TRIGGER paper_decisions_stay BEFORE TRUNCATE ON trading_decisions FOR EACH STATEMENT
    WHEN (current_setting('paper.writer', true) IS DISTINCT FROM 'PositionKeeper'
          OR NOT has_table_privilege('trading_decisions'::regclass, 'TRIGGER WITH GRANT OPTION'))
    EXECUTE FUNCTION paper_ended_decision_stays();

-- The guards of 0012, with the new columns.
DROP TRIGGER IF EXISTS paper_decision_ends_once ON trading_decisions;
CREATE TRIGGER paper_decision_ends_once BEFORE UPDATE ON trading_decisions FOR EACH ROW
    WHEN (OLD.processed_at IS NOT NULL
          AND (NEW.id, NEW.uid, NEW.portfolio, NEW.symbol, NEW.decision, NEW.confidence, NEW.risk_score, NEW.quantity,
               NEW.order_type, NEW.limit_price, NEW.stop_price, NEW.time_in_force, NEW.order_expires_at, NEW.post_only, NEW.reduce_only,
               NEW.stop_loss, NEW.stop_loss_pct, NEW.take_profit, NEW.take_profit_pct, NEW.target,
               NEW.take_profits, NEW.trail, NEW.trail_pct, NEW.trailing_stop, NEW.trailing_stop_pct,
               NEW.created_at, NEW.sent_by, NEW.received_at, NEW.status, NEW.outcome_reason, NEW.order_id, NEW.processed_at)
              IS DISTINCT FROM
              (OLD.id, OLD.uid, OLD.portfolio, OLD.symbol, OLD.decision, OLD.confidence, OLD.risk_score, OLD.quantity,
               OLD.order_type, OLD.limit_price, OLD.stop_price, OLD.time_in_force, OLD.order_expires_at, OLD.post_only, OLD.reduce_only,
               OLD.stop_loss, OLD.stop_loss_pct, OLD.take_profit, OLD.take_profit_pct, OLD.target,
               OLD.take_profits, OLD.trail, OLD.trail_pct, OLD.trailing_stop, OLD.trailing_stop_pct,
               OLD.created_at, OLD.sent_by, OLD.received_at, OLD.status, OLD.outcome_reason, OLD.order_id, OLD.processed_at))
    EXECUTE FUNCTION paper_decision_guard();
DROP TRIGGER IF EXISTS paper_decision_stands ON trading_decisions;
CREATE TRIGGER paper_decision_stands BEFORE UPDATE ON trading_decisions FOR EACH ROW
    WHEN (OLD.processed_at IS NULL
          AND (NEW.id, NEW.uid, NEW.portfolio, NEW.asset_class, NEW.symbol, NEW.decision, NEW.confidence, NEW.risk_score,
               NEW.quantity, NEW.strategy, NEW.order_type, NEW.limit_price, NEW.stop_price, NEW.time_in_force,
               NEW.order_expires_at, NEW.post_only, NEW.reduce_only, NEW.stop_loss, NEW.stop_loss_pct, NEW.take_profit, NEW.take_profit_pct,
               NEW.take_profits, NEW.trail, NEW.trail_pct, NEW.trailing_stop, NEW.trailing_stop_pct, NEW.target, NEW.created_at,
               NEW.sent_by, NEW.received_at, NEW.expires_at)
              IS DISTINCT FROM
              (OLD.id, OLD.uid, OLD.portfolio, OLD.asset_class, OLD.symbol, OLD.decision, OLD.confidence, OLD.risk_score,
               OLD.quantity, OLD.strategy, OLD.order_type, OLD.limit_price, OLD.stop_price, OLD.time_in_force,
               OLD.order_expires_at, OLD.post_only, OLD.reduce_only, OLD.stop_loss, OLD.stop_loss_pct, OLD.take_profit, OLD.take_profit_pct,
               OLD.take_profits, OLD.trail, OLD.trail_pct, OLD.trailing_stop, OLD.trailing_stop_pct, OLD.target, OLD.created_at,
               OLD.sent_by, OLD.received_at, OLD.expires_at))
    EXECUTE FUNCTION paper_decision_stands();

-- Where a change of a decision takes back an outcome that the program did not write, the reason of the new one, which keeps what
-- it was; else NULL. Such an outcome is executed or open, and names no order of its own. A decision that acts on other orders, as a
-- CANCEL, never rests, and may name any order of its portfolio.
CREATE FUNCTION paper_outcome_taken_back(tables text, before jsonb, after jsonb) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    outcome   CONSTANT text[]  := ARRAY['status', 'outcome_reason', 'order_id', 'processed_at'];
    on_others CONSTANT boolean := upper(btrim(before ->> 'decision')) IN ('CANCEL', 'AMEND', 'PROTECT');
    is_own    boolean;
BEGIN
    IF before ->> 'status' NOT IN ('executed', 'open') OR on_others AND before ->> 'order_id' IS NULL
       OR after ->> 'status' <> 'rejected' OR after ->> 'order_id' IS NOT NULL OR before - outcome <> after - outcome
       OR before ->> 'status' = 'executed' AND before -> 'processed_at' <> after -> 'processed_at' THEN
        RETURN NULL;
    END IF;
    EXECUTE format('SELECT EXISTS (SELECT FROM %1$I.paper_orders o JOIN %1$I.paper_trading_config c USING (portfolio)'
                   ' WHERE o.order_id = $1 AND c.name = $2 AND ($4 OR o.leg = 1 AND o.decision_id::text = $3))', tables)
        INTO is_own USING (before ->> 'order_id')::uuid, before ->> 'portfolio', before ->> 'id',
                          on_others AND before ->> 'status' = 'executed';
    IF is_own THEN
        RETURN NULL;
    END IF;
    RETURN format('invalid: the program did not write its outcome, which was: %s, order %s, %s',
                  before ->> 'status', before ->> 'order_id', before ->> 'outcome_reason');
END $$;

-- As in 0002 and 0011; in addition a writer may take such an outcome back.
CREATE OR REPLACE FUNCTION paper_decision_guard() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    reason text;
BEGIN
    IF TG_OP = 'INSERT' THEN
        RAISE EXCEPTION 'a decision begins as pending; leave status and processed_at out' USING ERRCODE = 'check_violation';
    END IF;
    IF has_table_privilege(TG_RELID, 'TRIGGER WITH GRANT OPTION') THEN
        EXECUTE format('SELECT %I.paper_outcome_taken_back($1, $2, $3)', TG_TABLE_SCHEMA) INTO reason
            USING TG_TABLE_SCHEMA::text, to_jsonb(OLD), to_jsonb(NEW);
    END IF;
    IF reason IS NULL THEN
        RAISE EXCEPTION 'decision % has ended (%) and never changes', OLD.id, OLD.status
            USING ERRCODE = 'check_violation';
    END IF;
    NEW.outcome_reason := reason;
    RETURN NEW;
END $$;
CREATE OR REPLACE FUNCTION paper_decision_rests() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    reason text;
BEGIN
    IF TG_OP = 'UPDATE' AND has_table_privilege(TG_RELID, 'TRIGGER WITH GRANT OPTION') THEN
        EXECUTE format('SELECT %I.paper_outcome_taken_back($1, $2, $3)', TG_TABLE_SCHEMA) INTO reason
            USING TG_TABLE_SCHEMA::text, to_jsonb(OLD), to_jsonb(NEW);
    END IF;
    IF reason IS NOT NULL THEN
        NEW.outcome_reason := reason;
        RETURN NEW;
    ELSIF OLD.status = 'open' THEN
        RAISE EXCEPTION 'decision % rests in the market; INSERT a CANCEL with target = ''%''', OLD.id, OLD.id
            USING ERRCODE = 'check_violation';
    END IF;
    RAISE EXCEPTION 'decision % becomes open by the program alone', OLD.id USING ERRCODE = 'check_violation';
END $$;
