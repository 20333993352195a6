"""The parts of run.py demo."""
