"""Series that are longer than the memory: their rows lie on disk, and are read a piece at a time."""
