"""Build the Bentos that serve a release: a service's code, and the release from the model store."""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any, Final

import yaml

from tastemaker.errors import DataError, ServingError
from tastemaker.models.two_tower.saved import CARD
from tastemaker.names import RELEASE_MODEL
from tastemaker.promotion.hashing import hash_files, hash_tree
from tastemaker.promotion.releases import ReleaseRegistry
from tastemaker.release.files import TOWERS
from tastemaker.settings import Settings

__all__ = ["BENTOFILE", "SERVICES", "bento_path", "build_bento", "code_of", "content_hash"]

SERVICES: Final = ("recommender", "retrieval", "ranking")
BENTOFILE: Final = Path("bentos/recommender/bentofile.yaml")
# What a query tower of another kind than the default is asked with; it is most of an image that has it.
_TENSORFLOW: Final = ("tensorflow", "tf-keras")
_WITHOUT: Final = "weighted-mean"
_TAG_PREFIX = "__tag__:"  # how `bentoml build -o tag` marks the one line that counts


def build_bento(settings: Settings, release: str, service: str = "recommender", *, timeout_s: float = 300) -> str:
    """Build a Bento with a release in it.

    A process of its own builds: the service's imports stay out of the caller, and ``BENTOML_HOME`` holds from its
    start. Building the same release again makes a further Bento, of the same content: see :func:`content_hash`.

    Args:
        settings: ``repository`` has the Bento's definition, ``bentoml_home`` the stores.
        release: id of a registered release.
        service: one of ``SERVICES``.
        timeout_s: seconds after which the build counts as failed.

    Returns:
        The Bento's tag, ``<name>:<version>``; the version begins with the release's id.

    Raises:
        DataError: there is no such release, service or bentofile.
        ServingError: the build fails; quotes the end of its output.
    """
    registered = ReleaseRegistry(settings).get(release)
    if service not in SERVICES:
        raise DataError(f"there is no service {service!r}; build one of {', '.join(SERVICES)}")
    bentofile = settings.repository / BENTOFILE.parents[1] / service / BENTOFILE.name
    try:
        config = yaml.safe_load(bentofile.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise DataError(f"the Bento's definition {bentofile} cannot be read: {error}") from error
    if not isinstance(config, dict) or not config.get("service"):
        raise DataError(f"the Bento's definition {bentofile} names no service")
    others = [model for model in config.get("models") or [] if not str(_tag(model)).startswith(f"{RELEASE_MODEL}:")]
    config["models"] = [*others, registered.tag]
    sealed = hashlib.sha256(registered.manifest.to_json()).hexdigest()
    config["labels"] = {**(config.get("labels") or {}), "release": release, "release_sha256": sealed[:32]}
    # A resolved index would be asked for every package, and written down; the image installs the locked file.
    python = config.get("python") or {}
    packages = [*(python.get("packages") or []), *_needed_by(registered.path)]
    config["python"] = {**python, "packages": packages, "lock_packages": False}
    with tempfile.TemporaryDirectory(prefix="tastemaker-bento-") as scratch:
        written = Path(scratch) / "bentofile.yaml"
        written.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
        version = _free_version(settings, str(config.get("name") or service), release)
        command = [sys.executable, "-m", "bentoml", "build", "-f", str(written), "--version", version]
        try:
            done = subprocess.run(
                [*command, "-o", "tag", str(settings.repository)],
                cwd=settings.repository,
                env=_environment(settings, registered.path),
                capture_output=True,
                text=True,
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ServingError(
                f"building the Bento {service} of release {release} took more than {timeout_s:g} s"
            ) from error
    tags = [line.removeprefix(_TAG_PREFIX) for line in done.stdout.splitlines() if line.startswith(_TAG_PREFIX)]
    if done.returncode or not tags:
        tail = "\n".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-15:])
        raise ServingError(
            f"building the Bento {service} of release {release} failed (status {done.returncode}):\n{tail}"
        )
    return tags[-1].strip()


def bento_path(settings: Settings, tag: str) -> Path:
    """Where a Bento is.

    Raises:
        DataError: there is none of that tag.
    """
    path = settings.bentoml_home / "bentos" / tag.replace(":", "/")
    if not (path / "bento.yaml").is_file():
        raise DataError(f"there is no Bento {tag} below {settings.bentoml_home}; build it from a release")
    return path


def content_hash(path: Path) -> str:
    """SHA-256 of what a Bento is: all its files, but not its version and when it was built.

    Two builds of the same code with the same release have the same. The release is in it by its manifest, which has a
    hash of each of its files.

    Args:
        path: of a Bento, as :func:`bento_path` gives it.
    """
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        if not file.is_file() or "__pycache__" in file.parts:  # compiled by whoever served it here
            continue
        content = file.read_bytes()
        if file == path / "bento.yaml":
            content = json.dumps(_timeless(yaml.safe_load(content)), sort_keys=True).encode()
        digest.update(f"{file.relative_to(path)}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def _timeless(told: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in told.items() if name not in {"version", "creation_time"}}
    kept["models"] = [{**model, "creation_time": None} for model in told.get("models") or []]
    return kept


def _needed_by(release_dir: Path) -> list[str]:
    """Packages that this release needs beside those of any other, in the versions that it was trained with here."""
    try:
        encoder = json.loads((release_dir / TOWERS / CARD).read_bytes())["parameters"]["encoder"]
    except FileNotFoundError:  # nothing of ours: the service will say so
        return []
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{release_dir / TOWERS / CARD} does not read ({error!r}); train the release again") from error
    return [] if encoder == _WITHOUT else [f"{name}=={installed(name)}" for name in _TENSORFLOW]


def code_of(settings: Settings, tag: str) -> str:
    """What a Bento runs, without the release in it: a hash of its code; empty where there is no such Bento."""
    name, _, version = tag.partition(":")
    source = settings.bentoml_home / "bentos" / name / version / "src"
    if not version or not source.is_dir():
        return ""
    # Its definition names the release, and a process that serves it compiles its code.
    files = {path: found for path, found in hash_tree(source).items() if path.endswith((".py", ".yaml", ".html"))}
    return hash_files({path: found for path, found in files.items() if path != BENTOFILE.name})


def _free_version(settings: Settings, name: str, release: str) -> str:
    """The release's id, or with a counter when a Bento of it exists: the champion's must not vanish in a rebuild."""
    taken = settings.bentoml_home / "bentos" / name
    version, attempt = release, 1
    while (taken / version).exists():
        attempt += 1
        version = f"{release}-{attempt}"
    return version


def _environment(settings: Settings, release_dir: Path) -> dict[str, str]:
    source = settings.repository / "src"
    paths = [str(source)] if source.is_dir() else []
    return {
        **os.environ,
        **settings.to_env(),
        "BENTOML_HOME": str(settings.bentoml_home),
        "BENTOML_DO_NOT_TRACK": "True",
        "TASTEMAKER_RELEASE_DIR": str(release_dir),
        "PYTHONPATH": os.pathsep.join(
            [*paths, str(settings.repository), *filter(None, [os.environ.get("PYTHONPATH")])]
        ),
    }


def _tag(model: object) -> object:
    return model.get("tag") if isinstance(model, dict) else model
