"""Lists of rows: which of them are wanted, and how they are printed."""
