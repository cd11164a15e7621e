"""Numerical schemes that families share: finite volumes, finite elements, pseudo-spectral and implicit steps."""
