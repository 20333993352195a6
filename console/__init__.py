"""Command line, screens and interfaces of the service."""
