"""Releases in BentoML's model store, under a home of our own."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tastemaker.errors import DataError
from tastemaker.names import RELEASE_MODEL
from tastemaker.promotion.hashing import hash_bytes
from tastemaker.promotion.manifest import MANIFEST_NAME, Manifest

__all__ = ["ModelStore"]

_HASH_KEY = "manifest_sha256"


class ModelStore:
    """The model store below one BentoML home.

    The home is given to BentoML with each call: its own default is fixed once per process, when it is imported.

    Args:
        home: ``BENTOML_HOME``; made when missing.
    """

    OWN_FILE = "model.yaml"  # BentoML's, beside ours

    def __init__(self, home: Path) -> None:
        self._home = home
        self._root = home / "models"

    def tag(self, release: str) -> str:
        """The model tag of a release."""
        return f"{RELEASE_MODEL}:{release}"

    def path(self, release: str) -> Path | None:
        """The directory of a release; None when there is none."""
        path = self._root / RELEASE_MODEL / release
        return path if release and path.parent == self._root / RELEASE_MODEL and path.is_dir() else None

    def has(self, release: str) -> bool:
        """Whether there is a directory for it, complete or not."""
        return self.path(release) is not None

    def versions(self) -> list[str]:
        """Ids of all releases, complete or not."""
        root = self._root / RELEASE_MODEL
        return sorted(path.name for path in root.iterdir() if path.is_dir()) if root.is_dir() else []

    def manifest_hash(self, release: str) -> str:
        """The hash that the manifest had when it was registered; empty when the store does not know it."""
        try:
            return str(self._open().get(self.tag(release)).info.metadata.get(_HASH_KEY, ""))
        except Exception as error:
            raise DataError(f"BentoML cannot read release {release} below {self._root}: {error}") from error

    def add(self, directory: Path, manifest: Manifest, extra: Mapping[str, bytes]) -> None:
        """Copy a release into the store.

        Args:
            directory: its files.
            manifest: written beside them.
            extra: content of further files, by relative path.

        Raises:
            DataError: BentoML refuses it.
        """
        bentoml, store = self._bentoml(), self._open()
        content = manifest.to_json()
        labels = {
            "decision": manifest.verdict.decision,
            "policy": manifest.verdict.policy,
            "commit": manifest.lineage.code_commit,
        }
        metadata: dict[str, Any] = {
            _HASH_KEY: hash_bytes(content),
            "plan_hash": manifest.lineage.plan_hash,
            "lake_versions": dict(manifest.lineage.lake_versions),
            "metrics": dict(manifest.metrics),
        }
        try:
            with bentoml.models.create(
                self.tag(manifest.release), labels=labels, metadata=metadata, _model_store=store
            ) as model:
                target = Path(model.path)
                shutil.copytree(directory, target, dirs_exist_ok=True)
                for name, body in extra.items():
                    path = target / name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(body)
                (target / MANIFEST_NAME).write_bytes(content)
        except bentoml.exceptions.BentoMLException as error:
            raise DataError(f"BentoML cannot store release {manifest.release}: {error}") from error

    def bentos_of(self, release: str) -> list[str]:
        """Tags of the Bentos that were built with a release, as their own descriptions say."""
        root = self._home / "bentos"
        tags = []
        for path in sorted(root.glob("*/*/bento.yaml")):
            text = path.read_text(encoding="utf-8")
            if f"{RELEASE_MODEL}:{release}" in {line.split("tag: ", 1)[-1].strip() for line in text.splitlines()}:
                tags.append(f"{path.parts[-3]}:{path.parts[-2]}")
        return tags

    def bento_path(self, tag: str) -> Path:
        """Where a Bento is."""
        name, _, version = tag.partition(":")
        return self._home / "bentos" / name / version

    def delete(self, release: str) -> None:
        """Remove what is there of a release; the store's word for the newest one then is of one that is left."""
        path = self.path(release)
        if path is None:
            return
        shutil.rmtree(path)
        latest = self._root / RELEASE_MODEL / "latest"
        if latest.is_file() and latest.read_text(encoding="utf-8").strip() == release:
            left = sorted(
                (self._root / RELEASE_MODEL).glob("*/" + self.OWN_FILE), key=lambda file: file.stat().st_mtime
            )
            if left:
                latest.write_text(left[-1].parent.name, encoding="utf-8")
            else:
                latest.unlink()

    def _bentoml(self) -> Any:
        os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")
        import bentoml

        return bentoml

    def _open(self) -> Any:
        self._bentoml()
        from bentoml._internal.models.model import ModelStore as Store  # noqa: PLC2701  (its only form with a path)

        self._root.mkdir(parents=True, exist_ok=True)
        return Store(self._root)
