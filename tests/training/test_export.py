"""Exported programs and ONNX graphs give what the model gives."""

import subprocess
import sys

import pytest
import torch

from resolvent.datasets.errors import StorageError
from resolvent.operators.neural import build
from resolvent.training.export import export_onnx, export_program, real_program

CASES = {
    "fno": ("fno", {"padding": 0.1, "norm": "instance"}),
    "tfno": ("tfno", {"rank": 0.5}),
    "joint": ("tfno", {"weights": "tt", "rank": 0.5, "joint": True}),
    "mgtfno": ("mgtfno", {}),
    "monarch": ("monarch", {"root": 4}),
    "many modes": ("fno", {"n_modes": [100, 4], "width": 2, "layers": 1}),
}


@pytest.fixture(autouse=True)
def _seed():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def made(case):
    name, options = CASES[case]
    model = build(name, **{"c_in": 2, "c_out": 1, "n_modes": [4, 4], "width": 4, "layers": 1, **options}).eval()
    grid = (110, 6) if case == "many modes" else (13, 16)
    return model, torch.randn(2, 2, *grid), torch.randn(5, 2, *grid)


def complex_nodes(program):
    graphs = [module.graph for module in program.graph_module.modules() if isinstance(module, torch.fx.GraphModule)]
    values = [node.meta.get("val") for graph in graphs for node in graph.nodes]
    return [value for value in values if isinstance(value, torch.Tensor) and value.is_complex()]


@pytest.mark.parametrize("case", ["tfno", "mgtfno"])
def test_program_takes_any_number_of_samples(case, tmp_path):
    model, example, x = made(case)
    model.train()
    export_program(model, example[:1], tmp_path / "model.pt2")
    assert model.training
    again = torch.export.load(tmp_path / "model.pt2").module()
    with torch.no_grad():
        for samples in (x, x[:1]):
            assert float((again(samples) - model(samples)).abs().max()) <= 1e-6
    assert [path.name for path in tmp_path.iterdir()] == ["model.pt2"]


def test_program_runs_in_a_fresh_process_without_the_package(tmp_path):
    model, example, x = made("fno")
    export_program(model, example, tmp_path / "model.pt2")
    torch.save({"x": x, "y": model(x).detach()}, tmp_path / "pair.pt")
    script = (
        "import sys, torch\n"
        "pair = torch.load('pair.pt', weights_only=True)\n"
        "y = torch.export.load('model.pt2').module()(pair['x'])\n"
        "assert 'resolvent' not in sys.modules\n"
        "print(float((y - pair['y']).abs().max().detach()))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=300
    )
    assert float(run.stdout) <= 1e-6


@pytest.mark.parametrize("case", list(CASES))
def test_real_programs_have_no_complex_numbers(case):
    model, example, x = made(case)
    program = real_program(model, example)
    assert not complex_nodes(program)
    with torch.no_grad():
        assert float((program.module()(x) - model(x)).abs().max()) <= 2e-6
    if case == "tfno":
        assert complex_nodes(torch.export.export(model, (example,))), "the check above could not fail"


def test_other_complex_parts_are_named():
    class Shift(torch.nn.Module):
        def forward(self, x):
            return torch.fft.irfft(torch.fft.rfft(x) * 1j, n=x.shape[-1])

    with pytest.raises(ValueError, match=r"Shift computes with complex numbers .*rfft"):
        real_program(Shift(), torch.zeros(2, 1, 8))


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    model, example, _ = made("fno")
    path = tmp_path / "model.pt2"
    path.write_bytes(b"old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("resolvent.datasets.storage.durable.os.fsync", fail)
    with pytest.raises(StorageError):
        export_program(model, example, path)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["model.pt2"]


def test_onnx_without_its_packages_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    model, example, _ = made("fno")
    with pytest.raises(ImportError, match=r'pip install "resolvent\[onnx\]"'):
        export_onnx(model, example, tmp_path / "model.onnx")


@pytest.mark.parametrize("case", ["fno", "joint", "mgtfno", "monarch"])
def test_onnx_gives_what_the_model_gives(case, tmp_path):
    onnx = pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    model, example, x = made(case)
    path = tmp_path / "model.onnx"
    export_onnx(model, example, path)
    graph = onnx.load(path).graph
    values = [*graph.input, *graph.output, *graph.value_info]
    types = {v.type.tensor_type.elem_type for v in values} | {i.data_type for i in graph.initializer}
    assert types <= {onnx.TensorProto.FLOAT, onnx.TensorProto.INT64, onnx.TensorProto.BOOL}
    assert not {"DFT", "STFT"} & {node.op_type for node in graph.node}
    session = runtime.InferenceSession(path.read_bytes())
    for samples in (x, x[:1]):
        (y,) = session.run(None, {session.get_inputs()[0].name: samples.numpy()})
        assert abs(y - model(samples).detach().numpy()).max() <= 2e-6
