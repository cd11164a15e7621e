"""scipy's own tests of its iterative solvers, run against our functions of the same names.

The test modules of the installed scipy are executed with our functions in the place of scipy's wherever they import
one, also where a table of solvers holds them; nothing else in them is changed. Cases that cannot hold stand in a table
with the reason, and must fail: an entry that is no longer needed is an error.
"""

import contextlib
import importlib.util
import re
import sys
import types
import warnings
from pathlib import Path

import numpy as np
import pytest
import scipy
import scipy.sparse.linalg as spla
import scipy.sparse.linalg._isolve as isolve

import resolvent

NAMES = ["bicg", "bicgstab", "cg", "cgs", "gcrotmk", "gmres", "lgmres", "lsmr", "lsqr", "minres", "qmr", "tfqmr"]
MODULES = ["iterative", "gcrotmk", "lgmres", "lsqr", "lsmr", "minres"]
FOLDER = Path(isolve.__file__).parent / "tests"
if not FOLDER.is_dir():
    pytest.skip("this build of scipy comes without its tests", allow_module_level=True)

# Pattern of the case -> why it must fail. The number is how many cases match.
LEFT_OUT = {
    r"test_maxiter\[((rand|nonsym|sym-nonpd).*-(gcrotmk|lgmres)|(neg-)?poisson1d(-F)?-gcrotmk)\]": (
        38,
        "wants a failure after one cycle, which solves these systems: see the test of scipy's false failures below",
    ),
    r"test_convergence\[sym-nonpd-(bicg|bicgstab|qmr|tfqmr)\]": (
        4,
        "wants a breakdown: ours chooses another shadow vector and solves the system",
    ),
    r"test_show\[case(20|21)\]": (2, "wants the iteration limit to be reached: ours solves the system"),
    r"TestGMRES::test_callback$": (1, "wants norms of M (b − A x): ours preconditions on the right"),
}

# test_precond_inverse allows three products for all solvers. Ours recompute the residual before the first iteration
# and after the last, which these two, with two products an iteration, do not fit in.
FOUR_PRODUCTS = ("bicg", "cgs")


@contextlib.contextmanager
def substituted():
    """Put our functions into the modules that scipy's tests import theirs from."""
    theirs = {(module, name): getattr(module, name) for module in (spla, isolve) for name in NAMES}
    try:
        for module, name in theirs:
            setattr(module, name, getattr(resolvent, name))
        vars(pytest.mark)["fail_slow"] = lambda seconds: lambda test: test  # a mark of scipy's pytest plugin
        yield
    finally:
        del vars(pytest.mark)["fail_slow"]
        for (module, name), function in theirs.items():
            setattr(module, name, function)


def load(name):
    """Execute a test module of scipy with our functions."""
    spec = importlib.util.spec_from_file_location(f"scipy_suite.{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # test_lsmr imports from .test_lsqr
    with substituted(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        spec.loader.exec_module(module)
    return module


def collected(module):
    """Return the tests of a module as the attributes of a class; none is expected to fail, as scipy expects of one."""
    tests = {}
    for name, thing in vars(module).items():
        if name.startswith("test") and isinstance(thing, types.FunctionType):
            thing.pytestmark = [mark for mark in getattr(thing, "pytestmark", ()) if mark.name != "xfail"]
            tests[name] = staticmethod(thing)
        elif name.startswith("Test"):
            tests[name] = thing
    return tests


state = np.random.get_state()  # noqa: NPY002 - test_lsqr draws its problem from the global generator
np.random.seed(0)  # noqa: NPY002
loaded = {name: load(f"test_{name}") for name in MODULES}
np.random.set_state(state)  # noqa: NPY002

iterative = loaded["iterative"]
solver, case = iterative.solver, iterative.case  # the fixtures that its functions ask for
# scipy excuses lgmres from a test on all machines, by a slip in the list of those where it should run.
iterative.platform = types.SimpleNamespace(machine=lambda: "aarch64")
for mark in iterative.test_precond_inverse.pytestmark:
    for system in mark.args[1]:
        system.skip = [*system.skip, *(getattr(resolvent, name) for name in FOUR_PRODUCTS)]

TestIterative, TestGCROTMK, TestLGMRES, TestLSQR, TestLSMR, TestMINRES = (
    type(f"Test{name}", (), collected(module)) for name, module in loaded.items()
)
del mark, system


def entry(item):
    """Return the pattern of the table that a test matches."""
    return next((pattern for pattern in LEFT_OUT if re.search(pattern, item.nodeid)), None)


@pytest.fixture(autouse=True)
def _left_out(request):
    pattern = entry(request.node)
    if pattern is not None:
        request.node.add_marker(pytest.mark.xfail(reason=LEFT_OUT[pattern][1], strict=True))


def test_the_functions_under_test_are_ours():
    assert [function.__module__.split(".")[0] for function in iterative._SOLVERS] == ["resolvent"] * 10
    for name in NAMES:
        assert getattr(spla, name).__module__.startswith("scipy"), "scipy was left as it was"
    assert loaded["lsqr"].lsqr is resolvent.lsqr and loaded["lsmr"].lsmr is resolvent.lsmr


def test_few_cases_are_left_out_and_all_of_them_exist(request):
    ours = [item for item in request.session.items if item.path == Path(__file__) and "::Test" in item.nodeid]
    if len({item.cls for item in ours}) < len(MODULES):
        pytest.skip("only part of this file was selected")
    found = [pattern for pattern in map(entry, ours) if pattern]
    assert {pattern: found.count(pattern) for pattern in LEFT_OUT} == {p: n for p, (n, _) in LEFT_OUT.items()}
    print(f"scipy {scipy.__version__}: {len(ours) - len(found)} cases of its tests run, {len(found)} are left out")


@pytest.mark.parametrize("name", ["gcrotmk", "lgmres"])
def test_the_failures_that_scipy_reports_after_one_cycle_are_false(name):
    for case in iterative.cases:
        if case.solver is getattr(resolvent, name) and case.convergence:
            A, b, calls = case.A, case.b, []
            options = {"x0": 0 * b, "rtol": 1e-12, "maxiter": 1}
            x, info = case.solver(A, b, callback=calls.append, **options)
            assert len(calls) == 1
            solved = np.linalg.norm(b - A @ x) <= 1e-12 * np.linalg.norm(b)
            assert (info == 0) == solved
            assert info in (0, 1)
            theirs, code = getattr(spla, name)(A, b, **options)
            assert code == 1, "whatever the residual"
            assert (np.linalg.norm(b - A @ theirs) < 1e-10 * np.linalg.norm(b)) == solved
