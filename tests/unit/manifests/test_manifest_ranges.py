"""What schemas and webhooks accept wrongly, or cannot know: ranges, references, our settings, safety of containers."""

import copy
import json
import re
from typing import Any

import pytest
from manifest_objects import OVERLAYS, containers, named, objects, of_kind, pod_specs, selected
from manifest_ranges import problems_of_serving
from manifest_schemas import problems

from tastemaker.broker.topics import TOPICS
from tastemaker.settings import ENV_PREFIX, Settings

# Made by hand or by operators, see docs/kubernetes.md: name and keys.
SECRETS = {
    "tastemaker-api-keys": {"keys.json", "metrics"},
    "tastemaker-online-store": {"url", "password"},
    "tastemaker-prefect": {"database-url", "auth"},
    "tastemaker-flow": set(),
    "events-cluster-ca-cert": {"ca.crt"},
}
ALL = pytest.mark.parametrize("overlay", OVERLAYS)


@ALL
def test_shares_weights_and_replicas_of_serving_are_in_range(overlay: str) -> None:
    assert [told for found in objects(overlay) for told in problems_of_serving(found)] == []


@pytest.mark.parametrize(
    ("kind", "name", "change", "expected"),
    [
        ("InferenceService", "ranking", {"canaryTrafficPercent": 150}, "canaryTrafficPercent is 150"),
        ("InferenceService", "ranking", {"canaryTrafficPercent": -1}, "canaryTrafficPercent is -1"),
        ("InferenceService", "ranking", {"minReplicas": 9, "maxReplicas": 3}, "minReplicas 9 is above maxReplicas 3"),
        ("InferenceService", "ranking", {"scaleTarget": 0}, "scaleTarget is 0"),
        ("InferenceService", "ranking", {"scaleTarget": 140}, "scaleTarget is 140 % of cpu"),
    ],
)
def test_what_the_schema_accepts_out_of_range_is_refused_here(
    kind: str, name: str, change: dict[str, Any], expected: str
) -> None:
    changed = copy.deepcopy(named("production", kind, name))
    changed["spec"]["predictor"] |= change
    assert list(problems(changed)) == []  # the schema takes it
    assert any(expected in told for told in problems_of_serving(changed))


@pytest.mark.parametrize("mode", ["Standard", "RawDeployment"])
def test_a_canary_share_where_it_moves_nothing_is_refused(mode: str) -> None:
    changed = copy.deepcopy(named("knative-canary", "InferenceService", "ranking"))
    assert list(problems_of_serving(changed)) == []
    changed["metadata"]["annotations"]["serving.kserve.io/deploymentMode"] = mode
    assert any("moves no traffic" in told for told in problems_of_serving(changed))


def test_weights_that_do_not_add_up_are_refused() -> None:
    graph = copy.deepcopy(named("production", "InferenceGraph", "lists"))
    graph["spec"]["nodes"]["root"] = {
        "routerType": "Splitter",
        "steps": [{"serviceUrl": "http://a", "weight": 120}, {"serviceUrl": "http://b", "weight": -20}],
    }
    assert list(problems(graph)) == []
    assert len(list(problems_of_serving(graph))) == 2  # each weight is out of range, though they add up


@ALL
def test_who_is_scaled_by_an_autoscaler_names_no_number_that_applying_again_would_bring_back(overlay: str) -> None:
    scaled = [
        it["spec"]["scaleTargetRef"]["name"] for it in of_kind(overlay, "HorizontalPodAutoscaler", "ScaledObject")
    ]
    assert "collector" in scaled
    assert ("stream-worker" in scaled) == (overlay != "local")  # KEDA is not for one node
    for name in scaled:
        assert "replicas" not in named(overlay, "Deployment", name)["spec"], name


@ALL
def test_topics_are_those_of_the_code_with_its_partitions_and_policies(overlay: str) -> None:
    (nodes,) = of_kind(overlay, "KafkaNodePool")
    found = {topic["metadata"]["name"]: topic["spec"] for topic in of_kind(overlay, "KafkaTopic")}
    assert set(found) == set(TOPICS)
    for name, topic in TOPICS.items():
        assert found[name]["partitions"] == topic.partitions
        assert found[name].get("config", {}) == dict(topic.config)
        assert found[name]["replicas"] <= nodes["spec"]["replicas"]


@ALL
def test_every_setting_of_ours_is_one_that_the_code_reads_and_takes(overlay: str) -> None:
    for name, _, spec in pod_specs(overlay):
        for container in containers(spec):
            environ = environment(overlay, container)
            ours = {key for key in environ if key.startswith(ENV_PREFIX)} - {"TASTEMAKER_RELEASE_DIR"}
            assert {key.removeprefix(ENV_PREFIX).lower() for key in ours} <= set(Settings.model_fields), name
            if ours:
                Settings.from_env(environ)  # raises on a value that does not convert


def environment(overlay: str, container: dict[str, Any]) -> dict[str, str]:
    """The environment of a container; what comes from secrets has a value of the right form."""
    found: dict[str, str] = {}
    for source in container.get("envFrom", ()):
        found |= named(overlay, "ConfigMap", source["configMapRef"]["name"])["data"]
    for variable in container.get("env", ()):
        found[variable["name"]] = variable.get("value", "redis://redis:6379/0")
    return found


@ALL
def test_ports_are_those_that_the_code_listens_on(overlay: str) -> None:
    defaults = {name: field.default for name, field in Settings.model_fields.items()}

    def port(kind: str, name: str) -> int:
        spec = named(overlay, kind, name)["spec"]
        spec = spec["predictor"] if kind == "InferenceService" else spec["template"]["spec"]
        return int(spec["containers"][0]["ports"][0]["containerPort"])

    assert port("Deployment", "collector") == defaults["collector_port"]
    assert port("Deployment", "stream-worker") == defaults["worker_metrics_port"]
    assert port("Deployment", "exporter") == defaults["exporter_port"]
    assert port("Deployment", "prefect-server") == defaults["prefect_port"]
    for model in ("recommender", "retrieval", "ranking"):
        container = named(overlay, "InferenceService", model)["spec"]["predictor"]["containers"][0]
        assert container["name"] == "kserve-container"
        # Where Knative runs it, Knative sets PORT, to the port that the container names.
        listens = environment(overlay, container).get("PORT", "8080" if overlay.startswith("knative") else "0")
        assert port("InferenceService", model) == int(listens) == 8080
        assert container["readinessProbe"]["httpGet"] == {"path": "/v2/health/ready", "port": 8080}


@ALL
def test_containers_are_not_root_cannot_write_to_their_image_and_say_what_they_need(overlay: str) -> None:
    for name, _, spec in pod_specs(overlay):
        pod = spec["securityContext"]
        assert pod["runAsNonRoot"] is True, name
        assert pod["runAsUser"] > 0, name
        assert pod["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec), name
        for container in containers(spec):
            safety = container["securityContext"]
            assert safety["readOnlyRootFilesystem"] is True, name
            assert safety["allowPrivilegeEscalation"] is False, name
            assert safety["capabilities"] == {"drop": ["ALL"]}, name
            assert set(container["resources"]["requests"]) == {"cpu", "memory"}, name
            assert "memory" in container["resources"]["limits"], name
            # Something to write to, since the root is read-only.
            assert any(mount["mountPath"] == "/tmp" for mount in container["volumeMounts"]), name


@ALL
def test_what_runs_all_the_time_is_asked_whether_it_lives(overlay: str) -> None:
    for name, _, spec in pod_specs(overlay):
        for container in spec["containers"]:
            assert "livenessProbe" in container, name


@ALL
def test_images_are_pinned_to_a_tag(overlay: str) -> None:
    for name, _, spec in pod_specs(overlay):
        for container in containers(spec):
            assert re.fullmatch(r"[a-z0-9./_-]+:(?!latest$)[A-Za-z0-9._-]+", container["image"]), name


@ALL
def test_everything_that_is_referred_to_is_there(overlay: str) -> None:
    users = {user["metadata"]["name"]: {"password"} for user in of_kind(overlay, "KafkaUser")}
    secrets = SECRETS | users
    claims = {claim["metadata"]["name"] for claim in of_kind(overlay, "PersistentVolumeClaim")}
    maps = {found["metadata"]["name"]: set(found["data"]) for found in of_kind(overlay, "ConfigMap")}
    accounts = {found["metadata"]["name"] for found in of_kind(overlay, "ServiceAccount")}
    for name, _, spec in pod_specs(overlay):
        assert spec["serviceAccountName"] in accounts, name
        own = {volume["name"] for volume in spec.get("volumes", ())}
        own |= {"data"} if name == "StatefulSet/redis" else set()  # from its claim template
        for volume in spec.get("volumes", ()):
            if "persistentVolumeClaim" in volume:
                assert volume["persistentVolumeClaim"]["claimName"] in claims, name
            if "configMap" in volume:
                assert volume["configMap"]["name"] in maps, name
            if "secret" in volume:
                keys = {item["key"] for item in volume["secret"]["items"]}
                assert keys <= secrets[volume["secret"]["secretName"]], name
        for container in containers(spec):
            assert {mount["name"] for mount in container["volumeMounts"]} <= own, name
            for variable in container.get("env", ()):
                reference = variable.get("valueFrom", {}).get("secretKeyRef")
                assert reference is None or reference["key"] in secrets[reference["name"]], name
            for source in container.get("envFrom", ()):
                assert source["configMapRef"]["name"] in maps, name


@ALL
def test_no_object_holds_a_secret(overlay: str) -> None:
    assert of_kind(overlay, "Secret") == []
    for name, _, spec in pod_specs(overlay):
        for container in containers(spec):
            for variable in container.get("env", ()):
                if re.search("PASSWORD|SECRET|AUTH|TOKEN|CONNECTION_URL|ONLINE_STORE", variable["name"]):
                    assert "value" not in variable, name


@ALL
def test_budgets_services_monitors_and_policies_select_pods_that_exist(overlay: str) -> None:
    ours = [labels for _, labels, _ in pod_specs(overlay)]
    # Labels of pods that operators make: KServe's and Strimzi's, and those of flows.
    serving = [{**labels, "serving.kserve.io/inferenceservice": "x"} for labels in ours]
    others = [
        {"strimzi.io/cluster": "events", "strimzi.io/kind": "Kafka"},
        {"serving.kserve.io/inferencegraph": "lists"},
        json.loads(named_work_pool(overlay))["job_configuration"]["job_manifest"]["spec"]["template"]["metadata"][
            "labels"
        ],
    ]
    for found in of_kind(overlay, "PodDisruptionBudget"):
        assert any(selected(found["spec"]["selector"], labels) for labels in ours), found["metadata"]["name"]
        assert ("minAvailable" in found["spec"]) != ("maxUnavailable" in found["spec"])
    for found in of_kind(overlay, "NetworkPolicy"):
        selector = found["spec"]["podSelector"]
        assert any(selected(selector, labels) for labels in [*serving, *others]), found["metadata"]["name"]
    for found in of_kind(overlay, "PodMonitor"):
        assert any(selected(found["spec"]["selector"], labels) for labels in serving)
    services = of_kind(overlay, "Service")
    for found in services:
        assert any(selected({"matchLabels": found["spec"]["selector"]}, labels) for labels in ours)
    for found in of_kind(overlay, "ServiceMonitor"):
        (service,) = [it for it in services if selected(found["spec"]["selector"], it["metadata"]["labels"])]
        ports = {port["name"] for port in service["spec"]["ports"]}
        assert {endpoint["port"] for endpoint in found["spec"]["endpoints"]} <= ports


@ALL
def test_everything_that_runs_has_a_budget_and_is_denied_what_no_policy_allows(overlay: str) -> None:
    budgets = of_kind(overlay, "PodDisruptionBudget")
    without = {
        name
        for name, labels, _ in pod_specs(overlay)
        if not any(selected(it["spec"]["selector"], labels) for it in budgets)
    }
    assert without == {"Deployment/prefect-worker", "Deployment/exporter"}  # may be away: runs and figures wait
    deny = named(overlay, "NetworkPolicy", "default-deny")["spec"]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def named_work_pool(overlay: str) -> str:
    (found,) = [
        it for it in of_kind(overlay, "ConfigMap") if it["metadata"]["name"].startswith("tastemaker-work-pool-")
    ]
    return str(found["data"]["base-job-template.json"])


@ALL
def test_the_job_of_a_flow_is_a_valid_job_when_the_variables_are_filled_in(overlay: str) -> None:
    template = json.loads(named_work_pool(overlay))
    properties = template["variables"]["properties"]
    values = {name: told.get("default", "a-name") for name, told in properties.items()}
    values |= {"command": ["prefect", "flow-run", "execute"], "env": [{"name": "A", "value": "b"}]}

    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: filled(part) for key, part in value.items()}
        if isinstance(value, list):
            return [filled(part) for part in value]
        if isinstance(value, str) and (whole := re.fullmatch(r"\{\{ (\w+) \}\}", value)):
            return values[whole[1]]
        return re.sub(r"\{\{ (\w+) \}\}", lambda it: str(values[it[1]]), value) if isinstance(value, str) else value

    job = filled(template["job_configuration"]["job_manifest"])
    assert list(problems(job)) == []
    spec = job["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    sources = {next(iter(source.values()))["name"] for source in container["envFrom"]}
    assert sources <= {it["metadata"]["name"] for it in of_kind(overlay, "ConfigMap")} | set(SECRETS)


@ALL
def test_flows_run_in_the_image_of_the_platform(overlay: str) -> None:
    first, second = named(overlay, "Deployment", "prefect-worker")["spec"]["template"]["spec"]["initContainers"]
    variables = {variable["name"]: variable.get("value") for variable in first["env"]}
    assert variables["FLOW_IMAGE"] == first["image"] == second["image"]
    assert "@IMAGE@" in named_work_pool(overlay)


@ALL
def test_rollouts_know_where_they_are_and_find_releases_where_the_models_do(overlay: str) -> None:
    settings = named(overlay, "ConfigMap", "tastemaker-settings")
    assert settings["data"]["TASTEMAKER_CLUSTER_NAMESPACE"] == settings["metadata"]["namespace"]
    told = Settings.from_env(settings["data"])
    container = named(overlay, "InferenceService", "ranking")["spec"]["predictor"]["containers"][0]
    given = next(it["value"] for it in container["env"] if it["name"] == "STORAGE_URI")
    assert told.cluster_storage.format(release=given.rpartition("/")[2]) == given


@ALL
def test_the_recommender_waits_for_a_rollout_and_the_graph_chains_the_two_models(overlay: str) -> None:
    template = named(overlay, "InferenceService", "recommender")
    assert template["metadata"]["annotations"]["serving.kserve.io/stop"] == "true"
    root = named(overlay, "InferenceGraph", "lists")["spec"]["nodes"]["root"]
    assert root["routerType"] == "Sequence"
    assert [(step["name"], step["dependency"], step.get("data")) for step in root["steps"]] == [
        ("retrieval", "Hard", None),
        ("ranking", "Hard", "$response"),
    ]
