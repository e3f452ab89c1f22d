"""From trajectories to answers: deviations, torsions, contacts, their errors, comparisons."""
