"""Queries and actions of a running service, used by every interface."""
