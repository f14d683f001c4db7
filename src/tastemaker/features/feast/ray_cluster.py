"""A Ray cluster, connected to as Feast does it: a local one, a remote one, or KubeRay, by Feast's own options."""

import os
import secrets
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any, Protocol

from tastemaker.errors import DataError

__all__ = ["Cluster", "ClusterOptions", "Ref", "prepare_environment"]

Ref = Any
"""A ``ray.ObjectRef``: a value that lies, or will lie, somewhere in the cluster."""


def prepare_environment(options: Mapping[str, Any], environ: MutableMapping[str, str]) -> None:
    """Say to Ray what it only reads from the environment while it is imported.

    A cluster on this machine then listens on the loopback interface alone, with a token of its own, and nothing is
    reported to Ray's makers. Ray 2.60 turns 127.0.0.1 into the machine's address unless it believes that it runs where
    clusters are not supported, which is what the oddly named variable says (``ray/_private/services.py``).

    Args:
        options: of the offline store.
        environ: of this process; variables that are set stay.
    """
    environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if environ.get("RAY_ADDRESS") or options.get("ray_address") or options.get("use_kuberay"):
        return
    environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    environ.setdefault("RAY_AUTH_MODE", "token")
    if environ["RAY_AUTH_MODE"] == "token" and "RAY_AUTH_TOKEN_PATH" not in environ:
        environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))


class ClusterOptions(Protocol):
    """The options of Feast's Ray stores and engines that matter here."""

    ray_address: str | None
    ray_conf: dict[str, Any] | None
    worker_task_options: dict[str, Any] | None


class Cluster:
    """Runs functions on a Ray cluster. Ray is imported, and connected to, when this is built.

    Args:
        options: Feast's options of the connection and of each task.

    Raises:
        DataError: no cluster is there, or none can be started.
    """

    def __init__(self, options: ClusterOptions) -> None:
        prepare_environment(vars(options), os.environ)
        import ray

        _connect(ray, options)
        self._ray = ray
        self.task_options: dict[str, Any] = dict(options.worker_task_options or {})

    @property
    def slots(self) -> int:
        """How many tasks can run at the same time."""
        resources: dict[str, float] = self._ray.cluster_resources()  # type: ignore[no-untyped-call]
        return max(1, int(resources.get("CPU", 1) / max(self.task_options.get("num_cpus", 1), 0.01)))

    def put(self, value: Any) -> Ref:
        """Place a value in the cluster's memory."""
        return self._ray.put(value)

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Ref:
        """Run a function of an importable module somewhere; arguments that are references arrive as their values."""
        return self._ray.remote(function).options(**self.task_options).remote(*arguments)

    def submit_split(self, function: Callable[..., list[Any]], returns: int, *arguments: Any) -> list[Ref]:
        """As :meth:`submit`, of a function that returns a list; each entry gets a reference of its own."""
        if returns == 1:  # Ray takes the list itself as the one value
            return [self.submit(_first, function, *arguments)]
        split = self._ray.remote(function).options(num_returns=returns, **self.task_options)
        return list(split.remote(*arguments))

    def collect(self, refs: Sequence[Ref]) -> list[Any]:
        """The values, fetched to this process.

        Raises:
            DataError: workers died more often than they are started anew, such as for lack of memory.
        """
        from ray.exceptions import RayError, RayTaskError

        try:
            values: list[Any] = self._ray.get(list(refs))
        except RayTaskError as error:
            raise error.cause from error  # the function's own exception, not the transport's
        except RayError as error:
            raise DataError(
                f"the Ray cluster could not finish: {error}. If workers ran out of memory: lower"
                " offline_store.partition_rows, or give each task more (worker_task_options: {memory: ...})"
            ) from error
        return values

    def wait_for_one(self, refs: Sequence[Ref]) -> tuple[list[Ref], list[Ref]]:
        """Wait until one is there; the references that are, and those that are not yet."""
        ready, rest = self._ray.wait(list(refs), num_returns=1)
        return list(ready), list(rest)

    def dataset(self, refs: Sequence[Ref]) -> Any:
        """Arrow tables in the cluster as a ``ray.data.Dataset``."""
        return self._ray.data.from_arrow_refs(list(refs))


def _connect(ray: Any, options: ClusterOptions) -> None:
    """Connect, with a second try: Ray gives a local node 30 s to start, which a busy machine may need."""
    from feast.infra import ray_initializer

    for last in (False, True):
        try:
            # Feast remembers that it connected, even after someone else has shut Ray down.
            ray_initializer.ensure_ray_initialized(options, force_reinit=not ray.is_initialized())
            return
        except Exception as error:  # Ray has no narrower one for this
            ray.shutdown()
            if last:
                raise DataError(
                    f"the Ray cluster cannot be reached, or started on this machine: {error}. See that it runs where"
                    " RAY_ADDRESS or offline_store.ray_address says, or set TASTEMAKER_FEATURES_ENGINE=local"
                ) from error


def _first(function: Callable[..., list[Any]], *arguments: Any) -> Any:
    return function(*arguments)[0]
