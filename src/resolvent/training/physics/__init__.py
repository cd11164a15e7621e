"""What connects a network with an equation: physical units, linear systems, and steps of solvers inside of it."""
