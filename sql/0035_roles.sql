-- Roles that send decisions, read, or serve, so that none of them needs to own the tables; and which rows a sender sees.

-- What each role may do. `run.py db role` writes it; an upgrade and a restore give the rights of these roles anew. A role belongs to
-- the whole server, so it may be gone.
CREATE TABLE paper_roles (
    name    text        PRIMARY KEY,
    sends   boolean     NOT NULL,
    reads   boolean     NOT NULL,
    serves  boolean     NOT NULL,
    made_at timestamptz NOT NULL DEFAULT paper_now(),
    CONSTRAINT "a role sends, reads or serves" CHECK (sends OR reads OR serves)
);

-- A role that only sends decisions sees its own ones and their orders, and nobody else's. The policies count from the first such
-- role on: `run.py db role create` then enables row security. It never concerns the owner of the tables.

-- Whether the role of this session sees all rows. With the rights of its owner: who sends need not be allowed to read the roles. The
-- body is parsed here, so a search path changes nothing.
CREATE FUNCTION paper_sees_all() RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER BEGIN ATOMIC
    SELECT NOT EXISTS (SELECT FROM paper_roles r WHERE r.name = session_user::text AND r.sends AND NOT r.reads AND NOT r.serves);
END;
GRANT EXECUTE ON FUNCTION paper_sees_all() TO PUBLIC;

-- Every role as before, where the table has no row security of its own: an adopted one may have it, and keeps it.
DO $$ BEGIN
    IF NOT (SELECT relrowsecurity FROM pg_class WHERE oid = 'trading_decisions'::regclass) THEN
        CREATE POLICY paper_all ON trading_decisions USING (true) WITH CHECK (true);
    END IF;
END $$;
CREATE POLICY paper_own ON trading_decisions AS RESTRICTIVE FOR SELECT
    USING ((SELECT paper_sees_all()) OR sent_by = session_user::text);
CREATE POLICY paper_all ON paper_orders USING (true) WITH CHECK (true);
CREATE POLICY paper_own ON paper_orders AS RESTRICTIVE FOR SELECT
    USING ((SELECT paper_sees_all()) OR EXISTS (SELECT FROM trading_decisions d WHERE d.id = decision_id));
