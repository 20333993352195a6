"""The lines of the log files, for people: read from the end, filtered, and followed over rotations."""
