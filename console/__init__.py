"""What people start and see: the commands of ``run.py``, and what they print."""
