"""What every neural operator promises."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest
import torch

from resolvent.operators.neural import MODELS, build, count_params

_spec = importlib.util.spec_from_file_location("neural_conformance", Path(__file__).with_name("conformance.py"))
conformance = importlib.util.module_from_spec(_spec)
sys.modules["neural_conformance"] = conformance
_spec.loader.exec_module(conformance)
SMALL, small, grid_of = conformance.SMALL, conformance.small, conformance.grid_of

cases = pytest.mark.parametrize("case", list(SMALL))


@pytest.fixture(autouse=True)
def _seed():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def test_every_model_has_a_case():
    assert {case.partition(":")[0] for case in SMALL} == set(MODELS)


@cases
def test_every_parameter_is_real_and_has_a_gradient(case):
    model = small(case)
    x = torch.randn(2, 2, *grid_of(case))
    model(x).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert not parameter.is_complex(), name
        assert parameter.grad is not None and bool(torch.isfinite(parameter.grad).all()), name
        assert float(parameter.grad.abs().max()) > 0.0, name


@cases
@pytest.mark.parametrize("channels", [(1, 1), (3, 2)])
def test_any_channels_and_sizes(case, channels):
    c_in, c_out = channels
    model = small(case, c_in, c_out)
    dim = len(grid_of(case))
    for n in (model.minimum_grid, max(model.minimum_grid, 15), 24):
        grid = (n, n + 1, n)[:dim]
        y = model(torch.randn(2, c_in, *grid))
        assert y.shape == (2, c_out, *grid)
        assert bool(torch.isfinite(y).all())


@cases
def test_options_build_the_same_model_again(case):
    model = small(case)
    options = json.loads(json.dumps(model.options))
    again = type(model)(**options)
    again.load_state_dict(model.state_dict())
    x = torch.randn(2, 2, *grid_of(case))
    with torch.no_grad():
        assert torch.equal(model(x), again(x))
    assert again.options == model.options
    assert count_params(model, complex_as_one=True) <= count_params(model)


@cases
def test_double_precision_and_samples_are_independent(case):
    model = small(case).double().eval()
    x = torch.randn(3, 2, *grid_of(case), dtype=torch.float64)
    with torch.no_grad():
        together, alone = model(x), model(x[1:2])
    assert together.dtype == torch.float64
    assert float((together[1:2] - alone).abs().max()) <= 1e-12


@cases
def test_wrong_fields_are_refused(case):
    model = small(case)
    grid = grid_of(case)
    with pytest.raises(ValueError, match="2 input channels, got 3"):
        model(torch.zeros(1, 3, *grid))
    with pytest.raises(ValueError, match=r"needs fields of shape \(samples, channels"):
        model(torch.zeros(2, *grid))
    if model.minimum_grid > 1:
        with pytest.raises(ValueError, match=f"at least {model.minimum_grid} points a side"):
            model(torch.zeros(1, 2, *(model.minimum_grid - 1 for _ in grid)))


@cases
def test_function_space_is_stated(case):
    assert len(MODELS[case.partition(":")[0]].model.function_space) > 20


def test_unknown_names_and_options():
    with pytest.raises(ValueError, match=r"no model 'fnoo' \(did you mean 'fno'\?\)"):
        build("fnoo", c_in=1, c_out=1)
    with pytest.raises(ValueError, match="fno has no option depth: expected some of c_in, c_out, n_modes"):
        build("fno", c_in=1, c_out=1, depth=3)
    with pytest.raises(ValueError, match="c_in must be a whole number of at least 1, got 0"):
        build("fno", c_in=0, c_out=1)


@pytest.mark.parametrize("name", list(MODELS))
def test_a_program_takes_any_number_of_samples(name):
    model = small(name).eval()
    x = torch.randn(3, 2, *grid_of(name))
    free = ({0: torch.export.Dim("samples", min=1, max=64)},)
    program = torch.export.export(model, (x,), dynamic_shapes=free).module()
    more = torch.randn(5, 2, *grid_of(name))
    with torch.no_grad():
        for given in (x, more):
            assert float((program(given) - model(given)).abs().max()) <= 1e-6
