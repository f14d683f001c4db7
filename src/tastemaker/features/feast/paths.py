"""A check that the paths of ``feature_store.yaml`` were filled in."""

__all__ = ["expanded"]


def expanded(path: str) -> str:
    """The path as it is.

    Raises:
        ValueError: it still holds a variable; Feast leaves unset ones as they are.
    """
    if "${" in path:
        raise ValueError(
            f"{path!r}: TASTEMAKER_HOME is not set; run `tastemaker features apply`, or export it before `feast`"
        )
    return path
