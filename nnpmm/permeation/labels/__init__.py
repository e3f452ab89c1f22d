"""Free energies of moving a solute from water to the midplane of a bilayer."""
