"""Source of Grafana's dashboard; ``python -m deploy.dashboard`` writes its JSON file."""
