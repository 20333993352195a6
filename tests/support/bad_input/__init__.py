"""Every kind of bad input, sent through each door of one running system; docs/bad-input.md says what happens."""
