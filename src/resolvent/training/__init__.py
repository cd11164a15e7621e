"""Training and evaluation of neural operators."""

if "." not in __name__:
    raise ImportError("import it as resolvent.training: training/ at the repository root is only a link")
