"""Settings of a run: the content of a settings file, and its reader."""
