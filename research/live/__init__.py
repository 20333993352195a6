"""A strategy live: bars from the prices that the service has stored, decisions by the ordinary intake."""
