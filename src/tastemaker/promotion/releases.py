"""The release registry: releases in BentoML's model store, and which of them is in production."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tastemaker.errors import DataError, GateRejected
from tastemaker.promotion.approval import require_approved
from tastemaker.promotion.champion import Champion, locked, read_champion, write_champion
from tastemaker.promotion.evidence import Evidence
from tastemaker.promotion.hashing import hash_bytes, hash_tree
from tastemaker.promotion.lineage import Lineage
from tastemaker.promotion.manifest import EVIDENCE_DIR, MANIFEST_NAME, Manifest
from tastemaker.promotion.rollout.running import running_rollout
from tastemaker.promotion.store import ModelStore
from tastemaker.promotion.verdict import Verdict
from tastemaker.settings import Settings

__all__ = ["Release", "ReleaseRegistry"]

_ID = re.compile(r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?")


@dataclass(frozen=True)
class Release:
    """A registered release.

    Attributes:
        id: also its version in the model store.
        tag: in the model store, ``tastemaker-release:<id>``.
        path: its directory; what the recommender loads.
        manifest: its content and evidence.
    """

    id: str
    tag: str
    path: Path
    manifest: Manifest

    @property
    def verdict(self) -> Verdict:
        """What the gate decided."""
        return self.manifest.verdict

    @property
    def lineage(self) -> Lineage:
        """Where it came from."""
        return self.manifest.lineage


class ReleaseRegistry:
    """Registers, verifies, promotes and rolls back releases.

    Args:
        settings: ``bentoml_home`` holds the releases, ``releases_dir`` the champion pointer.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._directory = settings.releases_dir
        self._store = ModelStore(settings.bentoml_home)

    def register(
        self, release_dir: Path, evidence: Evidence, verdict: Verdict, attachments: Sequence[Path] = ()
    ) -> Release:
        """Store a judged release, whatever the verdict: a blocked one is evidence as well.

        Registering the same content again changes nothing, so that a killed flow can be repeated.

        Args:
            release_dir: what training wrote; copied.
            evidence: what the gate looked at; ``evidence.release`` is the id.
            verdict: what it decided about exactly this evidence.
            attachments: further files to keep with it, such as the drift report's HTML.

        Raises:
            DataError: the id is no valid version, the verdict judged something else, the evidence has no
                lineage or evaluation, or the id is taken by other content.
        """
        release = evidence.release
        if not _ID.fullmatch(release):
            raise DataError(f"{release!r} is no release id: use 1 to 63 of a-z, 0-9, '.', '_', '-'")
        if evidence.lineage is None or evidence.evaluation is None:
            raise DataError(f"release {release} has no lineage or no evaluation; collect both before registering it")
        files = hash_tree(release_dir)
        self._must_agree(evidence, verdict, files)
        extra = {f"{EVIDENCE_DIR}/{name}.json": content for name, content in evidence.parts().items()}
        extra |= {f"{EVIDENCE_DIR}/{path.name}": path.read_bytes() for path in attachments}
        extra |= {f"{EVIDENCE_DIR}/lineage.json": evidence.lineage.to_json()}
        extra |= {f"{EVIDENCE_DIR}/verdict.json": verdict.to_json()}
        clash = sorted((set(extra) | {MANIFEST_NAME}) & set(files))
        if clash:
            raise DataError(f"{release_dir} already has {', '.join(clash)}, which the registry writes; rename them")
        manifest = Manifest(
            release=release,
            created_at=self._settings.clock.now(),
            files=files | {name: hash_bytes(content) for name, content in extra.items()},
            metrics={
                name: estimate.value
                for name, estimate in evidence.evaluation.models.get(evidence.evaluation.reference, {}).items()
            },
            verdict=verdict,
            lineage=evidence.lineage,
        )
        with locked(self._directory):
            if self._store.has(release):
                standing = self._intact(release)
                if standing is not None and standing.manifest.files == manifest.files:
                    return standing
                if standing is not None:
                    raise DataError(f"release {release} exists with other content; a release never changes")
                self._store.delete(release)  # a registration was killed half-way
            self._store.add(release_dir, manifest, extra)
        return self.get(release)

    def list(self) -> list[Release]:
        """All registered releases, newest first; half-written ones are left out."""
        found = [self._intact(release, content=False) for release in self._store.versions()]
        return sorted((r for r in found if r is not None), key=lambda r: (r.manifest.created_at, r.id), reverse=True)

    def get(self, release: str) -> Release:
        """One release.

        Raises:
            DataError: there is none with that id, or it has no readable manifest.
        """
        path = self._store.path(release)
        if path is None:
            known = ", ".join(r.id for r in self.list()[:5]) or "none; train one"
            raise DataError(f"there is no release {release!r}; the newest are: {known}")
        try:
            manifest = Manifest.from_json((path / MANIFEST_NAME).read_bytes())
        except FileNotFoundError as error:
            raise DataError(f"release {release} at {path} has no {MANIFEST_NAME}; register it again") from error
        return Release(id=release, tag=self._store.tag(release), path=path, manifest=manifest)

    def verify(self, release: str) -> tuple[str, ...]:
        """Compare every file with the manifest, and the manifest with the hash kept in the model store.

        Returns:
            What is wrong, one line each; empty when the release is what was registered.

        Raises:
            DataError: there is no such release.
        """
        found = self.get(release)
        problems = []
        if hash_bytes((found.path / MANIFEST_NAME).read_bytes()) != self._store.manifest_hash(release):
            problems.append(f"{MANIFEST_NAME} was changed")
        here = hash_tree(found.path, exclude={MANIFEST_NAME, self._store.OWN_FILE})
        wanted = found.manifest.files
        problems += [f"{name} is missing" for name in sorted(wanted.keys() - here.keys())]
        problems += [f"{name} was added" for name in sorted(here.keys() - wanted.keys())]
        problems += [
            f"{name} was changed" for name in sorted(wanted.keys() & here.keys()) if wanted[name] != here[name]
        ]
        return tuple(problems)

    def champion(self) -> Champion | None:
        """The release in production; None before the first promotion."""
        return read_champion(self._directory)

    def promote(self, release: str, bento: str, *, rollout: bool = False) -> Champion:
        """Make a release the champion.

        Of two promotions at the same time only one wins: each verdict names the champion that it was compared
        with, and that has to be the champion still.

        Args:
            release: its id.
            bento: tag of the Bento that serves it.
            rollout: whether its rollout promotes it; while one runs, nobody else may promote anything.

        Raises:
            GateRejected: its verdict is no pass, was made against another champion, its files changed since, or a
                rollout runs.
            DataError: there is no such release.
        """
        self.require_promotable(release)
        with locked(self._directory):
            if not rollout and (trial := running_rollout(self._settings.rollouts_dir)) is not None:
                raise GateRejected(
                    f"a rollout of {trial} runs; wait for its end, take its next step with `tastemaker rollout"
                    " advance`, or end it with `tastemaker rollout abort`"
                )
            champion = read_champion(self._directory)
            if champion is not None and (champion.release, champion.bento) == (release, bento):
                return champion
            self._must_face(self.get(release).verdict, champion)
            again = champion is not None and champion.release == release  # the same release in a new Bento
            promoted = Champion(
                release=release,
                bento=bento,
                promoted_at=self._settings.clock.now(),
                previous=champion.previous if champion is not None and again else champion,
            )
            write_champion(self._directory, promoted)
        return promoted

    def require_promotable(self, release: str) -> None:
        """Check, before a Bento is built, what :meth:`promote` will check.

        Raises:
            GateRejected: as :meth:`promote`.
            DataError: there is no such release.
        """
        verdict = self.get(release).verdict
        if not verdict.passed:
            reasons = "; ".join(f"{check.name}: {check.summary}" for check in verdict.failures)
            raise GateRejected(f"release {release} may not go live, the gate says {verdict.decision}: {reasons}")
        require_approved(self._directory, verdict, self._settings.clock.now())
        self._must_verify(release)
        self._must_face(verdict, self.champion())

    def rollback(self) -> Champion:
        """Make the previous champion the champion again.

        Raises:
            GateRejected: there is no previous one, or its files changed.
        """
        with locked(self._directory):
            champion = read_champion(self._directory)
            if champion is None or champion.previous is None:
                raise GateRejected("there is no earlier champion to go back to; promote another release")
            target = champion.previous
            self._must_verify(target.release)
            restored = Champion(
                release=target.release,
                bento=target.bento,
                promoted_at=self._settings.clock.now(),
                action="rollback",
                previous=target.previous,
            )
            write_champion(self._directory, restored)
        return restored

    def _must_verify(self, release: str) -> None:
        problems = self.verify(release)
        if problems:
            raise GateRejected(
                f"release {release} is not what was judged: {'; '.join(problems[:5])}; register it again"
            )

    @staticmethod
    def _must_face(verdict: Verdict, champion: Champion | None) -> None:
        standing = champion.release if champion else None
        if standing not in {verdict.champion, verdict.release}:
            raise GateRejected(
                f"release {verdict.release} was compared with {verdict.champion or 'no champion'}, and the champion is"
                f" now {standing or 'none'}; evaluate it against that one and run the gate again"
            )

    @staticmethod
    def _must_agree(evidence: Evidence, verdict: Verdict, files: dict[str, str]) -> None:
        if verdict.release != evidence.release:
            raise DataError(f"the verdict is about release {verdict.release}, not {evidence.release}")
        if dict(evidence.files) != files:
            raise DataError(f"the files of release {evidence.release} changed since the evidence was taken")
        if {name: value for name, value in verdict.judged.items() if name != "policy"} != evidence.hashes():
            raise DataError(f"the verdict on {evidence.release} judged other evidence; run the gate again")

    def _intact(self, release: str, content: bool = True) -> Release | None:
        try:
            return self.get(release) if not content or not self.verify(release) else None
        except DataError:
            return None
