"""What one actor reads and writes, each in a module of its own."""
