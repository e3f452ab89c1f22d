"""What happens before the first step: the platform, the checks, what is said to the user."""
