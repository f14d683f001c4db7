from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tastemaker.settings import Settings
from tastemaker.stack.component import Component
from tastemaker.stack.supervisor import Supervisor


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", repository=tmp_path)


@pytest.fixture
def supervise(settings: Settings) -> Iterator[Callable[..., Supervisor]]:
    started: list[Supervisor] = []

    def start(*components: Component) -> Supervisor:
        supervisor = Supervisor(components, settings, quiet=True)
        supervisor.start()
        started.append(supervisor)
        return supervisor

    yield start
    for supervisor in started:
        supervisor.stop()
