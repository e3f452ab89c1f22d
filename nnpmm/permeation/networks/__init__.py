"""Networks that predict the free energy of permeation: training, evaluation, model cards."""
