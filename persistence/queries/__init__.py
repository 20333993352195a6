"""Read models: what people, reports and metrics see of the database."""
