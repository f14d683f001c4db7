"""Content hashes: what a verdict judged and a release holds must be provable later."""

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path

__all__ = ["hash_bytes", "hash_files", "hash_tree"]


def hash_bytes(content: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def hash_tree(directory: Path, exclude: Collection[str] = ()) -> dict[str, str]:
    """SHA-256 of every file below a directory.

    Args:
        directory: its root.
        exclude: paths relative to it that are left out.

    Returns:
        Hash by relative POSIX path, sorted by path.
    """
    found = {}
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if path.is_file() and name not in exclude:
            with path.open("rb") as file:
                found[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def hash_files(files: Mapping[str, str]) -> str:
    """One hash of many files, from their names and hashes; the order does not matter."""
    return hash_bytes("".join(f"{name}\0{files[name]}\n" for name in sorted(files)).encode())
