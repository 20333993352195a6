"""Measurements of research: sweeps and their verdicts."""
