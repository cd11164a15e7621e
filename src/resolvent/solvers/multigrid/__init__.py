"""Geometric multigrid on boxes: one code for numpy and torch, for one system or many members at once."""
