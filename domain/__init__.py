"""The rules of trading: pure values and functions, without I/O, threads, wall clock or randomness of their own."""
