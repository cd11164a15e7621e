"""`resolvent generate`: options, the certificate table, resuming, refusing, and Ctrl-C."""

import json
import re

import numpy as np
import pytest

from resolvent import datasets
from resolvent.cli import generate as command
from resolvent.datasets.methods.strategies import STRATEGIES
from resolvent.datasets.ordering import ORDERINGS

from .conftest import interrupt_when


def generate(run, out, *options, n=6, resolution=8):
    return run("generate", "darcy", "--n", n, "--resolution", resolution, "--chunk", 2, "--out", out, *options)


def test_certificate_table(run, tmp_path):
    out = tmp_path / "d.h5"
    result = generate(run, out)
    assert result.exit_code == 0, result.output
    with datasets.open(out) as dataset:
        rho = dataset.certificates["rho_float64"]
        assert f"worst {rho.max():.2e}, median {np.median(rho):.2e}, tolerance 1.0e-08" in result.stdout
        assert dataset.content_sha256 in result.stdout
    assert "6 of 6, 0 failed" in result.stdout and "iterations  median" in result.stdout
    assert re.search(r"cost +parameters \d+ %.*solve \d+ %.*verification \d+ %", result.stdout)
    assert str(out) in result.stdout and "samples/s" in result.stdout


def test_explain_says_which_method_and_why_and_makes_nothing(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("generate", "darcy", "--resolution", 64, "--explain")
    assert result.exit_code == 0, result.output
    text = " ".join(result.stdout.split())
    assert "method multigrid" in text and "4096 unknowns, 2-D, positive definite" in text
    assert "estimated multigrid" in text and "direct" in text and "members=16" in text
    assert list(tmp_path.iterdir()) == []
    named = " ".join(run("generate", "darcy", "--explain", "--solver", "cg+amg").stdout.split())
    assert "method cg+amg" in named and "why requested" in named


def test_the_help_names_all_strategies_and_orders():
    assert tuple(STRATEGIES) == command.STRATEGIES
    assert tuple(ORDERINGS) == command.ORDERS


def test_an_order_is_taken_said_and_part_of_what_a_set_is(run, refused, tmp_path):
    out = tmp_path / "d.h5"
    result = generate(run, out, "--order", "greedy", "--solver", "gcrodr")
    assert result.exit_code == 0, result.output
    for text in (result.stdout, run("describe", out).stdout):
        assert re.search(r"order +greedy, in each chunk", text) and "ordering" in text
    with datasets.open(out) as dataset:
        assert dataset.config["order"] == "greedy"
    assert "identical in every bit" in run("reproduce", out, "--index", 5).stdout
    message = refused(2, "unknown order 'greed'", "generate", "darcy", "-n", 2, "--out", out, "--order", "greed")
    assert "did you mean greedy" in message
    refused(2, "marches by itself", "generate", "advection", "-n", 2, "--out", tmp_path / "a.h5", "--order", "fft")


def test_a_tuned_set_says_which_method_made_what_and_can_be_replayed(run, refused, tmp_path):
    out, again = tmp_path / "d.h5", tmp_path / "again.h5"
    result = generate(run, out, "--solver", "tuned", n=12)
    assert result.exit_code == 0, result.output
    with datasets.open(out) as dataset:
        shares, digest = dataset.shares, dataset.content_sha256
    assert len(shares) >= 2 and sum(share.chunks for share in shares) == 6
    described = run("describe", out).stdout
    for share in shares:
        row = re.compile(rf"{re.escape(share.arm)} +{share.chunks} +{share.samples} +[0-9.]+ m?s +\S")
        assert row.search(result.stdout) and row.search(described)
    assert "tuned (each chunk by what earlier chunks took" in result.stdout
    assert digest in generate(run, again, "--replay", out, "--workers", 2, n=12).stdout
    target = (*("generate", "darcy", "-r", 8, "--chunk", 2), "--out", tmp_path / "no.h5", "--replay")
    refused(2, "decides 6 chunks of 2, enough for 12 samples|without replay", *target, out, "-n", 13)
    refused(2, "another configuration and cannot be replayed|seed: 0 there, 4 requested", *target, out, "--seed", 4)
    refused(2, "nothing to replay", *target, tmp_path / "none.h5")
    refused(2, "--replay takes the methods|leave --solver out", *target, out, "--solver", "direct")


def test_explain_lists_the_arms(run):
    text = " ".join(run("generate", "darcy", "--resolution", 64, "--explain", "--solver", "tuned").stdout.split())
    assert "method tuned" in text and "arms multigrid, cg+fft" in text and "multigrid:half" in text


def test_options_reach_the_dataset(run, tmp_path):
    out = tmp_path / "deep" / "d.h5"
    options = ["--grid", "vertex", "--preset", "skr", "--option", "source=grf", "--seed", 5, "--rtol", 1e-6]
    result = generate(run, out, *options, "--solver", "cg+ssor", "--dtype", "float32", "--on-failure", "flag")
    assert result.exit_code == 0, result.output
    assert "in float32  residual worst" in result.stdout
    with datasets.open(out) as dataset:
        config = dataset.config
    assert config["family"] == {
        "family": "darcy2d",
        "resolution": 8,
        "grid": "vertex",
        "coefficient": "skr",
        "source": "grf",
    }
    assert config["seed"] == 5 and config["rtol"] == 1e-6 and config["chunk"] == 2
    assert config["solver"] == "cg+ssor" and config["dtype"] == "float32"


def test_default_file_is_named_after_the_family(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("generate", "darcy", "-n", 2, "-r", 8).exit_code == 0
    assert (tmp_path / "darcy.h5").is_file()


def test_workers_do_not_change_the_content(run, tmp_path):
    one, two = (generate(run, tmp_path / f"{w}.h5", "--workers", w).stdout for w in (1, 2))
    checksum = re.compile(r"SHA-256 ([0-9a-f]{64})")
    assert checksum.findall(one) == checksum.findall(two) != []


def test_same_command_again_finds_all_samples_and_a_larger_n_extends(run, tmp_path):
    out = tmp_path / "d.h5"
    generate(run, out)
    before = out.read_bytes()
    again = generate(run, out)
    assert again.exit_code == 0 and "were there already" in again.stdout
    assert out.read_bytes() == before
    more = generate(run, out, n=8)
    assert more.exit_code == 0 and "2 made" in more.stdout and "resuming: 6 of 8" in more.stderr


def test_other_configuration_is_refused_with_the_difference(run, refused, tmp_path):
    out = tmp_path / "d.h5"
    generate(run, out)
    before = out.read_bytes()
    message = refused(
        2, "another configuration|--overwrite", "generate", "darcy", "-n", 6, "-r", 16, "--seed", 9, "--chunk", 2,
        "--option", "source=grf", "--out", out,
    )  # fmt: skip
    rows = {tuple(line.split()) for line in message.splitlines()}
    assert {("--resolution", "8", "16"), ("--seed", "0", "9"), ("source", "one", "grf")} <= rows
    assert ("option", "there", "requested") in rows
    assert out.read_bytes() == before
    replaced = generate(run, out, "--seed", 9, "--overwrite")
    assert replaced.exit_code == 0 and datasets.open(out).config["seed"] == 9


def test_the_method_is_no_difference_of_its_own(run, refused, tmp_path):
    generate(run, tmp_path / "d.h5")
    message = refused(
        2, "--rtol|another configuration", "generate", "darcy", "-n", 6, "-r", 8, "--chunk", 2, "--rtol", 1e-6, "--out",
        tmp_path / "d.h5",
    )  # fmt: skip
    assert not any(line.startswith("method") for line in message.splitlines()) and "Direct" not in message


def test_one_sample_is_not_many(run, tmp_path):
    out = tmp_path / "d.h5"
    assert ": 1 sample of darcy2d, 1 made" in generate(run, out, n=1).stdout
    assert ": the only sample of darcy2d was there" in generate(run, out, n=1).stdout
    assert "(1 sample in" in run("verify", out).stdout
    assert ": 1 sample of darcy2d" in run("describe", out).stdout
    assert "1 sample of its chunk" in run("reproduce", out, "--index", 0).stdout


def test_another_version_is_said_in_words(run, tmp_path, monkeypatch):
    from resolvent.datasets import provenance

    generate(run, tmp_path / "d.h5")
    monkeypatch.setattr(provenance, "commit", lambda: "other")
    monkeypatch.setattr(provenance.platform, "python_version", lambda: "3.99.0")
    message = generate(run, tmp_path / "d.h5", n=8).stderr
    assert "3.99.0 now" in message and "{" not in message


def test_uncertified_sample_is_1_and_names_it(refused, tmp_path):
    refused(
        1, "sample 0|seed 0|not certified|--on-failure flag|--solver", "generate", "darcy", "-n", 2, "-r", 8, "--rtol",
        1e-17, "--out", tmp_path / "d.h5",
    )  # fmt: skip


def test_flagged_samples_are_counted(run, tmp_path):
    result = generate(run, tmp_path / "d.h5", "--rtol", 1e-17, "--on-failure", "flag")
    assert result.exit_code == 0 and "0 of 6, 6 failed" in result.stdout


def journal_of(out):
    path = out.with_name(out.name + ".parts") / "journal.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_says_how_to_resume_and_the_same_command_resumes(run, start, tmp_path, workers):
    out = tmp_path / "d e.h5"  # a name that a shell must have in quotes
    options = ["darcy", "--n", 400, "--resolution", 48, "--chunk", 16, "--workers", workers, "--out", out.name]
    process = start("generate", *options, cwd=tmp_path)
    code, output, messages = interrupt_when(process, lambda: journal_of(out) >= 2)
    assert code == 130, (output, messages)
    assert output == "" and "Traceback" not in messages
    done = int(re.search(r"interrupted: (\d+) of 400 samples are on disk", messages)[1])
    assert 32 <= done < 400 and done % 16 == 0
    command = re.search(r"hint: resume with: (.*)", messages)[1]
    assert command.endswith(f"generate darcy --n 400 --resolution 48 --chunk 16 --workers {workers} --out 'd e.h5'")
    assert not out.exists()

    manifest = json.loads((tmp_path / "d e.h5.parts" / "manifest.json").read_text())
    assert manifest["n"] == 400
    if workers == 1:
        process = start("generate", *options, cwd=tmp_path)
        output, messages = process.communicate(timeout=120)
        assert process.returncode == 0, messages
        assert f"resuming: {done} of 400 samples are there" in messages
        assert f"{400 - done} made" in output and "400 of 400, 0 failed" in output


def test_ctrl_c_before_the_first_chunk_leaves_nothing(start, tmp_path):
    out = tmp_path / "d.h5"
    options = ["darcy", "--n", 100_000, "--resolution", 64, "--chunk", 50_000, "--out", out]
    process = start("generate", *options, cwd=tmp_path)
    folder = out.with_name("d.h5.parts")
    code, _, messages = interrupt_when(process, lambda: any(folder.glob("*.npy.*.tmp")))
    assert code == 130 and "interrupted: no chunk" in messages and "start again with: " in messages
    assert not list(tmp_path.iterdir())


def test_an_output_in_use_is_refused(run, refused, tmp_path, monkeypatch):
    from resolvent.datasets.storage.workspace import Workspace

    with Workspace(tmp_path / "d.h5"):
        refused(2, "another process", "generate", "darcy", "-n", 2, "-r", 8, "--out", tmp_path / "d.h5")
