"""A real Bento of a small service: the release in it, the labels, the failures."""

import pytest
import yaml
from gate_evidence import NOW, evidence, policy, write_release

from tastemaker.errors import DataError, ServingError
from tastemaker.promotion.bento import BENTOFILE, build_bento
from tastemaker.promotion.gate import decide
from tastemaker.promotion.releases import ReleaseRegistry
from tastemaker.settings import Settings

SERVICE = """
import bentoml

@bentoml.service(name="small")
class Small:
    @bentoml.api
    def ping(self) -> str:
        return "pong"
"""


@pytest.fixture
def settings(tmp_path):
    """A repository with one service, and a store with one release."""
    settings = Settings(home=tmp_path / "home", repository=tmp_path / "repository")
    folder = (settings.repository / BENTOFILE).parent
    folder.mkdir(parents=True)
    (folder / "service.py").write_text(SERVICE)
    config = {
        "service": "bentos.recommender.service:Small",
        "name": "small",
        "include": ["bentos/recommender/*.py"],
        "models": ["tastemaker-release:latest"],
        "labels": {"project": "test"},
    }
    (folder / "bentofile.yaml").write_text(yaml.safe_dump(config))
    for release in ("r1", "r2"):
        files = write_release(tmp_path / release, content=release)
        found = evidence(release=release, files=files)
        ReleaseRegistry(settings).register(tmp_path / release, found, decide(policy(), found, now=NOW))
    return settings


def test_a_bento_holds_the_asked_release_and_not_the_newest(settings):
    tag = build_bento(settings, "r1")
    assert tag == "small:r1"
    built = yaml.safe_load((settings.bentoml_home / "bentos" / "small" / "r1" / "bento.yaml").read_text())
    assert [model["tag"] for model in built["models"]] == ["tastemaker-release:r1"]
    assert built["labels"] == {"project": "test", "release": "r1"}
    # The champion's Bento stays when its release is built again.
    assert build_bento(settings, "r1") == "small:r1-2"


def test_a_service_that_does_not_import_is_reported_with_its_error(settings):
    (settings.repository / BENTOFILE).with_name("service.py").write_text("import no_such_module")
    with pytest.raises(ServingError, match="no_such_module"):
        build_bento(settings, "r1")


def test_an_unknown_release_is_refused_before_building(settings):
    with pytest.raises(DataError, match="no release 'r9'"):
        build_bento(settings, "r9")


@pytest.mark.parametrize(("text", "reason"), [(None, "cannot be read"), ("name: x", "names no service")])
def test_a_missing_or_empty_definition_is_refused(settings, text, reason):
    bentofile = settings.repository / BENTOFILE
    bentofile.unlink() if text is None else bentofile.write_text(text)
    with pytest.raises(DataError, match=reason):
        build_bento(settings, "r1")
