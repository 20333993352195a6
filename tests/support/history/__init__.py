"""Series of bars for tests."""
