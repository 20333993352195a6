"""What the rules of one decision cost, without actors and a database."""
