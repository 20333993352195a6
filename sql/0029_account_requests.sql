-- Requests for accounts: a split of all portfolios at once, and the end of a request by its owner.

-- A split or redenomination without a portfolio is carried out for all that hold the symbol, in one transaction.
ALTER TABLE paper_account_requests
    ALTER COLUMN portfolio DROP NOT NULL,
    ADD CONSTRAINT "only a split or redenomination is of all portfolios"
        CHECK (portfolio IS NOT NULL OR kind IN ('split', 'redenomination')),
    DROP CONSTRAINT "status of a request must be pending, done or refused",
    ADD CONSTRAINT "status of a request must be pending, done, refused or cancelled"
        CHECK (status IN ('pending', 'done', 'refused', 'cancelled'));
ALTER TABLE paper_account_events
    DROP CONSTRAINT paper_account_events_request_id_key,
    ADD CONSTRAINT "a request becomes one event of a portfolio" UNIQUE (request_id, portfolio);

-- A request begins as pending, is ended once, by the PositionKeeper or cancelled by its owner, and never changes otherwise.
CREATE OR REPLACE FUNCTION paper_account_request_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.status <> 'pending' THEN
            RAISE EXCEPTION 'a request begins as pending; leave status, outcome and ended_at out' USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END IF;
    IF TG_OP = 'UPDATE' AND OLD.status = 'pending'
       AND to_jsonb(NEW) - ARRAY['status', 'outcome', 'ended_at'] = to_jsonb(OLD) - ARRAY['status', 'outcome', 'ended_at'] THEN
        IF current_setting('paper.writer', true) = 'PositionKeeper' THEN
            RETURN NEW;
        ELSIF NEW.status = 'cancelled' THEN
            NEW.outcome := coalesce(NEW.outcome, format('cancelled by %s', current_user));
            NEW.ended_at := clock_timestamp();
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'a request for an account never changes; cancel it, or insert another' USING ERRCODE = 'check_violation';
END $$;
