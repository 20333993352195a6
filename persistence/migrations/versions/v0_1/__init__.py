"""The revisions of version 0.1.0."""
