"""Whether feature_repo/ still says what was applied last."""

import os
from pathlib import Path

import pytest
from audit_lake import PLAN
from msgspec.structs import replace

from tastemaker.features.applied import edited_files, note_applied
from tastemaker.features.plan import FeaturePlan
from tastemaker.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings.from_env({}, home=tmp_path / "home", repository=tmp_path)
    (tmp_path / "feature_repo").mkdir()
    for name in ("views.py", "entities.py", "feature_store.yaml"):
        (tmp_path / "feature_repo" / name).write_text(name)
    made.feast_dir.mkdir(parents=True)
    PLAN.save(made.plan_path)
    return made


def test_files_are_compared_by_content(settings: Settings) -> None:
    note_applied(settings, PLAN)
    repository = settings.repository / "feature_repo"
    os.utime(repository / "views.py", (2**33, 2**33))  # touched, not changed
    assert edited_files(settings, PLAN) == []
    (repository / "views.py").write_text("changed")
    (repository / "entities.py").unlink()
    (repository / "added.py").write_text("")
    assert edited_files(settings, PLAN) == ["added.py", "entities.py", "views.py"]


def test_plan_that_feast_applied_by_itself_is_compared_by_time(settings: Settings) -> None:
    note_applied(settings, PLAN)
    other = FeaturePlan(views=(replace(PLAN.views[0], ttl_us=7), *PLAN.views[1:]))
    applied = settings.plan_path.stat().st_mtime
    for path in (settings.repository / "feature_repo").iterdir():
        os.utime(path, (applied - 10, applied - 10))
    assert edited_files(settings, other) == []
    os.utime(settings.repository / "feature_repo" / "views.py", (applied + 10, applied + 10))
    assert edited_files(settings, other) == ["views.py"]
