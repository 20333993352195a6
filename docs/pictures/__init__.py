"""The pictures of the documentation, drawn from what really ran: ``make pictures``."""
