"""Small tables on disk."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

__all__ = ["Files"]


class Files:
    """Writes tables into a directory and gives their paths."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def write(self, name: str, **columns: Any) -> Path:
        """Write ``<name>.parquet``."""
        path = self.directory / f"{name}.parquet"
        pq.write_table(pa.table(columns), path)
        return path
