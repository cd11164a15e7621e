"""How good a trained model is: errors on grids, over time and by frequency, as tables and pictures."""
