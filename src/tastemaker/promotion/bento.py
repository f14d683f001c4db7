"""Build the Bento that serves a release: the recommender's code, and the release from the model store."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from tastemaker.errors import DataError, ServingError
from tastemaker.names import RELEASE_MODEL
from tastemaker.promotion.hashing import hash_files, hash_tree
from tastemaker.promotion.releases import ReleaseRegistry
from tastemaker.settings import Settings

__all__ = ["BENTOFILE", "build_bento", "code_of"]

BENTOFILE = Path("bentos/recommender/bentofile.yaml")
_TAG_PREFIX = "__tag__:"  # how `bentoml build -o tag` marks the one line that counts


def build_bento(settings: Settings, release: str, *, timeout_s: float = 300) -> str:
    """Build a Bento with a release in it.

    A process of its own builds: the service's imports (TensorFlow) stay out of the caller, and ``BENTOML_HOME``
    holds from its start. Building the same release again makes a further Bento.

    Args:
        settings: ``repository`` has the Bento's definition, ``bentoml_home`` the stores.
        release: id of a registered release.
        timeout_s: seconds after which the build counts as failed.

    Returns:
        The Bento's tag, ``<name>:<version>``; the version begins with the release's id.

    Raises:
        DataError: there is no such release or no bentofile.
        ServingError: the build fails; quotes the end of its output.
    """
    registered = ReleaseRegistry(settings).get(release)
    bentofile = settings.repository / BENTOFILE
    try:
        config = yaml.safe_load(bentofile.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise DataError(f"the Bento's definition {bentofile} cannot be read: {error}") from error
    if not isinstance(config, dict) or not config.get("service"):
        raise DataError(f"the Bento's definition {bentofile} names no service")
    others = [model for model in config.get("models") or [] if not str(_tag(model)).startswith(f"{RELEASE_MODEL}:")]
    config["models"] = [*others, registered.tag]
    config["labels"] = {**(config.get("labels") or {}), "release": release}
    # A resolved index would be asked for every package, and written down; the image installs the locked file.
    config["python"] = {**(config.get("python") or {}), "lock_packages": False}
    with tempfile.TemporaryDirectory(prefix="tastemaker-bento-") as scratch:
        written = Path(scratch) / "bentofile.yaml"
        written.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
        version = _free_version(settings, str(config.get("name") or BENTOFILE.parent.name), release)
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
            raise ServingError(f"building the Bento of release {release} took more than {timeout_s:g} s") from error
    tags = [line.removeprefix(_TAG_PREFIX) for line in done.stdout.splitlines() if line.startswith(_TAG_PREFIX)]
    if done.returncode or not tags:
        tail = "\n".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-15:])
        raise ServingError(f"building the Bento of release {release} failed (status {done.returncode}):\n{tail}")
    return tags[-1].strip()


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
