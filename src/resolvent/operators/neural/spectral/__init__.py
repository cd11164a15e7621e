"""Spectral convolutions: multipliers of retained Fourier modes, whole or as tensor factorisations."""
