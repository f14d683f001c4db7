"""What several flows show of a release, in Markdown."""

from tastemaker.promotion.releases import Release

__all__ = ["lineage_markdown"]


def lineage_markdown(release: Release) -> str:
    """Where a release comes from."""
    lineage = release.lineage
    return "\n".join(
        [
            f"Release `{release.id}`, in the model store as `{release.tag}`",
            "",
            "| | |",
            "|---|---|",
            f"| data | {lineage.data_from:%Y-%m-%d %H:%M} to {lineage.data_to:%Y-%m-%d %H:%M} UTC |",
            f"| lake | {', '.join(f'{table} {version}' for table, version in lineage.lake_versions.items())} |",
            f"| code | `{lineage.code_commit}` {lineage.code_note}, content `{lineage.code_hash[:12]}` |",
            f"| features | `{lineage.plan_hash}` |",
            f"| seed | {lineage.seed} |",
            f"| run | `{lineage.run or 'none'}` |",
        ]
    )
