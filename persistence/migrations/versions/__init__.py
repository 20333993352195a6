"""One revision for each file of ``sql/``; those of version 0.1.0 have a folder of their own."""
