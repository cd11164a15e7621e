"""Every bad input ends in one message that says what was expected, what came and what to do: never in a traceback."""

import gzip
import pickle

import h5py
import numpy as np
import pytest
import scipy.io
import scipy.sparse as sp

from .conftest import laplacian

A = laplacian(4)


def write(folder, name):
    """Make the bad file of this name and return its path."""
    path = folder / name
    kind = path.name.partition(".")[0]
    if kind == "rectangular":
        scipy.io.mmwrite(path, sp.csr_array(A[:, :10]))
    elif kind == "empty":
        scipy.io.mmwrite(path, sp.csr_array((0, 0)))
    elif kind in ("nan", "infinite"):
        B = A.copy()
        B.data[1] = np.nan if kind == "nan" else np.inf
        scipy.io.mmwrite(path, B) if path.suffix == ".mtx" else sp.save_npz(path, B)
    elif kind == "infinite_dense":
        dense = A.toarray()
        dense[2, 3] = -np.inf
        np.save(path, dense)
    elif kind == "words":
        np.save(path, np.full((3, 3), "a"))
    elif kind == "objects":
        np.save(path, np.array([[1, None], [None, 1]], dtype=object), allow_pickle=True)
    elif kind == "garbage":
        path.write_bytes(b"this is not what its name says\n" * 20)
    elif kind == "cut":
        whole = folder / f"whole{''.join(path.suffixes)}"
        if path.suffix == ".gz":
            scipy.io.mmwrite(folder / "whole.mtx", A)
            whole.write_bytes(gzip.compress((folder / "whole.mtx").read_bytes()))
        elif path.suffix == ".mtx":
            scipy.io.mmwrite(whole, A)
        elif path.suffix == ".npz":
            sp.save_npz(whole, A)
        else:
            with h5py.File(whole, "w") as file:
                file["A"] = np.eye(100)
        content = whole.read_bytes()
        path.write_bytes(content[: len(content) // 2])
    elif kind == "cube":
        np.save(path, np.zeros((2, 2, 2)))
    elif kind == "wild":  # an index far outside, which a compiled kernel would follow
        with h5py.File(path, "w") as file:
            file["data"], file["indices"] = A.data, np.where(A.indices == 3, 10**6, A.indices)
            file["indptr"], file["shape"] = A.indptr, A.shape
    elif kind == "shapeless":
        with h5py.File(path, "w") as file:
            file["data"], file["indices"], file["indptr"] = A.data, A.indices, A.indptr
    elif kind == "nothing":
        h5py.File(path, "w").close()
    return path


@pytest.mark.parametrize(
    ("name", "keywords"),
    [
        ("missing.mtx", "no such file|check the spelling"),
        ("folder.mtx", "is a folder"),
        ("matrix.xlsx", "ends in .mtx|scipy"),
        ("rectangular.mtx", "square|16 x 10|lsqr"),
        ("empty.mtx", "empty|0 x 0"),
        ("nan.mtx", "not finite|row 0, column 1|NaN"),
        ("infinite.npz", "not finite|inf|row 0, column 1"),
        ("infinite_dense.npy", "not finite|-inf|row 2, column 3"),
        ("words.npy", "expected numbers|<U1"),
        ("objects.npy", "Python objects|run code"),
        ("cube.npy", "two dimensions|(2, 2, 2)"),
        ("garbage.mtx", "cannot be read as MatrixMarket"),
        ("garbage.npz", "NumPy|garbage.npz"),
        ("garbage.h5", "cannot be read as HDF5"),
        ("garbage.npy", "cannot be read as NumPy|does not start as one"),
        ("cut.mtx", "cannot be read as MatrixMarket|cut short"),
        ("cut.mtx.gz", "cannot be read as MatrixMarket|cut short"),
        ("cut.npz", "cannot be read as NumPy|cut short"),
        ("cut.h5", "cannot be read as HDF5|cut short"),
        ("wild.h5", "inconsistent"),
        ("shapeless.h5", "lacks its shape"),
        ("nothing.h5", "found none|indptr"),
    ],
)
def test_matrix(refused, tmp_path, name, keywords):
    if name == "folder.mtx":
        (tmp_path / name).mkdir()
    message = refused(2, keywords, "solve", write(tmp_path, name))
    assert name in message


def test_pickles_are_never_loaded(refused, tmp_path):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("a pickle was executed",))

    path = tmp_path / "bomb.npy"
    path.write_bytes(pickle.dumps(Bomb()))
    refused(2, "bomb.npy", "solve", path)


@pytest.mark.parametrize(
    ("b", "keywords"),
    [
        (np.ones(9), "shape (16,) or (16, k)|found (9,)"),
        (np.ones((1, 16)), "found (1, 16)|transpose"),
        (np.ones((16, 2, 2)), "found (16, 2, 2)"),
        (np.ones((16, 0)), "found (16, 0)"),
        (np.full(16, "x"), "expected numbers"),
        (np.array([1.0] * 5 + [np.nan] + [1.0] * 10), "not finite|row 5"),
    ],
    ids=["short", "transposed", "cube", "no columns", "words", "nan"],
)
def test_right_hand_side(refused, tmp_path, b, keywords):
    scipy.io.mmwrite(tmp_path / "A.mtx", A)
    np.save(tmp_path / "b.npy", b)
    refused(2, f"b.npy|{keywords}", "solve", tmp_path / "A.mtx", tmp_path / "b.npy")


@pytest.mark.parametrize(
    ("options", "keywords"),
    [
        (["--solver", "gmrs"], "unknown solver|'gmrs'|did you mean gmres|direct"),
        (["--preconditioner", "jacoby"], "unknown preconditioner|did you mean jacobi|amg"),
        (["--rtol", "-1"], "rtol|-1"),
        (["--rtol", "1.5"], "rtol|1.5|1e-8"),
        (["--rtol", "nan"], "rtol|nan"),
        (["--rtol", "small"], "--rtol|--help"),
        (["--maxiter", "-3"], "maxiter|-3"),
        (["--atol", "-1"], "atol|-1"),
        (["--solver", "direct", "--preconditioner", "ilu"], "Direct takes no preconditioner"),
        (["--solver", "gmres", "--option", "restrat=3"], "no option 'restrat'|did you mean restart"),
        (["--solver", "gmres", "--option", "restart"], "key=value|--option restart=50"),
        (["--solver", "gmres", "--option", "restart=abc"], "restart must be a whole number|'abc'"),
        (["--solver", "gmres", "--option", "restart=0.5"], "restart must be a whole number|0.5"),
        (["--solver", "direct", "--option", "ordering=none"], "ordering must be one of auto, band"),
        (["--solver", "gmres", "--option", "rtol=5"], "rtol is given by --rtol|write --rtol 5"),
        (["--option", "atol=5"], "atol is given by --atol"),
        (["--solver", "gmres", "--option", "maxiter=5"], "maxiter is given by --maxiter"),
        (["--out", ""], "no file name"),
        (["--option", "restart=3"], "--solver"),
        (["--key", "A"], "leave --key out"),
        (["--out", "x.txt"], "ends in .npy"),
        (["--plot", "x.doc"], "ends in .png"),
        (["--out", "nowhere/x.npy"], "no folder|mkdir"),
        (["--nonsense"], "no such option|--help"),
    ],
    ids=" ".join,
)
def test_options_of_solve(refused, tmp_path, options, keywords):
    scipy.io.mmwrite(tmp_path / "A.mtx", A)
    refused(2, keywords, "solve", tmp_path / "A.mtx", *options)


def test_an_input_is_never_overwritten(refused, tmp_path):
    scipy.io.mmwrite(tmp_path / "A.mtx", A)
    before = (tmp_path / "A.mtx").read_bytes()
    refused(2, "also an input", "solve", tmp_path / "A.mtx", "--out", tmp_path / "A.mtx")
    assert (tmp_path / "A.mtx").read_bytes() == before


def test_ambiguous_archives_list_their_names(refused, matrices):
    refused(2, "2 arrays|A, other|--key", "solve", matrices / "two.npz")
    refused(2, "no array 'B'|A, other", "solve", matrices / "two.npz", "--key", "B")
    refused(2, "dense|systems/first|--key", "solve", matrices / "both.h5")
    refused(2, "no dataset or group 'C'|dense", "solve", matrices / "both.h5", "--key", "C")
    refused(2, "neither a dataset nor", "solve", matrices / "both.h5", "--key", "systems")


@pytest.mark.parametrize(
    ("arguments", "keywords"),
    [
        (["dracy"], "unknown family 'dracy'|darcy|resolvent families"),
        (["darcy", "--resolution", "2"], "resolution|at least 4|got 2|resolvent families darcy2d"),
        (["darcy", "--resolution", "-5"], "resolution|-5"),
        (["darcy", "--resolution", "many"], "--resolution|integer"),
        (["darcy", "--n", "0"], "n must be|0"),
        (["darcy", "--n", "-4"], "n must be|-4"),
        (["darcy", "--rtol", "0"], "rtol|0.0"),
        (["darcy", "--rtol", "7"], "rtol|7"),
        (["darcy", "--seed", "-1"], "seed|-1"),
        (["darcy", "--workers", "0"], "workers|0"),
        (["darcy", "--chunk", "0"], "chunk|0"),
        (["darcy", "--solver", "cgamg"], "unknown solver|did you mean cg+amg"),
        (["darcy", "--dtype", "float16"], "dtype|float64|float16"),
        (["darcy", "--on-failure", "ignore"], "on_failure|flag|ignore"),
        (["darcy", "--grid", "hexagonal"], "grid|cell|hexagonal"),
        (["darcy", "--preset", "skrr"], "preset|'skr'|fno_lognormal"),
        (["darcy", "--option", "colour=red"], "no option 'colour'|resolution"),
        (["darcy", "--option", "colour"], "key=value"),
        (["darcy", "--option", "grid=cell", "--grid", "cell"], "twice"),
        (["darcy", "--out", "/proc/none/x.h5"], "/proc|choose another output"),
        (["darcy", "--out", "FILE/x.h5"], "choose another output"),
        (["darcy", "--out", "FOLDER"], "folder"),
        (["darcy", "--out", "FILE.h5"], "not a dataset of this package|not an HDF5 file|Nothing was overwritten"),
        (["darcy", "--out", "FILE"], "ends in .h5 or .hdf5"),
        (["darcy", "--out", "x.txt"], "x.txt|ends in .h5 or .hdf5"),
        (["darcy", "--out", ""], "no file name|darcy.h5"),
        (["darcy", "--rtol", "-1"], "rtol|between 0 and 1|-1.0"),
        (["darcy", "--n", str(10**15)], "do not fit|needed|free|nothing was written"),
        (["darcy", "--resolution", str(10**8)], "one sample would take|100000000 × 100000000|lower the resolution"),
        ([], "missing argument 'FAMILY'"),
    ],
    ids=" ".join,
)
def test_generate(refused, tmp_path, monkeypatch, arguments, keywords):
    monkeypatch.chdir(tmp_path)
    for name in ("FILE", "FILE.h5"):
        (tmp_path / name).write_text("precious")
    (tmp_path / "FOLDER").mkdir()
    if "--resolution" not in arguments and arguments:
        arguments = [*arguments, "--resolution", "8"]
    refused(2, keywords, "generate", *arguments)
    assert {(tmp_path / name).read_text() for name in ("FILE", "FILE.h5")} == {"precious"}
    assert {path.name for path in tmp_path.iterdir()} == {"FILE", "FILE.h5", "FOLDER"}, "nothing is left behind"


def test_generate_refuses_a_tolerance_before_it_warns_of_it(refused, tmp_path):
    message = refused(2, "1e+300", "generate", "darcy", "--rtol", "1e300", "--out", tmp_path / "d.h5")
    assert "warning" not in message


def test_generate_on_a_full_disk(refused, tmp_path, monkeypatch):
    import errno
    import os

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    refused(2, "full|free some space", "generate", "darcy", "-n", 2, "-r", 8, "--out", tmp_path / "d.h5")
    assert not (tmp_path / "d.h5").exists()


COMMANDS = {"describe": [], "verify": [], "plot": [], "reproduce": ["--index", "0"]}


@pytest.mark.parametrize("command", COMMANDS)
def test_missing_dataset(refused, tmp_path, command):
    refused(2, "no dataset|nothere.h5|check the spelling", command, tmp_path / "nothere.h5", *COMMANDS[command])


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("damage", ["garbage", "empty", "cut", "foreign", "folder"])
def test_damaged_dataset(run, dataset_path, tmp_path, command, damage):
    path = tmp_path / "bad.h5"
    if damage == "garbage":
        path.write_bytes(b"not HDF5 at all" * 100)
    elif damage == "cut":
        content = dataset_path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
    elif damage == "empty":
        path.touch()
    elif damage == "foreign":
        with h5py.File(path, "w") as file:
            file["A"] = np.eye(3)
    else:
        path.mkdir()
    result = run(command, path, *COMMANDS[command])
    assert result.exit_code == (1 if (command, damage) == ("verify", "cut") else 2)
    assert "Traceback" not in result.output and "bad.h5" in result.output
    words = {"garbage": "not an HDF5 file", "cut": "cut short", "folder": "folder"}
    assert words.get(damage, "") in result.stderr
    assert damage == "cut" or "not a dataset of this package" in result.stderr


@pytest.mark.parametrize("index", [12, 10**9, -1])
def test_index_out_of_range(refused, dataset_path, index):
    for command in ("reproduce", "plot"):
        refused(2, f"{index}", command, dataset_path, "--index", index, *(["--out", "x.png"] * (command == "plot")))


def test_plot_refuses_more_samples_than_fit(refused, dataset_path, tmp_path):
    indices = [word for i in range(9) for word in ("--index", i)]
    refused(2, "1 to 8", "plot", dataset_path, *indices, "--out", tmp_path / "x.png")


def test_unknown_family_shown(refused):
    refused(2, "unknown family 'dracy2d'|darcy2d", "families", "dracy2d")


def test_unknown_command(refused):
    refused(2, "no such command|solve", "sovle")
