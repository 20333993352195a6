"""The report on a portfolio's results, as a page, in a terminal, as files and as JSON."""
