"""The dialects in which people have prices, one class each, and their `registry`."""
