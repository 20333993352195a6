"""How people look in, and how they start: the commands of ``run.py``."""
