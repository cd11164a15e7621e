"""Methods that carry a subspace from one system to the next."""
