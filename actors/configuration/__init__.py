"""The parts of the settings: their types, sources, reference page, and what is masked."""
