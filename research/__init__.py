"""Research: strategies on the prices of the past, by the rules of the live system."""
