"""Preparation before the first step: the platform, checks, messages to the user."""
