"""Deploy the flows and seed their default schedules: ``python -m flows.deploy``.

Deploying un-pauses a deployment, so it is done only when ``prefect.yaml`` or a flow changed, and what was paused is
paused again. A schedule is seeded once in the life of a server: afterwards it belongs to the engineer in the Prefect
UI, who may change, pause or delete it.
"""

import contextlib
import hashlib
import json
import subprocess
import sys
from pathlib import Path

from tastemaker.settings import Settings
from tastemaker.stack.components import WORK_POOL

__all__ = ["DEFAULT_SCHEDULES", "deploy", "main"]

# Cron in UTC, by deployment. Training runs in the small hours of the shop; batch views are refreshed hourly.
DEFAULT_SCHEDULES = {"train/default": "0 3 * * *", "materialize/default": "30 * * * *"}


def _declared_hash(repository: Path) -> str:
    """A hash of everything that a deployment is made from."""
    digest = hashlib.sha256((repository / "prefect.yaml").read_bytes())
    for path in sorted((repository / "flows").glob("*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


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
    from prefect.client.schemas.schedules import CronSchedule
    from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

    done: list[str] = []
    record_path = settings.home / "prefect" / "deployed.json"
    record = json.loads(record_path.read_text()) if record_path.exists() else {}
    declared = _declared_hash(settings.repository)
    with get_client(sync_client=True) as client:
        with contextlib.suppress(ObjectAlreadyExists):
            client.create_work_pool(WorkPoolCreate(name=WORK_POOL, type="process"))
            done.append(f"created the work pool {WORK_POOL}")
        known: set[str] = set()
        paused: set[str] = set()
        for name in DEFAULT_SCHEDULES:
            with contextlib.suppress(ObjectNotFound):
                paused |= {name} if client.read_deployment_by_name(name).paused else set()
                known.add(name)
        if record.get("declared") != declared or known != set(DEFAULT_SCHEDULES):
            subprocess.run(
                [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"],
                cwd=settings.repository,
                check=True,
                stdout=sys.stderr,
            )
            for name in paused:  # deploying has un-paused what an engineer had paused
                client.set_deployment_paused_state(client.read_deployment_by_name(name).id, True)
            done.append("deployed prefect.yaml")
        seeded = set(record.get("seeded", ())) & known
        for name, cron in DEFAULT_SCHEDULES.items():
            if name in seeded:
                continue
            deployment = client.read_deployment_by_name(name)
            if not client.read_deployment_schedules(deployment.id):
                client.create_deployment_schedules(deployment.id, [(CronSchedule(cron=cron, timezone="UTC"), True)])
                done.append(f"seeded the schedule of {name}: {cron} UTC")
            seeded.add(name)
    record_path.parent.mkdir(parents=True, exist_ok=True)
    record_path.write_text(json.dumps({"declared": declared, "seeded": sorted(seeded)}))
    return done


def main() -> None:
    """Deploy with the settings of the environment and say what was done."""
    for line in deploy(Settings.from_env()) or ["nothing changed since the last deploy"]:
        print(line)


if __name__ == "__main__":
    main()
