"""A real Bento of a small service: the release in it, the labels, the failures."""

import json
import re
from importlib.metadata import version

import pytest
import yaml
from gate_evidence import NOW, evidence, policy, write_release

from tastemaker.errors import DataError, ServingError
from tastemaker.promotion.bento import BENTOFILE, bento_path, build_bento, content_hash
from tastemaker.promotion.gate import decide
from tastemaker.promotion.hashing import hash_tree
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
        "description": "A small service.",  # without one BentoML writes the version into the README
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
    sealed = built["labels"].pop("release_sha256")
    assert re.fullmatch("[0-9a-f]{32}", sealed)
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


def test_two_builds_are_the_same_and_other_code_or_another_release_is_not(settings):
    def build(release: str) -> str:
        return content_hash(bento_path(settings, build_bento(settings, release)))

    first = build("r1")
    assert build("r1") == first
    assert build("r2") != first
    source = (settings.repository / BENTOFILE).with_name("service.py")
    source.write_text(source.read_text().replace("pong", "ping"))
    assert build("r1") != first


def test_compiled_files_of_who_served_it_do_not_count(settings):
    path = bento_path(settings, build_bento(settings, "r1"))
    before = content_hash(path)
    (path / "src" / "__pycache__").mkdir()
    (path / "src" / "__pycache__" / "service.pyc").write_bytes(b"compiled")
    assert content_hash(path) == before
    (path / "src" / "more.py").write_text("")
    assert content_hash(path) != before


@pytest.mark.parametrize(("encoder", "needed"), [("weighted-mean", False), ("gru", True)])
def test_tensorflow_is_installed_only_for_a_query_tower_that_needs_it(settings, tmp_path, encoder, needed):
    directory = tmp_path / "r3"
    write_release(directory)
    (directory / "towers").mkdir()
    (directory / "towers" / "model.json").write_text(json.dumps({"parameters": {"encoder": encoder}}))
    found = evidence(release="r3", files=hash_tree(directory))
    ReleaseRegistry(settings).register(directory, found, decide(policy(), found, now=NOW))
    path = bento_path(settings, build_bento(settings, "r3"))
    installs = (path / "env" / "python" / "requirements.txt").read_text().split()
    wanted = {f"{name}=={version(name)}" for name in ("tensorflow", "tf-keras")}
    assert wanted <= set(installs) if needed else not wanted & set(installs)


def test_a_service_or_a_bento_that_does_not_exist_is_told(settings):
    with pytest.raises(DataError, match="no service 'attic'; build one of recommender, retrieval, ranking"):
        build_bento(settings, "r1", "attic")
    with pytest.raises(DataError, match="no Bento small:r9"):
        bento_path(settings, "small:r9")
