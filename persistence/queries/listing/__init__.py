"""Lists of rows and their filters."""
