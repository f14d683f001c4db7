"""What the tests with real processes share."""

from pathlib import Path

import pytest

from tastemaker.settings import Settings
from tastemaker.stack.workspace import prepare


@pytest.fixture(scope="session")
def prepared_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which the declarations were applied, to be copied."""
    home = tmp_path_factory.mktemp("prepared")
    prepare(Settings.from_env({}, home=home, repository=Path(__file__).parents[2]))
    return home
