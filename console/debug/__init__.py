"""The debug console: its server in the service, and its client in another terminal."""
