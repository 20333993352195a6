"""Whether results are good enough for real money: criteria, evidence, verdicts."""
