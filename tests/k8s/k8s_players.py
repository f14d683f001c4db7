"""What other software does in a real cluster: a thread plays storage and Knative, as far as the tests look at them."""

import threading
from datetime import UTC, datetime
from typing import Any

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

__all__ = ["Players"]

_KNATIVE = "serving.knative.dev", "v1"
_SOURCE = "STORAGE_URI"


class Players:
    """Binds every claim to a volume, and makes revisions of Knative's services.

    KServe computes what Knative is asked for; here Knative does what it is asked for at once: a revision per template,
    traffic as the specification says.

    Attributes:
        revisions: of each service of Knative's, what each of its revisions loads, in order.
        fails: what a revision loads that never gets ready.
    """

    def __init__(self, kubeconfig: str) -> None:
        api = config.new_client_from_config(kubeconfig)
        self._core, self._custom = client.CoreV1Api(api), client.CustomObjectsApi(api)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._play, daemon=True)
        self.revisions: dict[str, list[str]] = {}
        self.fails: set[str] = set()
        self.problem: BaseException | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(20)
        if self.problem is not None:
            raise self.problem

    def _play(self) -> None:
        while not self._stop.wait(0.3):
            try:
                self._volumes()
                self._knative()
            except ApiException as error:
                if error.status not in {404, 409}:  # changed or gone meanwhile: the next round sees it
                    self.problem = error
                    return
            except BaseException as error:
                self.problem = error
                return

    def _volumes(self) -> None:
        for claim in self._core.list_persistent_volume_claim_for_all_namespaces().items:
            if claim.status.phase != "Pending" or claim.spec.volume_name:
                continue
            name = f"{claim.metadata.namespace}-{claim.metadata.name}"
            body = client.V1PersistentVolume(
                metadata=client.V1ObjectMeta(name=name),
                spec=client.V1PersistentVolumeSpec(
                    access_modes=claim.spec.access_modes,
                    capacity={"storage": claim.spec.resources.requests["storage"]},
                    host_path=client.V1HostPathVolumeSource(path=f"/volumes/{name}"),
                    claim_ref=client.V1ObjectReference(
                        namespace=claim.metadata.namespace, name=claim.metadata.name, uid=claim.metadata.uid
                    ),
                ),
            )
            self._core.create_persistent_volume(body)

    def _knative(self) -> None:
        for service in self._custom.list_cluster_custom_object(*_KNATIVE, "services")["items"]:
            told = service["metadata"]
            variables = service["spec"]["template"]["spec"]["containers"][0].get("env", ())
            loads = next((it.get("value", "") for it in variables if it["name"] == _SOURCE), "")
            known = self.revisions.setdefault(told["name"], [])
            if not known or known[-1] != loads:
                known.append(loads)
            status = _status(service, told["name"], len(known), ready=loads not in self.fails)
            if _timeless(status) != _timeless(service.get("status", {})):
                self._custom.replace_namespaced_custom_object_status(
                    *_KNATIVE, told["namespace"], "services", told["name"], {**service, "status": status}
                )


def _status(service: dict[str, Any], name: str, number: int, *, ready: bool) -> dict[str, Any]:
    newest, before = f"{name}-{number:05}", service.get("status", {})
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    status: dict[str, Any] = {
        "observedGeneration": service["metadata"]["generation"],
        "latestCreatedRevisionName": newest,
        "url": f"http://{name}.example.com",
        "address": {"url": f"http://{name}.svc"},
        "conditions": [
            {"type": kind, "status": str(ready), "lastTransitionTime": at}
            for kind in ("ConfigurationsReady", "Ready", "RoutesReady")
        ],
    }
    if not ready:
        status["latestReadyRevisionName"] = before.get("latestReadyRevisionName", "")
        status["traffic"] = before.get("traffic", [])
        return status
    status["latestReadyRevisionName"] = newest
    wanted = service["spec"].get("traffic") or [{"latestRevision": True, "percent": 100}]
    status["traffic"] = [
        {
            **entry,
            "revisionName": entry.get("revisionName") or newest,
            "latestRevision": entry.get("latestRevision", False),
        }
        for entry in wanted
    ]
    return status


def _timeless(status: dict[str, Any]) -> dict[str, Any]:
    told = [{**entry, "lastTransitionTime": None} for entry in status.get("conditions", ())]
    return {**status, "conditions": told}
