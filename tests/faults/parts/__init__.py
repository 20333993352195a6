"""The parts of the proof, each of which does one kind of harm."""
