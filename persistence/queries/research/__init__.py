"""What research reads of the database: prices for a strategy that runs live, and the decisions of a portfolio."""
