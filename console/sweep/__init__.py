"""Sweeps on the command line: their run, and their result on the screen, as JSON and as a page."""
