"""Settings files: YAML with bounds, errors in one line, and commented templates."""
