"""Statistics of sweeps and reports: how much of a result is luck."""
