"""What a settings file may hold, and how it is read."""
