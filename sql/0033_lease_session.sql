-- The lease belongs to a session of the server, which this row names. Only a role that may update it can have the lease.
ALTER TABLE paper_lease_renewal ADD COLUMN session_pid integer;
ALTER TABLE paper_lease_renewal ADD COLUMN session_start timestamptz;
ALTER TABLE paper_lease_renewal ADD COLUMN session_role oid;
-- Whether that session has renewed the lease: a start that is not through, an upgrade or a restore has not.
ALTER TABLE paper_lease_renewal ADD COLUMN serving boolean NOT NULL DEFAULT false;
