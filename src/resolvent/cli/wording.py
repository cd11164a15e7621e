"""Messages of the library in the words of the command line: `resume=False` is `--restart` to who typed a command."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_INVERSE = {"resume": "--restart"}
"""What the negation of an argument is called where an option says the opposite."""

_CALL = re.compile(r"\w\(")
_GIVEN = re.compile(
    r"(?<![\w./=-])([a-z_]+)=('[^']*'|\"[^\"]*\"|\[[^\]]*\]|…|[A-Za-z0-9_]+(?:[.+-][A-Za-z0-9_]+)*)"
    r"(?![\w/]|[.+-]\w)"
)


def in_options(text: str, command: Any, typed: Iterable[str] = ()) -> str:
    """Return a message with ``name=value`` replaced where it stands for an option of a command.

    Calls such as ``SSOR(omega=1.5)`` stay as they are, and so do names that are no option, and what was typed: it may
    be the name of a file.

    Parameters
    ----------
    text : str
    command : click.Command
        The one that was run.
    typed : iterable of str
        Words of the command line.
    """
    # A name that Python or its functions have taken ends in an underscore there.
    options = {p.name.rstrip("_"): p for p in command.params if p.param_type_name == "option"}
    further = {"--set": _settings() if "setting" in options else set()}
    further["--option"] = _options_of(command.name) if "option" in options else set()
    kept = [*_calls(text), *_places(text, typed)]

    def spelt(match: re.Match[str]) -> str:
        name, value = match[1], match[2].strip("'\"")
        if any(begin <= match.start() < end for begin, end in kept):
            return match[0]
        if name in _INVERSE and _INVERSE[name] in _spellings(options.values()) and value == "False":
            return _INVERSE[name]
        if name in options:
            longest = max(options[name].opts, key=len)
            if options[name].is_flag:
                return longest if value == "True" else match[0]
            return longest if value == "…" else f"{longest} {value}"
        for option, names in further.items():
            if name in names:
                return f"{option} {name}={value}"
        return match[0]

    return _GIVEN.sub(spelt, text)


def _calls(text: str) -> list[tuple[int, int]]:
    """Return begin and end of the arguments of every call, however deep others are nested in them."""
    spans = []
    for match in _CALL.finditer(text):
        depth = 0
        for i in range(match.end() - 1, len(text)):
            depth += (text[i] == "(") - (text[i] == ")")
            if depth == 0:
                spans.append((match.end(), i))
                break
    return spans


def _places(text: str, typed: Iterable[str]) -> list[tuple[int, int]]:
    """Return begin and end of what was typed, wherever a message has it; of ``--option=value`` the value."""
    words = {word.partition("=")[2] if word.startswith("--") else word for word in typed}
    words = {word for word in words | {str(Path(word)) for word in words if word} if "=" in word}
    return [match.span() for word in words for match in re.finditer(re.escape(word), text)]


def _spellings(options: Iterable[Any]) -> set[str]:
    return {spelling for option in options for spelling in option.opts}


def _loaded(module: str) -> Any:
    """Return a module of the package if it was loaded: otherwise no message can be about what it defines."""
    return sys.modules.get(f"{__name__.partition('.')[0]}.{module}")


def _settings() -> set[str]:
    """Return the names of `resolvent train --set`."""
    config = _loaded("training.config")
    return set() if config is None else set(config.TrainingConfig.__dataclass_fields__)


def _options_of(command: str) -> set[str]:
    """Return the names that --option of a command may have: of models, or of families."""
    if command == "train":
        models = _loaded("operators.neural")
        classes = [] if models is None else [entry.model for entry in models.MODELS.values()]
        return {name for cls in classes for name in inspect.signature(cls).parameters}
    families = _loaded("datasets.families")
    classes = [] if command != "generate" or families is None else families.available().values()
    return {name for cls in classes for name in cls.__dataclass_fields__}
