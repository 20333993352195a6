"""Parts of a report besides its metrics: comparisons, curves by group, reconciliation, reasoning."""
