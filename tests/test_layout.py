"""The architecture, as assertions: where code lives, what may import what, and what no file may contain."""

import ast
import json
import re
import subprocess
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "resolvent"
FILES = sorted(PACKAGE.rglob("*.py"))
PARTS = ("operators", "solvers", "datasets", "training")
ORDER = (*PARTS, "cli")  # each may import those before it

# Slow to import, or optional: `import resolvent` must not load them.
HEAVY = ("torch", "petsc4py", "matplotlib", "pyamg", "numba", "mpi4py", "dask", "distributed")

# Optional back-end -> what the name of a file that imports it must contain.
NAMED_FOR = {
    "torch": ("torch",),
    "petsc4py": ("petsc",),
    "mpi4py": ("mpi", "petsc"),
    "dask": ("dask",),
    "distributed": ("dask",),
}
# Folders that are torch throughout, and are themselves loaded only when somebody asks for them.
ALL_TORCH = ("operators/neural/", "solvers/learned/", "training/")
# The folders of training: each may import those before it, and of the modules beside them only what all may.
TRAINING = ("data", "physics", "losses", "evaluation", "runs", "preconditioners")
TRAINING_FOR_ALL = ("errors", "schedules")


class Import(NamedTuple):
    """One imported name, with relative imports resolved: `from ..solvers import cg` gives `resolvent.solvers.cg`."""

    path: Path
    line: int
    name: str
    level: int  # the dots in front
    for_types_only: bool

    @property
    def where(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}"


def syntax(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imports(path: Path) -> Iterator[Import]:
    """Every import in a file, those inside functions included."""
    package = path.relative_to(PACKAGE.parent).parent.parts

    def visit(node: ast.AST, for_types_only: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(path, node.lineno, alias.name, 0, for_types_only)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            for alias in node.names:
                name = ".".join([*base, *([node.module] if node.module else []), alias.name])
                yield Import(path, node.lineno, name, node.level, for_types_only)
        elif isinstance(node, ast.Call) and called(node).endswith("import_module") and node.args:
            target = node.args[0]
            if isinstance(target, ast.Constant) and isinstance(target.value, str) and not target.value.startswith("."):
                yield Import(path, node.lineno, target.value, 0, for_types_only)
        guarded = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for field, value in ast.iter_fields(node):
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from visit(child, for_types_only or (guarded and field == "body"))

    yield from visit(syntax(path), False)


def called(node: ast.Call) -> str:
    """The dotted name of what is called, as written."""
    return ast.unparse(node.func)


def calls(path: Path) -> Iterator[tuple[str, ast.Call, str]]:
    for node in ast.walk(syntax(path)):
        if isinstance(node, ast.Call):
            yield called(node), node, f"{path.relative_to(ROOT)}:{node.lineno}"


def listed(offences: list[str]) -> str:
    return "\n  ".join(["", *offences])


# ---------------------------------------------------------------------------------------------------------------
# The root links and the guards behind them


def test_no_package_at_the_repository_root():
    assert not (ROOT / "__init__.py").exists(), "delete __init__.py at the repository root: pytest would import twice"


@pytest.mark.parametrize("part", PARTS)
def test_root_link_is_relative_and_resolves(part):
    link = ROOT / part
    remedy = f"restore it with: ln -sfn src/resolvent/{part} {part}"
    assert link.is_symlink(), f"{part} at the repository root is not a symbolic link; {remedy}"
    assert link.readlink() == Path("src/resolvent") / part, f"{part} points to {link.readlink()}; {remedy}"
    assert link.resolve() == PACKAGE / part
    assert (link / "__init__.py").is_file(), f"src/resolvent/{part}/__init__.py is missing"


@pytest.mark.parametrize("part", PARTS)
def test_root_link_is_stored_as_a_link_in_git(part):
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listing = subprocess.run(
        ["git", "ls-files", "-s", "--", part], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listing.returncode or not listing.stdout:
        pytest.skip(f"{part} is not tracked by git here")
    assert listing.stdout.startswith("120000 "), (
        f"git holds {part} as something other than a link (mode 120000): git rm -r --cached {part}, "
        f"ln -sfn src/resolvent/{part} {part}, git add {part}"
    )


@pytest.mark.parametrize("part", PARTS)
def test_bare_import_from_the_root_names_the_right_one(part, run_python):
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import {part}"
    outcome = run_python("-c", code)
    last_line = outcome.stderr.strip().splitlines()[-1] if outcome.stderr else ""
    assert outcome.returncode != 0 and last_line.startswith("ImportError") and f"resolvent.{part}" in last_line, (
        f"`import {part}` from the repository root must raise ImportError naming resolvent.{part}; put the guard\n"
        f'    if "." not in __name__:\n        raise ImportError("import it as resolvent.{part}: ...")\n'
        f"after the docstring of src/resolvent/{part}/__init__.py. It gave: {outcome.stderr or 'no error'}"
    )


@pytest.mark.parametrize("part", PARTS)
def test_guard_comes_before_every_import(part):
    """A guard behind `from .base import ...` would never be reached by a bare import."""
    body = syntax(PACKAGE / part / "__init__.py").body
    first = next(
        node
        for node in body
        if not isinstance(node, ast.Expr) and not (isinstance(node, ast.ImportFrom) and node.module == "__future__")
    )
    assert isinstance(first, ast.If) and ast.unparse(first.test) == "'.' not in __name__", (
        f"move the guard in src/resolvent/{part}/__init__.py up, to just after the docstring"
    )


def test_foreign_package_of_the_same_name_wins_from_the_root(run_python, tmp_path):
    stub = tmp_path / "datasets" / "__init__.py"
    stub.parent.mkdir()
    stub.write_text("")
    outcome = run_python("-c", "import datasets; print(datasets.__file__)", PYTHONPATH=str(tmp_path))
    assert outcome.stdout.strip() == str(stub), (
        "with PYTHONSAFEPATH=1, `import datasets` from the repository root must find the installed package of that "
        f"name; something puts the repository root on sys.path. It gave: {outcome.stdout}{outcome.stderr}"
    )


# ---------------------------------------------------------------------------------------------------------------
# What may import what


def test_imports_inside_the_package_are_relative():
    offences = [
        f"{i.where} imports {i.name}"
        for path in FILES
        for i in imports(path)
        if i.level == 0 and i.name.split(".")[0] == "resolvent"
    ]
    assert not offences, "write these as relative imports (from ..operators import ...):" + listed(offences)


def test_dependency_order_has_no_back_edges():
    """Modules beside the parts (resolvent/errors.py) are a foundation: all may import them, they import no part."""
    offences = []
    for path in FILES:
        here = path.relative_to(PACKAGE).parts[0]
        if path.parent == PACKAGE and path.stem in ("__init__", "__main__"):
            continue  # these gather everything
        rank = ORDER.index(here) if here in ORDER else -1
        for i in imports(path):
            if i.level == 0:
                continue
            target = i.name.split(".")[1]
            if target in ORDER:
                if ORDER.index(target) > rank:
                    offences.append(f"{i.where}: {here} imports {i.name}")
            elif target != "__version__" and not (PACKAGE / f"{target}.py").exists():
                offences.append(f"{i.where}: imports {target} from resolvent/__init__.py, which itself imports {here}")
    assert not offences, (
        f"parts may import only parts before them, in the order {' -> '.join(ORDER)}, inside functions too; "
        "move the code to the later part, or pass the object in:" + listed(offences)
    )


def test_every_part_has_a_place_in_the_order():
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and any(path.glob("*.py"))}
    assert folders <= set(ORDER), f"give {sorted(folders - set(ORDER))} a place in ORDER in this file"


def test_folders_of_training_have_an_order():
    offences = []
    for rank, folder in enumerate(TRAINING):
        for path in sorted((PACKAGE / "training" / folder).rglob("*.py")):
            for i in imports(path):
                if i.for_types_only or not i.name.startswith("resolvent.training."):
                    continue
                if i.name.split(".")[2] not in (*TRAINING[: rank + 1], *TRAINING_FOR_ALL):
                    offences.append(f"{i.where}: {folder} imports {i.name}")
    assert not offences, (
        f"folders of training may import only folders before them, in the order {' -> '.join(TRAINING)}, and "
        f"{', '.join(TRAINING_FOR_ALL)}; the other modules of training use the folders:" + listed(offences)
    )
    folders = {path.parent.name for path in (PACKAGE / "training").glob("*/__init__.py")}
    assert folders == set(TRAINING), f"give {sorted(folders ^ set(TRAINING))} a place in TRAINING in this file"


def test_optional_back_ends_stay_in_files_named_for_them():
    offences = []
    for path in FILES:
        inside = path.relative_to(PACKAGE).as_posix()
        for i in imports(path):
            back_end = i.name.split(".")[0]
            if i.level or i.for_types_only or back_end not in NAMED_FOR:
                continue
            if back_end == "torch" and inside.startswith(ALL_TORCH):
                continue
            if not any(word in path.stem for word in NAMED_FOR[back_end]):
                offences.append(f"{i.where} imports {back_end}")
    assert not offences, (
        "move these into a file whose name says which back-end it needs (_torch.py, petsc.py, _dask.py, _mpi.py) and "
        "import that file inside the function that needs it:" + listed(offences)
    )


def test_import_resolvent_is_light(run_python):
    code = f"import json, sys, resolvent; print(json.dumps([m for m in {HEAVY} if m in sys.modules]))"
    outcome = run_python("-c", code)
    assert outcome.returncode == 0, outcome.stderr
    loaded = json.loads(outcome.stdout)
    assert not loaded, (
        f"`import resolvent` loads {', '.join(loaded)}: import it inside the functions that use it "
        "(python -X importtime -c 'import resolvent' shows who asks for it)"
    )


def test_every_module_can_be_imported(run_python):
    """A file that no test imports would hide a broken import until somebody needs it."""
    names = [".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts) for path in FILES]
    names = [name.removesuffix(".__init__") for name in names if not name.endswith("__main__")]
    code = f"""
import importlib, json, traceback
failures = {{}}
for name in {names}:
    try:
        importlib.import_module(name)
    except ImportError as error:
        # A missing extra, reported with the line that installs it, is no fault of the file.
        if "resolvent[" not in str(error):
            failures[name] = traceback.format_exc()
print(json.dumps(failures))
"""
    outcome = run_python("-W", "error", "-c", code)
    assert outcome.returncode == 0, outcome.stderr
    failures = json.loads(outcome.stdout.splitlines()[-1])
    assert not failures, (
        "these modules cannot be imported; if an extra is missing, raise ImportError with the exact "
        'pip install "resolvent[...]" line:' + listed([f"{name}\n{trace}" for name, trace in failures.items()])
    )


# ---------------------------------------------------------------------------------------------------------------
# What no file may contain


def test_every_folder_is_a_package():
    folders = {path.parent for path in FILES}
    offences = [str(folder.relative_to(ROOT)) for folder in sorted(folders) if not (folder / "__init__.py").exists()]
    assert not offences, "add an __init__.py, or these folders will be missing from the wheel:" + listed(offences)


def test_no_file_over_400_lines():
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    offences = [f"{path.relative_to(ROOT)}: {length} lines" for path, length in lengths.items() if length > 400]
    assert not offences, "split these by algorithm or by concern (at most 400 lines a file):" + listed(offences)


def test_no_drawer_modules():
    drawers = {"utils", "util", "helpers", "helper", "common", "misc"}
    paths = [path for path in PACKAGE.rglob("*") if "__pycache__" not in path.parts and path.stem.strip("_") in drawers]
    assert not paths, "name these for what they hold:" + listed([str(path.relative_to(ROOT)) for path in paths])


def test_no_module_shadows_a_back_end():
    shadows = [path for path in FILES if path.stem in HEAVY]
    assert not shadows, "rename these (_torch.py, not torch.py):" + listed([str(p.relative_to(ROOT)) for p in shadows])


def test_library_does_not_print():
    offences = [
        where
        for path in FILES
        if "cli" not in path.relative_to(PACKAGE).parts[:1]
        for name, _, where in calls(path)
        if name == "print"
    ]
    assert not offences, "use logging.getLogger(__name__), or return the text; only cli prints:" + listed(offences)


def test_nothing_read_from_a_file_can_run_code():
    offences = []
    for path in FILES:
        offences += [
            f"{i.where} imports {i.name} by name: call it through its module, so that it can be checked"
            for i in imports(path)
            if i.level == 0 and i.name in ("pickle.load", "pickle.loads", "numpy.load", "torch.load")
        ]
        for name, node, where in calls(path):
            options = {k.arg: ast.unparse(k.value) for k in node.keywords}
            if re.fullmatch(r"c?[pP]ickle\.(loads?|Unpickler)|joblib\.load|dill\.loads?|cloudpickle\.loads?", name):
                # A copy made through pickle, as the conformance checks do, reads nothing from outside.
                if not re.fullmatch(r"pickle\.loads\(pickle\.dumps\(\w+\)\)", ast.unparse(node)):
                    offences.append(f"{where} calls {name}: store arrays in HDF5 or .npz instead")
            elif re.fullmatch(r"(np|numpy)\.load", name) and options.get("allow_pickle", "False") != "False":
                offences.append(f"{where} calls {name} with allow_pickle: store plain arrays, and leave it out")
            elif name == "torch.load" and options.get("weights_only") != "True":
                offences.append(f"{where} calls torch.load without weights_only=True")
    assert not offences, "a file from elsewhere must not be able to run code when it is read:" + listed(offences)


# ---------------------------------------------------------------------------------------------------------------
# Packaging


def test_package_is_marked_as_typed():
    assert (PACKAGE / "py.typed").is_file(), "restore the empty src/resolvent/py.typed: type checkers look for it"


def test_one_version_everywhere():
    import resolvent

    assert metadata.version("resolvent") == resolvent.__version__, (
        "the installed metadata is old: rm .venv/.installed-*, then make test"
    )
    citation = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    assert citation is not None and citation[1] == resolvent.__version__, (
        "bring the version in CITATION.cff to that of src/resolvent/__init__.py"
    )


def test_every_dependency_is_pinned():
    def normal(name: str) -> str:
        return re.sub(r"[-_.]+", "-", name).lower()

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [
        *project["dependencies"],
        *(line for extra in project["optional-dependencies"].values() for line in extra),
    ]
    names = {normal(re.match(r"[\w.-]+", line)[0]) for line in wanted}
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {normal(line.split("==")[0]) for line in lines if "==" in line and not line.startswith("#")}
    # scripts/petsc.sh takes the petsc4py that matches the PETSc of the machine.
    missing = sorted(names - pinned - {"petsc4py"})
    assert not missing, f"pin the tested versions in constraints.txt: {', '.join(missing)}"
