"""Molecules as graphs: a network that learns from their geometries, and predicts properties."""
