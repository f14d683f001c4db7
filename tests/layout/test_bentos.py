"""What BentoML builds and loads: the Bento has what it needs, and needs nothing that it does not have."""

import os
import re
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest
import yaml

from tastemaker.names import RELEASE_MODEL

ROOT = Path(__file__).parents[2]
SERVICES = ("recommender", "retrieval", "ranking")
TRAINING_ONLY = (
    "deltalake",
    "duckdb",
    "evidently",
    "feast",
    "pandas",
    "prefect",
    "pyarrow",
    "tensorflow",
    "tensorflow_recommenders",
    "tf_keras",
)
# Of the serve extra, what a model alone does without.
WITHOUT = {
    "recommender": set(),
    "retrieval": {"crc32c", "grpcio", "kafka-python", "opentelemetry-proto", "protobuf"},
    "ranking": {"crc32c", "faiss-cpu", "grpcio", "kafka-python", "opentelemetry-proto", "protobuf"},
}


def bentofile(service: str) -> Path:
    return ROOT / "bentos" / service / "bentofile.yaml"


@pytest.fixture(scope="module", params=SERVICES)
def service(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def packages(service) -> dict[str, str]:
    """Version by name of what the Bento's image installs."""
    entries = yaml.safe_load(bentofile(service).read_text())["python"]["packages"]
    return dict(entry.split("==") for entry in entries)


def test_bento_installs_the_locked_versions(packages):
    locked = re.findall(r"^([a-z0-9.-]+)==(\S+) ;(.*)$", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    for name, version in packages.items():
        versions = {found for other, found, _ in locked if other == name}
        assert version in versions, f"{name}=={version} is installed, {versions} in requirements.lock"


def test_bento_installs_the_serve_extra_as_far_as_it_needs_it(service, packages):
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["serve"]
    assert {re.split(r"[=<>]", entry)[0] for entry in extra} - set(packages) == WITHOUT[service]


def test_bento_installs_nothing_of_training_and_flows(packages):
    assert not {name.replace("-", "_") for name in packages} & set(TRAINING_ONLY)


def run(code: str, *options: str, **environ: str) -> str:
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | environ
    done = subprocess.run(
        [sys.executable, *options, "-c", code],
        env=environ,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_service_imports_no_heavy_library(service):
    code = f"""
import sys
import bentos.{service}.service
print([name for name in ("kafka", *{TRAINING_ONLY!r}) if name in sys.modules])
"""
    assert run(code).strip() == "[]"


@pytest.fixture(scope="module")
def built(service, tmp_path_factory) -> tuple[Path, str]:
    """A BentoML home with a Bento, and the Bento's tag. Two releases exist; the Bento is built with the newer."""
    home = tmp_path_factory.mktemp("bentoml")
    code = f"""
import bentoml
for release in ("r1", "r2"):
    with bentoml.models.create("{RELEASE_MODEL}:" + release) as model:
        with open(model.path_of("marker"), "w") as file:
            file.write(release)
"""
    environ = {"BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True"}
    run(code, **environ)
    done = subprocess.run(
        [sys.executable, "-m", "bentoml", "build", "-f", str(bentofile(service)), "-o", "tag", str(ROOT)],
        env=os.environ | environ,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return home, done.stdout.strip().splitlines()[-1].removeprefix("__tag__:")


def test_bento_has_the_code_that_serves_and_no_other(service, built):
    home, tag = built
    source = home / "bentos" / tag.replace(":", "/") / "src"
    files = {str(path.relative_to(source)) for path in source.rglob("*") if path.is_file()}
    assert f"bentos/{service}/service.py" in files
    whole = {
        f"tastemaker/serving/{name}" for name in ("app.py", "recommender.py", "html/docs.html", "oip/grpc_server.py")
    }
    assert whole <= files if service == "recommender" else not whole & files
    packages = {path.split("/")[1] for path in files if path.startswith("tastemaker/") and path.count("/") > 1}
    assert packages == {"broker", "events", "features", "models", "retrieval", "release", "serving"}
    models = {path for path in files if path.startswith("tastemaker/models/")}
    assert {path.split("/")[2] for path in models} == {
        "__init__.py",
        "ranker",
        "two_tower",
    }  # no model that only trains
    towers = {path.rsplit("/", 1)[1] for path in models if "/two_tower/" in path}
    assert towers == {"__init__.py", "content.py", "parameters.py", "progress.py", "saved.py"}  # what reads an export
    others = {path for path in files if not path.startswith(("tastemaker/", f"bentos/{service}/"))}
    assert others == {"bentofile.yaml"}


def test_bento_carries_the_newest_release(built):
    home, tag = built
    info = yaml.safe_load((home / "bentos" / tag.replace(":", "/") / "bento.yaml").read_text())
    assert [model["tag"] for model in info["models"]] == [f"{RELEASE_MODEL}:r2"]


def test_bento_has_a_dockerfile_for_its_image(service, built):
    home, tag = built
    docker = home / "bentos" / tag.replace(":", "/") / "env" / "docker"
    lines = (docker / "Dockerfile").read_text().splitlines()
    assert "FROM python:3.11-slim AS base-container" in lines
    assert "ARG PORT=8080" in lines  # where KServe looks; the entry point hands it to BentoML
    assert "ENV PORT=$PORT" in lines
    assert "ENV BENTOML_DO_NOT_TRACK=$BENTOML_DO_NOT_TRACK" in lines
    assert any("pip install -r $BENTO_PATH/env/python/requirements.txt" in line for line in lines)
    assert lines.index("USER bentoml") > lines.index("COPY --chown=bentoml:bentoml . ./")  # not as root
    assert 'ENTRYPOINT [ "/home/bentoml/bento/env/docker/entrypoint.sh" ]' in lines
    assert "BENTOML_PORT=$PORT" in (docker / "entrypoint.sh").read_text()


def test_bento_asks_no_index(built):
    home, tag = built
    environment = home / "bentos" / tag.replace(":", "/") / "env" / "python"
    assert not (environment / "requirements.lock.txt").exists()
    assert "http" not in (environment / "requirements.txt").read_text()


LOAD = """
import importlib.util, sys
sys.path.append({libraries!r})  # with -S no .pth file is read, so the editable install is not there
assert importlib.util.find_spec("tastemaker") is None, "the package is installed: this would prove nothing"
import bentoml
for name in {unwanted!r}:  # as if they were not installed
    sys.modules[name] = None
service = bentoml.load({tag!r})
import pathlib, tastemaker
from importlib import import_module
inside = pathlib.Path(tastemaker.__file__).parents[1]
for path in sorted((*inside.glob("tastemaker/serving/**/*.py"), *inside.glob("tastemaker/release/*.py"))):
    name = ".".join(path.relative_to(inside).with_suffix("").parts).removesuffix(".__init__")
    try:
        import_module(name)
    except ImportError as error:  # what only another service needs may lack its library, never our own code
        if error.name not in {unwanted!r} and error.name.partition(".")[0] not in {unwanted!r}:
            raise
from tastemaker.serving.bento_service import release_of
print(tastemaker.__file__)
print(release_of(service))
"""
MISSING = {
    "crc32c": "crc32c",
    "faiss-cpu": "faiss",
    "grpcio": "grpc",
    "kafka-python": "kafka",
    "opentelemetry-proto": "opentelemetry",
    "protobuf": "google",
}


def load_without_installation(service, built, tmp_path, **environ: str) -> list[str]:
    home, tag = built
    unwanted = (*TRAINING_ONLY, *(MISSING[name] for name in WITHOUT[service]))
    libraries = sysconfig.get_paths()["purelib"]
    code = LOAD.format(libraries=libraries, tag=tag, unwanted=unwanted)
    # Away from the repository: neither its src/ nor its bentos/ may be found by accident.
    environ = {"BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True", "PATH": os.environ["PATH"], **environ}
    done = subprocess.run(
        [sys.executable, "-S", "-P", "-c", code],
        env=environ,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()


def test_bento_loads_where_the_package_is_not_installed(service, built, tmp_path):
    home, tag = built
    imported, _ = load_without_installation(service, built, tmp_path)
    assert Path(imported).is_relative_to(home / "bentos" / tag.replace(":", "/"))


def test_bento_serves_the_release_it_was_built_with(service, built, tmp_path):
    home, _ = built
    run(
        f"import bentoml\nwith bentoml.models.create('{RELEASE_MODEL}:r3'): pass",
        BENTOML_HOME=str(home),
        BENTOML_DO_NOT_TRACK="True",
    )
    _, release = load_without_installation(service, built, tmp_path)
    assert (Path(release) / "marker").read_text() == "r2"


def test_release_of_the_environment_replaces_the_bentos(service, built, tmp_path):
    _, release = load_without_installation(service, built, tmp_path, TASTEMAKER_RELEASE_DIR="/mnt/models")
    assert release == "/mnt/models"
