"""What grows in the database: sizes, thinning of prices, and what TimescaleDB does about it."""
