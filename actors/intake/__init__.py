"""What the DecisionWatcher reads, and what it leaves in the table."""
