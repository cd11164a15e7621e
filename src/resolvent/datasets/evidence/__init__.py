"""What is checked and stored about samples, matrices and discretisations, and how it is checked again."""
