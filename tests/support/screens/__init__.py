"""Every command on one fixed database at one fixed time, as terminals of any width show it."""
