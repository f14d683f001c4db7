import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        # The serving image has neither Feast nor the lake's libraries.
        ("tastemaker.features.reading.reader", {"feast", "duckdb", "deltalake", "pyarrow", "pandas", "ibis"}),
        ("tastemaker.features.plan", {"feast", "duckdb", "deltalake", "pyarrow", "pandas", "ibis", "numpy"}),
        # The worker and the command line read and write the lake, but start without Feast.
        ("tastemaker.features.streaming.state", {"feast", "pandas", "ibis"}),
        ("tastemaker.features.repository", {"feast", "pandas", "ibis"}),
    ],
)
def test_module_is_imported_without_heavy_libraries(module: str, absent: set[str]) -> None:
    code = f"import sys, {module}; print(*sorted({absent!r} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == []
