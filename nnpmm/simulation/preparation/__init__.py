"""What happens before the first step: the platform, the checks, what the user is told."""
