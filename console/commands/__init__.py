"""The commands of run.py, a module each."""
