"""The loaders of The Well and of neuraloperator read what is exported, and get the numbers that were written.

They run in processes of their own, with `.venv/foreign` on the path. PDEBench's loaders have no release that installs,
and a licence of their own: its files are checked in test_round_trips and by test_verify_foreign.
"""

import json

import numpy as np
import pytest

from resolvent.datasets import export, verify

from .conftest import SETS

WELL = """
import json, pathlib, sys
import numpy as np
from the_well.data import DeltaWellDataset, WellDataset
from the_well.data.normalization import RMSNormalization, ZScoreNormalization

job = json.loads(sys.argv[1])
out = {}
for name, (folder, n_in, n_out) in job.items():
    common = dict(path=folder, n_steps_input=n_in, n_steps_output=n_out)
    train = WellDataset(**common, well_split_name="train")
    parts = {split: WellDataset(**common, well_split_name=split) for split in ("train", "valid", "test")}
    scaled = WellDataset(
        **common, well_split_name="train", use_normalization=True, normalization_type=ZScoreNormalization
    )
    rms = WellDataset(**common, well_split_name="train", use_normalization=True, normalization_type=RMSNormalization)
    if n_in:
        DeltaWellDataset(
            **common, well_split_name="train", use_normalization=True, normalization_type=ZScoreNormalization
        )[0]
    item = train[1]
    np.savez(pathlib.Path(folder) / "loaded.npz", **{k: v.numpy() for k, v in item.items()})
    np.savez(pathlib.Path(folder) / "scaled.npz", **{k: v.numpy() for k, v in scaled[1].items()})
    meta = train.metadata
    out[name] = {
        "lengths": {split: len(part) for split, part in parts.items()},
        "finite": bool(all(np.isfinite(v.numpy()).all() for v in rms[0].values())),
        "fields": sum(meta.field_names.values(), []),
        "constant_fields": sum(meta.constant_field_names.values(), []),
        "constant_scalars": meta.constant_scalar_names,
        "boundaries": sorted(meta.boundary_condition_types),
        "trajectories": meta.n_trajectories_per_file,
    }
print(json.dumps(out))
"""


def test_the_well_loads_every_family(ours, run_foreign, tmp_path):
    job = {}
    for name in SETS:
        for steady in ("fields", "limit"):
            folder = tmp_path / f"{name}-{steady}"
            export(ours(name), "the_well", folder, steady=steady)
            moving = "t" in ours(name).axes or steady == "limit" or name == "heat2d_step"
            job[f"{name}-{steady}"] = (str(folder), int(moving), 1)
    loaded = json.loads(run_foreign(WELL, json.dumps(job)).splitlines()[-1])
    for key, (folder, n_in, _) in job.items():
        name, steady = key.rsplit("-", 1)
        dataset, found = ours(name), loaded[key]
        windows = len(dataset.axes["t"]) if "t" in dataset.axes else 1
        for split, length in found["lengths"].items():
            assert length == windows * len(dataset.split(split)), key
        assert found["finite"] and found["trajectories"] == [len(dataset.split("train"))]
        # Sample 1 of the loader: another window of the first trajectory, or the second trajectory.
        sample = dataset.split("train")[1 // windows]
        frame = 1 % windows
        item, scaled = (np.load(f"{folder}/{file}.npz") for file in ("loaded", "scaled"))
        outputs = [f for f, spec in dataset.fields.items() if spec.role == "solution"]
        channels = []
        for field in outputs:
            values = sample[field][frame] if "t" in dataset.axes else sample[field]
            channels += [values.real, values.imag] if np.iscomplexobj(values) else [values]
        expected = np.stack(channels, axis=-1).astype(np.float32)
        np.testing.assert_array_equal(item["output_fields"][0], expected, err_msg=key)
        if n_in:
            assert item["input_fields"].shape == (1, *expected.shape)
            if steady == "limit" and "t" not in dataset.axes and name != "heat2d_step":
                assert not item["input_fields"].any()
        grids = np.meshgrid(*[a for k, a in dataset.axes.items() if k != "t"], indexing="ij")
        np.testing.assert_allclose(item["space_grid"], np.stack(grids, axis=-1), rtol=1e-6)
        train = dataset.split("train")
        for i, field in enumerate(outputs):
            if dataset.fields[field].kind != "complex" and "t" not in dataset.axes and not n_in:
                column = train.column(field)
                np.testing.assert_allclose(
                    scaled["output_fields"][0, ..., i], (expected[..., i] - column.mean()) / column.std(), atol=1e-3
                )


TRAINER = """
import json, sys
from the_well.data import WellDataModule

module = WellDataModule(
    well_base_path=sys.argv[1], well_dataset_name="dummy", batch_size=4, use_normalization=True, data_workers=0,
    n_steps_input=1, n_steps_output=1,
)
batch = next(iter(module.train_dataloader()))
print(json.dumps({k: list(v.shape) for k, v in batch.items()}))
"""


def test_the_trainers_data_module_reads_the_limit_form(ours, run_foreign, tmp_path):
    # Names of its own sets are all it takes, and "dummy".
    export(ours("darcy2d"), "the_well", tmp_path / "dummy", steady="limit", name="dummy")
    shapes = json.loads(run_foreign(TRAINER, tmp_path).splitlines()[-1])
    assert shapes["input_fields"] == shapes["output_fields"] == [4, 1, 16, 16, 1]
    assert shapes["constant_fields"] == [4, 16, 16, 1]


PAIRS = """
import json, sys
import numpy as np
from neuralop.data.datasets import DarcyDataset, PTDataset

out = {}
for name, (folder, resolution, squeezed, n_train, n_test) in json.loads(sys.argv[1]).items():
    loaded = PTDataset(
        root_dir=folder, dataset_name=name, n_train=n_train, n_tests=[n_test], batch_size=2, test_batch_sizes=[2],
        train_resolution=resolution, test_resolutions=[resolution], encode_input=True, encode_output=True,
        channels_squeezed=squeezed,
    )
    tests = loaded.test_dbs[resolution]
    np.savez(
        f"{folder}/loaded.npz", train_x=loaded.train_db.x, train_y=loaded.train_db.y, test_x=tests.x, test_y=tests.y,
        mean=loaded.data_processor.out_normalizer.mean,
    )
    out[name] = len(loaded.train_db), len(tests)
darcy = DarcyDataset(
    root_dir=sys.argv[2], n_train=24, n_tests=[3], batch_size=2, test_batch_sizes=[2], train_resolution=16,
    test_resolutions=[16], download=False,
)
out["DarcyDataset"] = list(darcy.train_db[0]["x"].shape)
print(json.dumps(out))
"""


def test_neuraloperator_loads_every_family(ours, run_foreign, tmp_path):
    job = {}
    for name in SETS:
        dataset, folder = ours(name), tmp_path / name
        exported = export(dataset, "neuraloperator", folder, name=name)
        record = json.loads(exported.files[-1].read_text())
        resolution = len(next(axis for key, axis in dataset.axes.items() if key != "t"))
        counts = (len(dataset.split("train")), len(dataset.split("test")))
        job[name] = (str(folder), resolution, record["channels_squeezed"], *counts)
    export(ours("darcy2d"), "neuraloperator", tmp_path / "stock", name="darcy")
    found = json.loads(run_foreign(PAIRS, json.dumps(job), tmp_path / "stock").splitlines()[-1])
    assert found.pop("DarcyDataset") == [1, 16, 16]
    for name, (folder, _, squeezed, n_train, n_test) in job.items():
        assert found[name] == [n_train, n_test]
        dataset, loaded = ours(name), np.load(f"{folder}/loaded.npz")
        solution = next(f for f, spec in dataset.fields.items() if spec.role == "solution")
        for split in ("train", "test"):
            y = loaded[f"{split}_y"]
            expected = dataset.split(split).column(solution).astype(np.complex64)
            frames = len(dataset.axes["t"]) if "t" in dataset.axes else 1
            first = y[:, 0] if squeezed else y[:, :frames]
            np.testing.assert_array_equal(first.reshape(expected.shape), expected.real, err_msg=name)
            assert loaded[f"{split}_x"].shape[0] == len(expected) and loaded[f"{split}_x"].dtype == np.float32


@pytest.mark.parametrize("module", ["the_well", "neuralop"])
def test_they_are_on_nobodys_path_but_these(module, run_python):
    done = run_python("-c", f"import importlib.util as u; print(u.find_spec({module!r}) is None)")
    assert done.stdout.strip() == "True", done.stderr


def test_the_file_that_the_well_shows_as_an_example_departs_from_its_specification(run_foreign, tmp_path):
    code = "import sys; from the_well.utils.dummy_data import write_dummy_data; write_dummy_data(sys.argv[1])"
    run_foreign(code, tmp_path / "dummy.h5")
    report = verify(tmp_path / "dummy.h5")
    found = {problem.field for problem in report.problems}
    assert {"dimensions/time", "dimensions/x", "boundary_conditions/x_periodic"} <= found
    assert report.checks["numbers"] == "finite, no constant solution" and report.samples == 2
