-- The reason of a halt by the audit begins with "audit: ", and such a halt stops even exits: no other halt may look like one.

-- NOT VALID: it is for new rows, and no old one is read.
ALTER TABLE paper_halts ADD CONSTRAINT "a reason that begins with audit: is for halts by the audit"
    CHECK (NOT halted OR by_whom = 'audit' OR NOT starts_with(reason, 'audit: ')) NOT VALID;
