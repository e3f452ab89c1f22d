"""Free energies of membrane permeation from short coarse-grained simulations."""
