"""A Kubernetes cluster of real programs on this machine: everything but containers that run.

etcd, the API server, the controller manager and the scheduler of Kubernetes; KServe's controller with its webhooks; and
KWOK, which says of three nodes that they are ready and of their pods that they run. All listen on 127.0.0.1.
"""

import base64
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import yaml
from k8s_keys import make_certificate, make_key
from k8s_programs import Programs, free_port, until

__all__ = ["RealCluster"]

_MANIFESTS = Path(__file__).resolve().parents[2] / "manifests"
_TOKEN = "of-the-tests"  # of a server that only this process reaches, for as long as it lives
_OPERATORS = ("strimzi", "prometheus-operator", "keda")


class RealCluster:
    """The cluster.

    Args:
        built: folder of the programs, with ``bin`` and ``share``.
        work: folder for state and logs.

    Attributes:
        kubeconfig: path of the configuration that reaches it.
    """

    def __init__(self, built: Path, work: Path) -> None:
        self._built, self._work = built, work
        self._programs = Programs(built / "bin", work)
        self.kubeconfig = work / "kubeconfig"
        self._webhook_port = free_port()

    def start(self) -> None:
        """Start everything, in its order."""
        try:
            self._control_plane()
            self._nodes()
            self._definitions()
            self._kserve()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop everything."""
        self._programs.stop_all()

    def kubectl(self, *args: str, stdin: str = "", check: bool = True) -> str:
        """What kubectl prints.

        Raises:
            AssertionError: it fails; quotes what it says.
        """
        done = subprocess.run(
            [str(self._built / "bin" / "kubectl"), "--kubeconfig", str(self.kubeconfig), *args],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            env={"HOME": str(self._work), "PATH": os.environ["PATH"]},
        )
        assert not check or done.returncode == 0, done.stderr[-4000:]
        return done.stdout

    def apply(self, documents: list[dict[str, Any]] | Path, *options: str) -> str:
        """Apply, on the server's side; a field that it does not know is an error."""
        options = ("apply", "--server-side", "--force-conflicts", "--validate=strict", *options)
        if isinstance(documents, Path):
            return self.kubectl(*options, "-f", str(documents))
        return self.kubectl(*options, "-f", "-", stdin=yaml.safe_dump_all(documents))

    def get(self, *what: str) -> Any:
        """An object, or a list of them, as kubectl knows it."""
        return json.loads(self.kubectl("get", "-o", "json", *what))

    def stop_kserve(self) -> None:
        """Kill KServe's controller."""
        self._programs.stop("kserve-manager")

    def start_kserve(self) -> None:
        """Start KServe's controller, and wait until it and its webhooks are ready."""
        health = free_port()
        self._programs.start(
            "kserve-manager",
            f"--metrics-addr=127.0.0.1:{free_port()}",
            f"--health-probe-addr=127.0.0.1:{health}",
            f"--webhook-port={self._webhook_port}",
            env={
                "KUBECONFIG": str(self.kubeconfig),
                "POD_NAMESPACE": "kserve",
                "TMPDIR": str(self._work / "tmp"),  # below it, it looks for the webhooks' certificate
                "HOME": str(self._work),
                "GOMAXPROCS": "2",
            },
        )
        self._until(f"http://127.0.0.1:{health}/readyz", "KServe's controller is ready")

    def _control_plane(self) -> None:
        client, peer, api = free_port(), free_port(), free_port()
        (self._work / "sa.key").write_bytes(make_key())
        (self._work / "tokens.csv").write_text(f"{_TOKEN},admin,admin,system:masters\n")
        self._programs.start(
            "etcd",
            f"--data-dir={self._work / 'etcd'}",
            "--unsafe-no-fsync",
            f"--listen-client-urls=http://127.0.0.1:{client}",
            f"--advertise-client-urls=http://127.0.0.1:{client}",
            f"--listen-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-cluster=default=http://127.0.0.1:{peer}",
        )
        key = self._work / "sa.key"
        self._programs.start(
            "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{client}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={api}",
            f"--cert-dir={self._work / 'apiserver'}",
            "--endpoint-reconciler-type=none",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--authorization-mode=RBAC",
            f"--token-auth-file={self._work / 'tokens.csv'}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
        )
        self._until(f"https://127.0.0.1:{api}/readyz", "the API server is ready", 180)
        authority = self._work / "apiserver" / "apiserver.crt"
        context = {"cluster": "tests", "user": "admin"}
        configuration = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "tests",
            "clusters": [
                {
                    "name": "tests",
                    "cluster": {"server": f"https://127.0.0.1:{api}", "certificate-authority": str(authority)},
                }
            ],
            "users": [{"name": "admin", "user": {"token": _TOKEN}}],
            "contexts": [{"name": "tests", "context": context}],
        }
        self.kubeconfig.write_text(yaml.safe_dump(configuration))
        common = (f"--kubeconfig={self.kubeconfig}", "--bind-address=127.0.0.1", "--leader-elect=false")
        self._programs.start(
            "kube-controller-manager",
            *common,
            f"--secure-port={free_port()}",
            f"--cert-dir={self._work / 'controllers'}",
            f"--service-account-private-key-file={key}",
            f"--root-ca-file={authority}",
        )
        self._programs.start(
            "kube-scheduler", *common, f"--secure-port={free_port()}", f"--cert-dir={self._work / 'scheduler'}"
        )

    def _nodes(self) -> None:
        stages = self._built / "share" / "kwok" / "stage"
        files = [
            *stages.glob("node/fast/*.yaml"),
            *stages.glob("node/heartbeat/*.yaml"),
            *stages.glob("pod/fast/*.yaml"),
        ]
        self._programs.start(
            "kwok",
            *(f"--config={path}" for path in sorted(files) if path.name != "kustomization.yaml"),
            f"--kubeconfig={self.kubeconfig}",
            "--manage-all-nodes=false",
            "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
            f"--server-address=127.0.0.1:{free_port()}",
            "--node-lease-duration-seconds=40",
            env={"HOME": str(self._work), "KUBECONFIG": str(self.kubeconfig)},
        )
        holds = {"cpu": "64", "memory": "256Gi", "pods": "110"}
        for zone in "abc":
            node = {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {
                    "name": f"node-{zone}",
                    "annotations": {"kwok.x-k8s.io/node": "fake", "node.alpha.kubernetes.io/ttl": "0"},
                    "labels": {
                        "kubernetes.io/hostname": f"node-{zone}",
                        "kubernetes.io/os": "linux",
                        "topology.kubernetes.io/zone": zone,
                    },
                },
                "status": {"allocatable": holds, "capacity": holds},
            }
            self.kubectl("create", "-f", "-", stdin=yaml.safe_dump(node))
        self.kubectl("wait", "--for=condition=Ready", "node", "--all", "--timeout=90s")

    def _definitions(self) -> None:
        kserve = self._built / "share" / "kserve"
        files = [
            *kserve.glob("config/crd/full/serving*.yaml"),
            *kserve.glob("config/crd/full/clusterstoragecontainer/serving*.yaml"),
            *kserve.glob("crds/gatewayapi_*.yaml"),
            kserve / "crds" / "knative_service.yaml",
            *(path for name in _OPERATORS for path in _MANIFESTS.glob(f"schemas/{name}-*/*.json")),
        ]
        self.kubectl("apply", "--server-side", *(option for path in files for option in ("-f", str(path))))

        def established() -> bool:
            # A definition that was just made has null for its conditions.
            conditions = [crd["status"].get("conditions") or () for crd in self.get("crd")["items"]]
            return all(
                any(it["type"] == "Established" and it["status"] == "True" for it in told) for told in conditions
            )

        until("all definitions are established", established, 90)

    def _kserve(self) -> None:
        config = self._built / "share" / "kserve" / "config"
        authority = make_certificate(self._work / "tmp" / "k8s-webhook-server" / "serving-certs")
        told = next(
            it for it in _documents(config / "configmap" / "inferenceservice.yaml") if it["kind"] == "ConfigMap"
        )
        told["metadata"]["namespace"] = "kserve"
        told["data"].pop("_example", None)
        told["data"]["deploy"] = json.dumps({"defaultDeploymentMode": "Standard"})
        ingress = json.loads(told["data"]["ingress"])
        ingress |= {"enableGatewayApi": True, "disableIstioVirtualHost": True}
        told["data"]["ingress"] = json.dumps(ingress)
        router = json.loads(told["data"]["router"])
        router["headers"] = {"propagate": ["Authorization", "X-Api-Key", "Traceparent"]}  # as docs/kubernetes.md says
        told["data"]["router"] = json.dumps(router)
        self.apply(
            [
                {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
                for name in ("kserve", "knative-serving")
            ]
        )
        autoscaler = {"name": "config-autoscaler", "namespace": "knative-serving"}
        self.apply([told, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": autoscaler}])  # read in Knative mode
        for name in ("config-features", "config-deployment"):
            self.apply([{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {**autoscaler, "name": name}}])
        self.start_kserve()
        hooks = [it for it in _documents(config / "webhook" / "manifests.yaml") if it]
        for hook in hooks:
            hook["metadata"].pop("creationTimestamp", None)
            for entry in hook["webhooks"]:
                path = entry["clientConfig"]["service"]["path"]
                entry["clientConfig"] = {
                    "url": f"https://127.0.0.1:{self._webhook_port}{path}",
                    "caBundle": base64.b64encode(authority).decode(),
                }
        self.apply(hooks)
        containers = [it for it in _documents(config / "storagecontainers" / "default.yaml") if it]
        self.apply([it for it in containers if it["kind"] == "ClusterStorageContainer"])

    def _until(self, url: str, what: str, seconds: float = 90) -> None:
        import httpx

        def answers() -> bool:
            self._programs.check()
            try:
                headers = {"authorization": f"Bearer {_TOKEN}"}
                return httpx.get(url, headers=headers, verify=False, timeout=2).status_code == 200
            except httpx.TransportError:
                return False

        until(what, answers, seconds)


def _documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
