"""Settlement: what the market did to open orders while the program was away."""
