"""What Knative's webhook refuses of a predictor that KServe's takes.

From ``pkg/apis/serving`` of Knative Serving 1.23 (``fieldmask.go``, ``k8s_validation.go``), with the features on that
docs/kubernetes.md lists. KServe hands a predictor on as it is: the refusal is in the status of a service that never
gets ready, and no schema has it.
"""

from collections.abc import Iterator
from typing import Any

__all__ = ["FEATURES", "refused_by_knative"]

FEATURES = (  # of Knative's config-features
    "kubernetes.podspec-persistent-volume-claim",
    "kubernetes.podspec-persistent-volume-write",
    "kubernetes.podspec-securitycontext",
    "kubernetes.podspec-volumes-emptydir",
)
_PREDICTOR = {  # fields of the pod; the others of a predictor are KServe's own
    "terminationGracePeriodSeconds",
    "topologySpreadConstraints",
    "affinity",
    "nodeSelector",
    "tolerations",
    "hostNetwork",
    "hostPID",
    "hostIPC",
    "initContainers",
    "priorityClassName",
    "dnsPolicy",
    "lifecycle",
}
_POD_SAFETY = {"runAsUser", "runAsGroup", "runAsNonRoot", "fsGroup", "supplementalGroups", "seccompProfile"}
_SAFETY = {
    "capabilities",
    "readOnlyRootFilesystem",
    "runAsUser",
    "runAsGroup",
    "runAsNonRoot",
    "allowPrivilegeEscalation",
    "seccompProfile",
}
_VARIABLES = {"PORT", "K_SERVICE", "K_CONFIGURATION", "K_REVISION"}
_PATHS = {"/", "/dev", "/dev/log"}
_PORTS = {8012, 8013, 8022, 9090, 9091, 8008}
_VOLUMES = {"secret", "configMap", "projected", "emptyDir", "persistentVolumeClaim"}


def refused_by_knative(predictor: dict[str, Any]) -> Iterator[str]:
    """What is refused, a line each."""
    yield from (f"the field {name}" for name in sorted(_PREDICTOR & set(predictor)))
    if predictor.get("automountServiceAccountToken"):
        yield "automountServiceAccountToken is true"
    yield from (f"securityContext.{name}" for name in sorted(set(predictor.get("securityContext", {})) - _POD_SAFETY))
    for volume in predictor.get("volumes", ()):
        yield from (f"the volume {volume['name']}" for kind in set(volume) - {"name"} - _VOLUMES if kind)
    for container in predictor["containers"]:
        told = container["name"]
        yield from (f"{told}: {it['name']}" for it in container.get("env", ()) if it["name"] in _VARIABLES)
        yield from (f"{told}: {it['mountPath']}" for it in container["volumeMounts"] if it["mountPath"] in _PATHS)
        yield from (f"{told}: {name}" for name in sorted(set(container["securityContext"]) - _SAFETY))
        ports = container["ports"]
        if (
            len(ports) != 1
            or ports[0]["containerPort"] in _PORTS
            or ports[0].get("name", "") not in {"", "http1", "h2c"}
        ):
            yield f"{told}: the ports {ports}"
