"""Every kind of bad input, sent through each interface of one running system; docs/bad-input.md has the results."""
