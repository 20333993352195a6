"""What dialects look at to recognise a file: its first rows, the words of its header, its name."""
