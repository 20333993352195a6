"""The live view of run.py top."""
