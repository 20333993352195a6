"""Alerts: how an alarm reaches people."""
