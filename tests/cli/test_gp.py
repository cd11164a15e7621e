"""`resolvent gp`."""

from resolvent.datasets.multiscale import MULTISCALE


def test_a_problem_is_solved_beside_the_classical_method(run, tmp_path):
    picture = tmp_path / "u5.png"
    result = run("gp", "u5", "--plot", str(picture))
    assert result.exit_code == 0, result.output
    lines = {line.split("  ")[0]: line for line in result.stdout.splitlines()}
    assert "features" in lines["method"] and "Chebyshev points" in lines["classical"]
    assert float(lines["true error"].split()[2]) < 1e-10
    assert picture.stat().st_size > 10_000


def test_adam_and_grids_can_be_asked_for(run):
    result = run("gp", "u1", "--method", "adam", "-n", "220", "--updates", "3")
    assert result.exit_code == 0, result.output
    assert "updates     3" in result.stdout
    kernel = run("gp", "v1", "--method", "kernel", "-n", "70")
    assert kernel.exit_code == 0 and "kernels" in kernel.stdout


def test_problems_are_listed(run):
    result = run("gp", "list")
    assert result.exit_code == 0
    assert all(name in result.stdout for name in MULTISCALE)


def test_bad_input(refused):
    refused(2, "no problem 'u9'|choose one of u1", "gp", "u9")
    refused(2, "no method|auto", "gp", "u1", "--method", "magic")
    refused(2, "beyond Nyquist", "gp", "u5", "-n", "50")
    refused(2, "updates", "gp", "u1", "--updates", "-1")
    refused(2, "features are for one axis", "gp", "u7", "--method", "features")
