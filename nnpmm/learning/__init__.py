"""Regression on sequences of named features: data, splits, networks, training and errors."""
