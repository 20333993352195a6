"""The books: rows of orders, fills, trades and positions, and the open orders as they are stored."""
