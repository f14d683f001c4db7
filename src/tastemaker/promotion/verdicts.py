"""Verdicts on registered releases: judged again from what is stored, and kept for ever.

A verdict is a file named by what it says, below the directory of the champion pointer. It is written once; the same
policy on the same evidence finds it again. It holds while the release, the evidence and the policy are what it judged.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from tastemaker.durable import replace_file
from tastemaker.errors import DataError
from tastemaker.promotion.evidence import Evidence
from tastemaker.promotion.findings import ServingLoad
from tastemaker.promotion.gate import decide
from tastemaker.promotion.hashing import hash_bytes
from tastemaker.promotion.policy import GatePolicy
from tastemaker.promotion.releases import ReleaseRegistry
from tastemaker.promotion.verdict import Verdict
from tastemaker.settings import Settings

__all__ = ["VerdictStore", "policy_path"]

_LOAD = "serving.json"


class VerdictStore:
    """The verdicts on registered releases.

    Args:
        settings: ``releases_dir`` has them, below ``verdicts``.
    """

    def __init__(self, settings: Settings) -> None:
        self._directory = settings.releases_dir / "verdicts"
        self._registry = ReleaseRegistry(settings)

    def judge(self, release: str, policy: GatePolicy, *, now: datetime, decided_by: str = "gate") -> Verdict:
        """Judge a registered release by what is stored with it.

        Args:
            release: its id.
            policy: the checks and their limits.
            now: the time that a new verdict carries (UTC).
            decided_by: who or what decides.

        Returns:
            A new verdict, or the one that was made of the same evidence by the same policy before.

        Raises:
            DataError: there is no such release, or its files are not those that were registered.
        """
        verdict = decide(policy, self.evidence(release), now=now, decided_by=decided_by)
        path = self._directory / release / f"{policy.name}-{_content(verdict)[:16]}.json"
        if path.is_file():
            return Verdict.from_json(path.read_bytes())
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, verdict.to_json())
        path.chmod(0o444)
        return verdict

    def evidence(self, release: str) -> Evidence:
        """What is stored of a release, the load on its Bento included.

        Raises:
            DataError: as :meth:`judge`.
        """
        problems = self._registry.verify(release)
        if problems:
            raise DataError(
                f"release {release} is not what was registered: {'; '.join(problems[:5])}; no verdict on it holds,"
                " train another"
            )
        found = self._registry.get(release)
        stored = Evidence.stored(found.path, found.manifest)
        path = self._directory / release / _LOAD
        return replace(stored, serving=ServingLoad.from_json(path.read_bytes())) if path.is_file() else stored

    def history(self, release: str) -> list[Verdict]:
        """All verdicts on a release that were made since it was registered, oldest first, and the first of all."""
        paths = [path for path in (self._directory / release).glob("*.json") if path.name != _LOAD]
        made = [Verdict.from_json(path.read_bytes()) for path in paths]
        return [self._registry.get(release).verdict, *sorted(made, key=lambda one: one.decided_at)]

    def keep_load(self, release: str, load: ServingLoad) -> None:
        """Add the load on its Bento to the evidence; verdicts that were made without it no longer hold."""
        self._registry.get(release)
        path = self._directory / release / _LOAD
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, load.to_json())

    def problems(self, verdict: Verdict, policy: GatePolicy | None = None) -> Sequence[str]:
        """Why a verdict no longer holds, a line each; empty while it does.

        Args:
            verdict: of any time.
            policy: as it is now; None leaves it out.
        """
        try:
            now = self.evidence(verdict.release).hashes()
        except DataError as error:
            return (str(error),)
        if policy is not None:
            now |= {"policy": policy.digest()}
        names = sorted((now.keys() | verdict.judged.keys()) - ({"policy"} if policy is None else set()))
        return tuple(
            f"{name} {'was added' if name not in verdict.judged else 'is gone' if name not in now else 'was changed'}"
            for name in names
            if now.get(name) != verdict.judged.get(name)
        )


def _content(verdict: Verdict) -> str:
    """Hash of all that a verdict says, but not when."""
    return hash_bytes(msgspec.structs.replace(verdict, decided_at=datetime.min.replace(tzinfo=UTC)).to_json())


def policy_path(repository: Path, name: str) -> Path:
    """Where a policy is: a file's path as it is, else one of the shipped ones by its name."""
    given = Path(name)
    return given if given.suffix in {".yaml", ".yml"} else repository / "monitoring" / "gates" / f"{name}.yaml"
