"""How releases look on a terminal, and as JSON."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from tastemaker.promotion.champion import Champion
    from tastemaker.promotion.manifest import Manifest
    from tastemaker.promotion.releases import Release

__all__ = [
    "diff_fields",
    "list_fields",
    "list_table",
    "print_diff",
    "print_lineage",
    "print_release",
    "release_fields",
]

_MARKS = {"champion": "★", "trial": "◐", "previous": "↩", "": ""}


def _role(release: str, champion: "Champion | None", trial: str | None) -> str:
    if champion is not None and champion.release == release:
        return "champion"
    if trial == release:
        return "trial"
    before = champion.previous if champion is not None else None
    return "previous" if before is not None and before.release == release else ""


def list_table(releases: "Sequence[Release]", champion: "Champion | None", trial: str | None) -> Table:
    """One row for each release."""
    table = Table("", "release", "created", "learned from", "NDCG", "verdict")
    for release in releases:
        manifest = release.manifest
        table.add_row(
            _MARKS[_role(release.id, champion, trial)],
            release.id,
            f"{manifest.created_at:%Y-%m-%d %H:%M}",
            f"{manifest.lineage.data_from:%Y-%m-%d} to {manifest.lineage.data_to:%Y-%m-%d}",
            f"{manifest.metrics['ndcg']:.3f}" if "ndcg" in manifest.metrics else "–",
            manifest.verdict.decision,
        )
    return table


def list_fields(releases: "Sequence[Release]", champion: "Champion | None", trial: str | None) -> list[dict[str, Any]]:
    """The same as JSON."""
    return [
        {
            "release": release.id,
            "tag": release.tag,
            "role": _role(release.id, champion, trial),
            "created_at": release.manifest.created_at.isoformat(),
            "data_from": release.manifest.lineage.data_from.isoformat(),
            "data_to": release.manifest.lineage.data_to.isoformat(),
            "metrics": release.manifest.metrics,
            "decision": release.manifest.verdict.decision,
        }
        for release in releases
    ]


def release_fields(manifest: "Manifest") -> dict[str, Any]:
    """A release as JSON: its manifest, verdict and lineage included."""
    import msgspec

    fields: dict[str, Any] = msgspec.to_builtins(manifest)
    return fields


def print_release(console: Console, release: "Release") -> None:
    """A release with all of its evidence."""
    from tastemaker.errors import ServingError
    from tastemaker.evaluation.report import EvaluationReport
    from tastemaker.promotion.manifest import EVIDENCE_DIR
    from tastemaker.release.files import ModelCard

    report = EvaluationReport.from_json((release.path / EVIDENCE_DIR / "evaluation.json").read_bytes())
    console.print(f"[bold]{release.id}[/]  {release.tag}")
    console.print(report.table())
    console.print(release.verdict.table())
    try:
        for line in ModelCard.read(release.path).towers.lines():
            console.print(line, highlight=False)
    except ServingError as error:  # of another version of the platform
        console.print(f"how it was trained cannot be told: {error}", highlight=False)
    print_lineage(console, release.manifest)


def print_lineage(console: Console, manifest: "Manifest") -> None:
    """Where a release comes from: data, code, parameters, run, verdict."""
    lineage, verdict = manifest.lineage, manifest.verdict
    lake = ", ".join(f"{table} {version}" for table, version in sorted(lineage.lake_versions.items()))
    rows = {
        "release": manifest.release,
        "data": f"{lineage.data_from:%Y-%m-%d} to {lineage.data_to:%Y-%m-%d}; lake versions {lake}",
        "code": f"{lineage.code_commit} {lineage.code_note or '(unchanged)'}, files {lineage.code_hash[:12]}",
        "features": f"plan {lineage.plan_hash}",
        "parameters": ", ".join(f"{name} {value}" for name, value in _flat(lineage.parameters).items()) or "–",
        "seed": str(lineage.seed),
        "run": lineage.run or "–",
        "verdict": f"{verdict.decision} by policy {verdict.policy}, {verdict.decided_at:%Y-%m-%d %H:%M},"
        f" against {verdict.champion or 'no champion'}",
    }
    for name, value in rows.items():
        console.print(f"{name:<11}{value}", highlight=False, markup=False, soft_wrap=True)


def diff_fields(before: "Manifest", after: "Manifest") -> dict[str, Any]:
    """What differs, by part: ``{name: [before, after]}``; files by their names."""
    told: dict[str, Any] = {}
    for part, (old, new) in {
        "metrics": (before.metrics, after.metrics),
        "parameters": (_flat(before.lineage.parameters), _flat(after.lineage.parameters)),
        "lineage": (_origin(before), _origin(after)),
    }.items():
        names = sorted(old.keys() | new.keys())
        told[part] = {name: [old.get(name), new.get(name)] for name in names if old.get(name) != new.get(name)}
    names = sorted(before.files.keys() | after.files.keys())
    told["files"] = {
        "added": [name for name in names if name not in before.files],
        "removed": [name for name in names if name not in after.files],
        "changed": [
            name
            for name in names
            if name in before.files and name in after.files and before.files[name] != after.files[name]
        ],
    }
    return told


def print_diff(console: Console, before: str, after: str, told: dict[str, Any]) -> None:
    """The differences as a table."""
    table = Table("", before, after)
    for part in ("metrics", "lineage", "parameters"):
        for name, (old, new) in told[part].items():
            table.add_row(f"{part}: {name}", _text(old), _text(new))
    if table.row_count:
        console.print(table, markup=False)
    else:
        console.print("Metrics, lineage and parameters are equal.")
    for how, names in told["files"].items():
        if names:
            console.print(f"files {how}: {', '.join(names)}", highlight=False, soft_wrap=True)


def _origin(manifest: "Manifest") -> dict[str, Any]:
    lineage = manifest.lineage
    return {
        "data_from": lineage.data_from.isoformat(),
        "data_to": lineage.data_to.isoformat(),
        **{f"lake {table}": version for table, version in lineage.lake_versions.items()},
        "code_commit": lineage.code_commit,
        "code_hash": lineage.code_hash,
        "plan_hash": lineage.plan_hash,
        "seed": lineage.seed,
        "verdict": manifest.verdict.decision,
    }


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested parameters by their paths."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _text(value: Any) -> str:
    return "–" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
