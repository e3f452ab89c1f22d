"""The stages of a run: minimisation, warm-up, equilibration, production."""
