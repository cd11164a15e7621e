"""Which method solves the systems of a set: by rule, or for each chunk by what earlier ones took."""
