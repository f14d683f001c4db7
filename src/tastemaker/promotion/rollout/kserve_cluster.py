"""What the rollout needs of a Kubernetes API: a few verbs over plain dictionaries.

Plain dictionaries, and ``replace`` rather than a patch, because the SDK's models check nothing (``min_replicas="two"``
passes) and a merge patch made of them drops what is None, so that no field can be cleared. Every write asks the server
to refuse fields that it does not know; without that it drops them silently.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from tastemaker.errors import RolloutError

__all__ = [
    "DEPLOYMENTS",
    "GRAPHS",
    "KNATIVE",
    "PODS",
    "SERVICES",
    "Cluster",
    "ClusterConflict",
    "KubernetesCluster",
    "Object",
    "Resource",
]

Object = dict[str, Any]


@dataclass(frozen=True)
class Resource:
    """A kind of object, as the API's paths name it."""

    group: str
    version: str
    plural: str


SERVICES: Final = Resource("serving.kserve.io", "v1beta1", "inferenceservices")
GRAPHS: Final = Resource("serving.kserve.io", "v1alpha1", "inferencegraphs")
KNATIVE: Final = Resource("serving.knative.dev", "v1", "services")
DEPLOYMENTS: Final = Resource("apps", "v1", "deployments")
PODS: Final = Resource("", "v1", "pods")


class ClusterConflict(RolloutError):
    """Somebody else made or changed the object since it was read; read it again."""


class Cluster(Protocol):
    """Objects of one namespace. Each method raises :class:`RolloutError` where the server refuses or is away."""

    @property
    def namespace(self) -> str:
        """The namespace."""
        ...

    def get(self, resource: Resource, name: str) -> Object | None:
        """An object; None where there is none of that name."""
        ...

    def find(self, resource: Resource, labels: Mapping[str, str]) -> list[Object]:
        """All objects with these labels."""
        ...

    def create(self, resource: Resource, body: Object) -> Object:
        """Make an object.

        Raises:
            ClusterConflict: there is one of that name.
        """
        ...

    def replace(self, resource: Resource, body: Object) -> Object:
        """Put an object in the place of the version that it was read as (``metadata.resourceVersion``).

        Raises:
            ClusterConflict: it has changed since, or is gone.
        """
        ...

    def delete(self, resource: Resource, name: str) -> None:
        """Remove an object; none of that name is fine."""
        ...


class KubernetesCluster:
    """A :class:`Cluster` through the KServe SDK's client.

    Args:
        namespace: where the platform is.
        kubeconfig: path of a configuration; empty: the pod's own account, else the user's.
        timeout_s: seconds that one call may take.
    """

    def __init__(self, namespace: str, kubeconfig: str = "", timeout_s: float = 10.0) -> None:
        from kserve import KServeClient
        from kubernetes import client
        from kubernetes.config import ConfigException

        self._namespace = namespace
        # A configuration of its own: the SDK would put it where every client of this process takes it from.
        configuration = client.Configuration() if kubeconfig else None
        try:
            self._sdk = KServeClient(config_file=kubeconfig or None, client_configuration=configuration)
        except (ConfigException, OSError) as error:
            raise RolloutError(f"no way to the cluster: {error}; name a configuration, or run in a pod") from error
        if configuration is not None:
            own = client.ApiClient(configuration)
            self._sdk.api_instance, self._sdk.core_api = client.CustomObjectsApi(own), client.CoreV1Api(own)
        self._timeout = timeout_s

    @property
    def namespace(self) -> str:
        """The namespace."""
        return self._namespace

    def get(self, resource: Resource, name: str) -> Object | None:
        """See :class:`Cluster`."""
        found = self._call("get", resource, name, missing_is_fine=True)
        return found if isinstance(found, dict) else None

    def find(self, resource: Resource, labels: Mapping[str, str]) -> list[Object]:
        """See :class:`Cluster`."""
        selector = ",".join(f"{name}={value}" for name, value in sorted(labels.items()))
        listed = self._pods(selector) if resource == PODS else self._call("list", resource, label_selector=selector)
        return list(listed["items"])

    def create(self, resource: Resource, body: Object) -> Object:
        """See :class:`Cluster`."""
        return dict(self._call("create", resource, body, field_validation="Strict"))

    def replace(self, resource: Resource, body: Object) -> Object:
        """See :class:`Cluster`."""
        return dict(self._call("replace", resource, body["metadata"]["name"], body, field_validation="Strict"))

    def delete(self, resource: Resource, name: str) -> None:
        """See :class:`Cluster`."""
        self._call("delete", resource, name, missing_is_fine=True)

    def _call(self, verb: str, resource: Resource, *args: object, missing_is_fine: bool = False, **options: Any) -> Any:
        method = getattr(self._sdk.api_instance, f"{verb}_namespaced_custom_object")
        where = resource.group, resource.version, self._namespace, resource.plural
        return self._tried(
            f"{verb} {resource.plural}",
            lambda: method(*where, *args, **options, _request_timeout=self._timeout),
            missing_is_fine,
        )

    def _pods(self, selector: str) -> Any:
        listed = self._tried(
            "list pods",
            lambda: self._sdk.core_api.list_namespaced_pod(
                self._namespace, label_selector=selector, _request_timeout=self._timeout
            ),
            False,
        )
        return self._sdk.core_api.api_client.sanitize_for_serialization(listed)

    def _tried(self, what: str, call: Any, missing_is_fine: bool) -> Any:
        from kubernetes.client.exceptions import ApiException
        from urllib3.exceptions import HTTPError

        what = f"{what} in {self._namespace}"
        try:
            return call()
        except ApiException as error:
            if error.status == 404 and missing_is_fine:
                return None
            said = _message(error)
            if error.status == 409:
                raise ClusterConflict(f"{what}: {said}") from error
            raise RolloutError(f"{what}: the cluster answered {error.status}: {said}") from error
        except (HTTPError, OSError) as error:
            raise RolloutError(f"{what}: the cluster does not answer ({error}); try again when it does") from error


def _message(error: Any) -> str:
    try:
        return str(json.loads(error.body)["message"])
    except (TypeError, ValueError, KeyError):
        return str(error.reason)
