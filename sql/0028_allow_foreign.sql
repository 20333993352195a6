-- Whether the portfolios of a validation run execute decisions of strategies that the run is not bound to. Otherwise these are
-- rejected. Neither count.
ALTER TABLE paper_validation_runs ADD COLUMN allow_foreign boolean NOT NULL DEFAULT false;
