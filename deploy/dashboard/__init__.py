"""Grafana's dashboard, put together from what is easier to read than its JSON: ``python -m deploy.dashboard``."""
