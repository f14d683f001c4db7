"""Models by name."""

import subprocess
import sys

import pytest

from tastemaker.errors import DataError
from tastemaker.models import registry
from tastemaker.models.item_knn import ItemKnn
from tastemaker.models.registry import MODELS, create, load_class


def test_create_passes_hyperparameters_on() -> None:
    model = create("item-knn", neighbours=7)
    assert isinstance(model, ItemKnn)
    assert model.neighbours == 7


def test_unknown_model_lists_those_that_exist() -> None:
    with pytest.raises(DataError, match=r"'item-kn'.*popularity.*item-knn.*ease"):
        create("item-kn")


def test_unknown_hyperparameter_is_named() -> None:
    with pytest.raises(DataError, match="neighbors"):
        create("item-knn", neighbors=7)


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "MODELS", {"exotic": "no_such_package_anywhere.models:Exotic"})
    with pytest.raises(DataError, match="no_such_package_anywhere"):
        load_class("exotic")


def test_names_are_those_of_the_classes() -> None:
    light = [name for name in MODELS if name not in {"two-tower", "tastemaker"}]
    assert [load_class(name).name for name in light] == light


def test_constructing_any_light_model_imports_nothing_heavy() -> None:
    light = [name for name in MODELS if name not in {"two-tower", "tastemaker"}]
    script = (
        "import sys\nfrom tastemaker.models.registry import create\n"
        f"for name in {light!r}: create(name)\n"
        "print([m for m in ('tensorflow', 'lightgbm', 'numba', 'feast', 'prefect') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
