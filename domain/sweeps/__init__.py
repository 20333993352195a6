"""What a sweep over parameters stores: its plan, and its trials."""
