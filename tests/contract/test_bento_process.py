"""The Bento in processes of its own: what the host around the application must not change."""

import re
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import httpx
import psutil
import pytest
from bento_process import build, environment, free_port, served
from served_release import small_release

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def tag() -> str:
    return build(*small_release())


@pytest.fixture(scope="module")
def running(tag):
    # Nobody listens at this port: a broker that is away must not matter.
    settings = small_release()[0].model_copy(update={"kafka_port": free_port()})
    with served(settings, tag) as (url, process), httpx.Client(base_url=url, timeout=20) as client:
        yield client, process


@pytest.fixture
def client(running):
    return running[0]


def test_lists_are_served_by_the_release_of_the_bento(client):
    answer = client.post("/v1/recommend", json={"user": "u1", "k": 3}).json()
    assert answer["release"] == "small-1"
    assert answer["tier"] == "full"
    assert len(answer["items"]) == 3
    assert all(item["title"] and item["reason"] for item in answer["items"])


def test_unknown_user_gets_a_cold_start_list(client):
    answer = client.get("/v1/recommend", params={"user": "nobody"}).json()
    assert answer["tier"] == "cold_start"
    assert answer["tier_reason"]
    assert answer["items"]


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (b"{", 400, "body"),
        (b'{"surface": "attic"}', 422, "surface"),
        (b'{"exclude": ["unheard"]}', 422, "exclude[0]"),
        (b'{"k": 0}', 422, "k"),
        (b'{"user": "' + b"x" * 10_000_000 + b'"}', 413, "body"),
    ],
    ids=["malformed", "surface", "item", "k", "ten_megabytes"],
)
def test_bad_input_is_refused_and_nothing_stops(client, body, status, field):
    response = client.post("/v1/recommend", content=body, headers={"content-type": "application/json"})
    assert response.status_code == status
    assert response.json()["error"]["field"] == field
    assert client.get("/v2/health/ready").status_code == 200


def test_unknown_model_and_path_are_answered_by_the_application(client):
    assert client.get("/v2/models/churn").json()["field"] == "model"
    assert client.get("/static_content/swagger-ui.css").json()["error"]["field"] == "path"


def test_pages_are_the_applications_and_not_the_hosts(client):
    for path in ("/", "/docs"):
        page = client.get(path, headers={"accept": "text/html"}).text
        assert "Tastemaker" in page
        assert not re.search(r"https?://", page)


def test_metrics_are_the_applications(client):
    client.get("/some/path/nobody/serves")
    text = client.get("/metrics").text
    assert "tastemaker_request_seconds_bucket" in text
    assert "nobody/serves" not in text


def test_probes_of_the_host_agree(client):
    assert client.get("/readyz").status_code == 200
    assert client.get("/livez").status_code == 200


SERVE_ALONE = """
import sys
sys.path.append({libraries!r})  # with -S no .pth file is read, so the editable install is not there
for name in {unwanted!r}:  # as if they were not installed
    sys.modules[name] = None
import bentoml
bentoml.load({tag!r})
import tastemaker
from bentos.recommender import service
from tastemaker.serving.contract import RecommendationRequest
from tastemaker.settings import Settings
response, _ = service._open(Settings.from_env()).recommend(RecommendationRequest(user="u1", k=3))
print(tastemaker.__file__)
print(response.release, len(response.items))
"""


def test_bento_serves_without_the_package_and_without_libraries_of_training_and_flows(tag, tmp_path):
    settings, _ = small_release()
    unwanted = ("deltalake", "duckdb", "evidently", "feast", "pandas", "prefect", "pyarrow", "tensorflow_recommenders")
    code = SERVE_ALONE.format(libraries=sysconfig.get_paths()["purelib"], unwanted=unwanted, tag=tag)
    done = subprocess.run(
        [sys.executable, "-S", "-P", "-c", code],
        env=environment(settings),
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    imported, served = done.stdout.strip().splitlines()[-2:]
    assert Path(imported).is_relative_to(settings.bentoml_home / "bentos")
    assert served == "small-1 3"


def test_worker_that_is_killed_comes_back(running):
    client, process = running
    (worker,) = psutil.Process(process.pid).children(recursive=True)
    worker.kill()
    worker.wait(20)

    deadline = time.monotonic() + 120
    while client.get("/v2/health/ready", timeout=60).status_code != 200:  # the parent holds the port open meanwhile
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert client.get("/v1/recommend").json()["items"]


def test_terminated_server_leaves_no_process(running):
    _, process = running
    family = psutil.Process(process.pid).children(recursive=True)
    assert family
    process.terminate()
    assert process.wait(60) == 0
    _, alive = psutil.wait_procs(family, timeout=20)
    assert alive == []
