"""Orders that rest: their terms, what they hold back, their matching with market data, and their end."""
