"""What a settings file may contain, and how it is read."""
