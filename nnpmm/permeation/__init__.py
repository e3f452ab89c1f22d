"""Membrane permeation from short coarse-grained simulations."""
