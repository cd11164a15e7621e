"""Pairs of fields on a grid: where they come from, where their points lie, and the scale that a network sees."""
