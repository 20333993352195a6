"""Market data of the past: files that people have, the program's own history, and downloads."""
