"""Masking of secrets, such as passwords, in whatever is printed, logged, stored or sent."""
