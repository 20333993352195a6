"""What a portfolio achieved: returns, round trips, ratios, and the report made of them."""
