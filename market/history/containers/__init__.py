"""Readers of files: bytes of any usual container become tables of text, see `read_tables`."""
