"""Deploy the flows and seed their default schedules and automations: ``python -m flows.deploy``.

A deploy overwrites what an engineer changed of a deployment in the Prefect UI, so it is done only when ``prefect.yaml``
or a flow changed, and what had been changed is brought back after it. A schedule or an automation is seeded once in the
life of a server: afterwards it belongs to the engineer, who may change, pause or delete it.
"""

import contextlib
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.automations import seed_automations
from tastemaker.durable import replace_file
from tastemaker.settings import Settings
from tastemaker.stack.components import WORK_POOL

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

__all__ = ["DEFAULT_SCHEDULES", "DEPLOYMENTS", "deploy", "main"]

# Cron in UTC, by deployment. Training runs in the small hours of the shop, after what was kept too long is gone.
DEFAULT_SCHEDULES = {
    "train/default": "0 3 * * *",
    "materialize/default": "30 * * * *",
    "check-drift/default": "15 */6 * * *",
    "watch-rollout/default": "*/5 * * * *",
    "retain/default": "0 1 * * *",
}
DEPLOYMENTS = (*DEFAULT_SCHEDULES, "promote/default")  # a promotion is asked for, never due
# What an engineer can change of a deployment in the UI, beside its schedules.
_OWNED = ("paused", "parameters", "job_variables", "tags", "description", "work_queue_name", "concurrency_limit")


def deploy(settings: Settings) -> list[str]:
    """Bring the Prefect server in line with ``prefect.yaml``.

    Args:
        settings: where the server is and where the record of what was deployed is kept.

    Returns:
        What was done, a line each; empty when nothing had changed.

    Raises:
        subprocess.CalledProcessError: ``prefect deploy`` failed; its output is on stderr.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists

    done: list[str] = []
    record_path = settings.home / "prefect" / "deployed.json"
    record: dict[str, Any] = json.loads(record_path.read_text()) if record_path.exists() else {}
    declared = _declared_hash(settings.repository)

    def note(**changed: Any) -> None:
        """Each step is noted when it is done, so that a deploy that was killed half-way undoes nothing either."""
        record.update(changed)
        record_path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(record_path, json.dumps(record).encode())

    with get_client(sync_client=True) as client:
        with contextlib.suppress(ObjectAlreadyExists):
            client.create_work_pool(WorkPoolCreate(name=WORK_POOL, type="process"))
            done.append(f"created the work pool {WORK_POOL}")
        before = _standing(client)
        # Of a server that was made anew nothing is seeded, whatever the record of the former one says.
        seeded = set(record.get("seeded", ())) & before.keys()
        if record.get("declared") != declared or before.keys() != set(DEPLOYMENTS):
            pending = record.get("pending")  # of a deploy that was killed half-way
            changed = _changed(before, record.get("deployed", {})) if pending is None else pending
            note(pending=changed)
            _run_deploy(settings)
            note(deployed={name: _owned(found) for name, found in _standing(client).items()})
            done.append("deployed prefect.yaml")
            done += _bring_back(client, changed)
            note(pending=None, declared=declared)
        for name, cron in DEFAULT_SCHEDULES.items():
            if name not in seeded:
                done += _seed(client, name, cron)
                seeded.add(name)
                note(seeded=sorted(seeded))
        server = str(client.read_work_pool(WORK_POOL).id)
        automated = record.get("automated", ()) if record.get("server") == server else ()
        for line, name in seed_automations(client, set(automated)):
            done += [line] if line else []
            automated = [*automated, name]
            note(automated=automated, server=server)
    return done


def _declared_hash(repository: Path) -> str:
    """A hash of everything that a deployment is made from."""
    digest = hashlib.sha256((repository / "prefect.yaml").read_bytes())
    for path in sorted((repository / "flows").glob("*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def _run_deploy(settings: Settings) -> None:
    subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"],
        cwd=settings.repository,
        check=True,
        stdout=sys.stderr,
    )


def _standing(client: "SyncPrefectClient") -> dict[str, dict[str, Any]]:
    """Our deployments as the server has them, by name."""
    from prefect.exceptions import ObjectNotFound

    found = {}
    for name in DEPLOYMENTS:
        with contextlib.suppress(ObjectNotFound):
            found[name] = client.read_deployment_by_name(name).model_dump(mode="json")
    return found


def _owned(deployment: dict[str, Any]) -> dict[str, Any]:
    limit = (deployment.get("global_concurrency_limit") or {}).get("limit")
    return {field: deployment.get(field) for field in _OWNED if field != "concurrency_limit"} | {
        "concurrency_limit": limit
    }


def _changed(before: dict[str, dict[str, Any]], deployed: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What an engineer changed of each deployment since it was deployed; a pause always counts."""
    changed = {}
    for name, found in before.items():
        known = {"paused": False, **deployed.get(name, {})}
        changed[name] = {
            field: value for field, value in _owned(found).items() if field in known and value != known[field]
        }
    return {name: fields for name, fields in changed.items() if fields}


def _bring_back(client: "SyncPrefectClient", changed: dict[str, dict[str, Any]]) -> list[str]:
    from prefect.client.schemas.actions import DeploymentUpdate

    done = []
    for name, fields in changed.items():
        deployment = client.read_deployment_by_name(name)
        client.update_deployment(deployment.id, DeploymentUpdate(**fields))
        done.append(f"kept what was changed of {name}: {', '.join(sorted(fields))}")
    return done


def _seed(client: "SyncPrefectClient", name: str, cron: str) -> list[str]:
    from prefect.client.schemas.schedules import CronSchedule

    deployment = client.read_deployment_by_name(name)
    if client.read_deployment_schedules(deployment.id):  # somebody was quicker
        return []
    client.create_deployment_schedules(deployment.id, [(CronSchedule(cron=cron, timezone="UTC"), True)])
    return [f"seeded the schedule of {name}: {cron} UTC"]


def main() -> None:
    """Deploy with the settings of the environment and say what was done."""
    for line in deploy(Settings.from_env()) or ["nothing changed since the last deploy"]:
        print(line)


if __name__ == "__main__":
    main()
