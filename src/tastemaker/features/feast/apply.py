"""`feast apply` after a check: ``python -m tastemaker.features.feast.apply DIRECTORY``.

Feast registers declarations before it asks the online store what it thinks of them. Here they are compiled first, so
that a wrong one leaves the registry as it was, and what is scheduled goes on with the declarations in force.
"""

import os
import sys
from pathlib import Path

__all__ = ["main"]


def main(directory: Path) -> None:
    """Check a feature repository, then apply it.

    Args:
        directory: with ``feature_store.yaml`` and the declarations, which are imported as top-level modules.

    Raises:
        DeclarationError: one cannot be executed; names file and line, view, part and remedy.
    """
    from feast.repo_config import load_repo_config
    from feast.repo_operations import apply_total, parse_repo

    from tastemaker.features.declarations.compile import compile_repository

    os.chdir(directory)
    sys.path.insert(0, str(directory))
    sys.dont_write_bytecode = True  # the directory is the user's
    config = load_repo_config(directory, directory / "feature_store.yaml")
    found = parse_repo(directory)
    compile_repository(
        [*found.feature_views, *found.stream_feature_views],
        found.feature_services,
        found.entities,
        found.on_demand_feature_views,
        directory,
    )
    apply_total(config, directory, skip_source_validation=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
