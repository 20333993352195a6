"""Where prices come from: simulation and recorded files; an exchange fits behind the same interface."""
