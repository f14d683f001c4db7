"""Feast's pages only show."""

from pathlib import Path

import pytest
from starlette.testclient import TestClient

pytest.importorskip("grpc_health", reason="the extra feast-ui is not installed")

from tastemaker.features.feast.pages import pages
from tastemaker.settings import Settings


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings.from_env({}, home=tmp_path_factory.mktemp("home"), repository=Path(__file__).parents[3])


def test_pages_show_and_refuse_what_would_change_the_registry(settings: Settings) -> None:
    client = TestClient(pages(settings))
    assert "<title>Feast" in client.get("/p/tastemaker/feature-view").text
    assert client.get("/projects-list.json").json()["projects"]
    for method, path in (("DELETE", "/api/v1/entities/user"), ("POST", "/api/v1/push"), ("PUT", "/api/v1/entities")):
        refused = client.request(method, path, json={})
        assert refused.status_code == 405
        assert "tastemaker features apply" in refused.json()["detail"]
    assert client.post("/api/v1/list-labels", json={"feature_view": "none"}).status_code != 405  # it only reads


def test_writable_pages_pass_everything_on(settings: Settings) -> None:
    client = TestClient(pages(settings, writable=True), raise_server_exceptions=False)
    assert "tastemaker features apply" not in client.request("DELETE", "/api/v1/entities/none").text
