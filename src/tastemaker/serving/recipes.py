"""Load the recipes of surfaces: the built-in ones, and those of a directory that add to them or replace them."""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

import yaml
from pydantic import ValidationError

from tastemaker.errors import ServingError
from tastemaker.serving.recipe import SOURCES, STAGES, Recipe

__all__ = ["load_recipes", "read_recipe"]

_REMEDIES = {
    "stages": f"use of: {', '.join(STAGES)}",
    "sources": f"use of: {', '.join(SOURCES)}, or as_trained",
    "order": f"use of: ranker, text, {', '.join(SOURCES)}, each with a weight from 0 to 100",
    "surface": "name it in small letters, digits and underscores, as its file is named",
    "requires": "use of: items, category, query",
}
_GENERAL_REMEDY = f"a recipe has the fields {', '.join(Recipe.model_fields)}; see docs/serving.md"


def load_recipes(directory: Path | None = None) -> Mapping[str, Recipe]:
    """All recipes by surface, ``home`` first.

    Args:
        directory: of further ``*.yaml`` files; one for a surface that is built in takes its place.

    Raises:
        ServingError: naming the file, the field and the remedy.
    """
    found: dict[str, Recipe] = {}
    for entry in sorted(files("tastemaker.serving").joinpath("surfaces").iterdir(), key=lambda path: path.name):
        if entry.name.endswith(".yaml"):
            recipe = read_recipe(entry.name, entry.read_text())
            found[recipe.surface] = recipe
    if directory is not None:
        if not directory.is_dir():
            raise ServingError(f"{directory} is no directory of recipes; make it, or unset TASTEMAKER_SURFACES_DIR")
        for path in sorted(directory.glob("*.yaml")):
            recipe = read_recipe(str(path), path.read_text())
            found[recipe.surface] = recipe
    return dict(sorted(found.items(), key=lambda pair: (pair[0] != "home", pair[0])))


def read_recipe(file: str, text: str) -> Recipe:
    """One recipe.

    Args:
        file: its name, for errors; the surface must be named as the file is.
        text: the YAML.

    Raises:
        ServingError: naming the file, the field and the remedy.
    """
    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ServingError(f"recipe {file} is not YAML ({' '.join(str(error).split())}); correct it") from error
    if not isinstance(raw, dict):
        raise ServingError(f"recipe {file} is no mapping of fields; {_GENERAL_REMEDY}")
    try:
        recipe = Recipe.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = [str(part) for part in first["loc"]]
        field = ".".join(part for part in where if not part.startswith(("dict[", "literal[", "[key]")))
        given = "" if isinstance(first.get("input"), dict) else f" (it is {first.get('input')!r})"
        top = where[0] if where else first["msg"].removeprefix("Value error, ").partition(":")[0]
        remedy = _REMEDIES.get(top, _GENERAL_REMEDY)
        raise ServingError(f"recipe {file}, {field or 'whole'}: {first['msg']}{given}; {remedy}") from error
    if Path(file).stem != recipe.surface:
        raise ServingError(f"recipe {file}, surface: it is {recipe.surface!r}; {_REMEDIES['surface']}")
    return recipe
