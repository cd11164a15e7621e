"""Messages name the options of the command that was typed."""

import pytest
import typer

import resolvent.training  # noqa: F401 - settings of training are known once it is loaded
from resolvent.cli.app import app
from resolvent.cli.wording import in_options

COMMANDS = typer.main.get_command(app).commands


@pytest.mark.parametrize(
    ("command", "message", "expected"),
    [
        ("train", "another folder, or resume=False to begin anew", "another folder, or --restart to begin anew"),
        ("train", "is not known: give y_normaliser='none'", "is not known: give --set y_normaliser=none"),
        ("train", "build it with c_in=2, or", "build it with --option c_in=2, or"),
        ("train", "take batch_size=8.", "take --batch-size 8."),
        ("generate", "discard it with overwrite=True.", "discard it with --overwrite."),
        ("generate", "marked with on_failure='flag'", "marked with --on-failure flag"),
        ("generate", "needs scheme='bdf1' or 'bdf2'", "needs --option scheme=bdf1 or 'bdf2'"),
        ("generate", "darcy2d needs grid='cell' or grid='vertex'", "darcy2d needs --grid cell or --grid vertex"),
        ("evaluate", "or resume=False", "or resume=False"),  # no option of it says so
        ("solve", "use it with SSOR(rtol=1.5)", "use it with SSOR(rtol=1.5)"),
        ("train", "runs/lr=0.1/last.pt is damaged", "runs/lr=0.1/last.pt is damaged"),
        ("train", "nothing=here", "nothing=here"),
        ("train", "leave out compile=True, or", "leave out --compile, or"),
        ("train", "with compile=False", "with compile=False"),  # neither an option nor a setting says so
        ("train", "runs/x lr=3.5/last.pt is damaged", "runs/x lr=3.5/last.pt is damaged"),
        ("train", "take f(g(1), lr=3) or lr=2", "take f(g(1), lr=3) or --lr 2"),
        ("train", "f(a(1), b(c(2), lr=4), lr=3), f(lr=2", "f(a(1), b(c(2), lr=4), lr=3), f(--lr 2"),
    ],
)
def test_names_become_options(command, message, expected):
    assert in_options(message, COMMANDS[command]) == expected


@pytest.mark.parametrize("typed", ["x lr=3.5", "--out=x lr=3.5", "./x lr=3.5"])
def test_what_was_typed_stays(typed):
    words = ["train", typed, "--epochs", "3"]
    message = "x lr=3.5 holds best.pt: take lr=2, or another folder"
    assert in_options(message, COMMANDS["train"], words) == "x lr=3.5 holds best.pt: take --lr 2, or another folder"
