"""What is wrong with a declaration, and on which line of the feature repository it stands."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from tastemaker import names
from tastemaker.errors import DataError

__all__ = ["DeclarationError", "Kind", "find_line", "located_failure"]

Kind = Literal["aggregation", "field", "input", "service", "entity"]


class DeclarationError(DataError):
    """A declaration cannot be executed; the message names view, part and remedy.

    Args:
        view: name of the view, service or entity.
        problem: what is wrong, and what to change.
        part: name of the aggregation, field or input; empty for the whole.
        kind: what the part is; or ``service`` or ``entity`` where ``view`` is one.
        line: where it stands, such as ``item_views.py:42``; empty until that is known.
    """

    def __init__(self, view: str, problem: str, *, part: str = "", kind: Kind = "field", line: str = "") -> None:
        whole = kind in {"service", "entity"}
        where = f"{kind if whole else 'view'} {view}" + (f", {kind} {part}" if part and not whole else "")
        super().__init__(f"{line}: {where}: {problem}" if line else f"{where}: {problem}")
        self.view, self.problem, self.part, self.kind = view, problem, part, kind

    def located(self, directory: Path) -> "DeclarationError":
        """The same, with the line if it is found in the files of a feature repository."""
        line = find_line(directory, self.view, self.part, self.kind)
        return DeclarationError(self.view, self.problem, part=self.part, kind=self.kind, line=line)


def find_line(directory: Path, view: str, part: str = "", kind: Kind = "field") -> str:
    """Where a declaration stands.

    Args:
        directory: the feature repository.
        view: name of a view, service or entity.
        part: name of an aggregation or field of it.
        kind: what the part is.

    Returns:
        ``file:line`` of the part, else of the view, else an empty text.
    """
    for path in sorted(directory.glob("*.py")):
        try:
            tree = ast.parse(path.read_text())
        except (OSError, SyntaxError, ValueError):
            continue
        for call in _calls(tree):
            if _name_of(call) == view and _called(call).lower() not in {"field", "aggregation"}:
                found = [inner for inner in _calls(call) if inner is not call and _name_of(inner) == part]
                found.sort(key=lambda inner: _called(inner).lower() != kind)
                return f"{path.name}:{(found or [call])[0].lineno}"
    return ""


def located_failure(output: str, directory: Path) -> str:
    """What Python or Feast itself refused, with the line of the feature repository at which it did.

    Args:
        output: of a process that failed, with its traceback.
        directory: the feature repository.

    Returns:
        ``file:line: message``; without a traceback through the repository, the end of the output.
    """
    lines = output.splitlines()
    frames = re.findall(rf'File "{re.escape(str(directory.absolute()))}/([^"]+)", line (\d+)', output)
    if not frames:
        return "\n".join(["", *lines[-15:]])
    return f"{frames[-1][0]}:{frames[-1][1]}: {lines[-1]}"


def _calls(node: ast.AST) -> Iterator[ast.Call]:
    return (inner for inner in ast.walk(node) if isinstance(inner, ast.Call))


def _called(call: ast.Call) -> str:
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _name_of(call: ast.Call) -> str | None:
    """The call's ``name=``: a text, or a constant of :mod:`tastemaker.names`."""
    for keyword in call.keywords:
        if keyword.arg == "name":
            if isinstance(keyword.value, ast.Constant):
                return str(keyword.value.value)
            if isinstance(keyword.value, ast.Attribute):
                return getattr(names, keyword.value.attr, None)
    return None
