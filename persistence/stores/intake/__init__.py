"""What clients write into the table of decisions, and what they find there."""
