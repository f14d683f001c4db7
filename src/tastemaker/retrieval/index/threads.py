"""One thread for a query: faiss takes all cores unless each thread that asks has said otherwise."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["faiss_threads", "one_thread"]

_said = threading.local()


def one_thread() -> None:
    """From now on faiss uses this thread alone for what this thread asks; more would only wait for each other."""
    if not getattr(_said, "one", False):
        import faiss

        faiss.omp_set_num_threads(1)  # OpenMP keeps the number for each thread that asks
        _said.one = True


@contextmanager
def faiss_threads(n: int) -> Iterator[None]:
    """Let faiss use ``n`` threads for what this thread asks meanwhile: to build, not to serve."""
    import faiss

    faiss.omp_set_num_threads(n)
    _said.one = n == 1
    try:
        yield
    finally:
        faiss.omp_set_num_threads(1)
        _said.one = True
