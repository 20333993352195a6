"""One revision for each file of ``sql/``."""
