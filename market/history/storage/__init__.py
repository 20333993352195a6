"""Files of the history store: their names, their manifests, merging, and exports."""
