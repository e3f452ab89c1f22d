"""The contents of a settings file, and how it is read."""
