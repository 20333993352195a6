"""What can be seen of the actors from outside, and asked of them."""
