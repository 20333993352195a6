"""What can be asked of a running service, and done to it: used by every interface."""
