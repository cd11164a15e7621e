"""Every Python block of the README runs, in order and in one namespace, and prints what the README shows."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

from .printed_output import differences

_BLOCK = re.compile(r"```python\n(.*?)```(?:\s*```text\n(.*?)```)?", re.DOTALL)


def test_readme_blocks_run_and_print_what_is_shown(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = _BLOCK.findall((repository / "README.md").read_text(encoding="utf-8"))
    assert len(blocks) >= 3, "the README should show a solve, the drop-in use and a dataset"
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {}
    for code, shown in blocks:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, "README.md", "exec"), namespace)
        wrong = differences(shown, printed.getvalue())
        assert not wrong, "\n".join(["README.md shows another output:", *wrong, "", printed.getvalue()])


def test_readme_names_files_that_exist(repository: Path) -> None:
    text = (repository / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", text)
    assert links
    missing = [link for link in links if not (repository / link).exists()]
    assert not missing, f"README.md links to files that do not exist: {missing}"
