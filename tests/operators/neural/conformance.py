"""Small models of every name, for the tests that run over all of them."""

from resolvent.operators.neural import build

SMALL = {
    "fno": {"n_modes": [6, 6], "width": 6, "layers": 2},
    "fno:line": {"n_modes": [6], "width": 6, "layers": 2},
    "fno:space": {"n_modes": [4, 4, 4], "width": 4, "layers": 1},
    "tfno": {"n_modes": [6, 6], "width": 6, "layers": 2, "rank": 0.5},
    "tfno:joint": {"n_modes": [6, 6], "width": 6, "layers": 2, "weights": "cp", "rank": 0.5, "joint": True},
    "mgtfno": {"n_modes": [6, 6], "width": 6, "layers": 2},
    "monarch": {"n_modes": [6, 6], "width": 6, "layers": 2, "root": 4},
    "mgno": {"width": 4, "layers": 2, "smoothing": [1, 1, 2]},
    "mgno:periodic": {"width": 4, "layers": 2, "smoothing": [1, 2], "boundary": "periodic", "norm": True},
    "attention": {"width": 8, "heads": 2, "layers": 2},
    "attention:softmax": {"width": 8, "heads": 2, "layers": 1, "form": "softmax"},
    "deeponet": {"modes": 6, "width": 8, "layers": 2, "sensors": 5},
    "deeponet:integral": {"modes": 6, "width": 8, "layers": 2, "sensors": 3, "sensing": "integral"},
    "pod_deeponet": {"grid": [17, 20], "modes": 5, "width": 8, "layers": 2, "sensors": 5},
}
"""Options that make each model small; a name may stand here several times, with a comment after a colon."""

GRID = (17, 20)


def small(case, c_in=2, c_out=1):
    """Return the model of a case."""
    return build(case.partition(":")[0], c_in=c_in, c_out=c_out, **SMALL[case])


def grid_of(case):
    """Return a grid on which a case works."""
    dim = len(SMALL[case].get("n_modes", GRID))
    return {1: (17,), 2: GRID, 3: (9, 10, 8)}[dim]
