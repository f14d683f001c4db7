"""Where the platform's state lies, below one directory."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

__all__ = ["HomeFiles"]


class HomeFiles(BaseModel):
    """The home and what is in it.

    Attributes:
        home: directory of all local state (lake, online store, registry, releases, logs).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    home: Path = Path(".cache/tastemaker")

    @property
    def lake_dir(self) -> Path:
        """Root of the Delta tables."""
        return self.home / "lake"

    @property
    def feast_dir(self) -> Path:
        """Feast's registry."""
        return self.home / "feast"

    @property
    def plan_path(self) -> Path:
        """The feature plan: the applied declarations, compiled to JSON for processes without Feast."""
        return self.home / "feature_plan.json"

    @property
    def content_path(self) -> Path:
        """The projection that content vectors are made with."""
        return self.home / "content" / "projection.npz"

    @property
    def releases_dir(self) -> Path:
        """Verdicts and the champion pointer; the releases themselves are in BentoML's model store."""
        return self.home / "releases"

    @property
    def rollouts_dir(self) -> Path:
        """State and journal of each rollout."""
        return self.releases_dir / "rollouts"

    @property
    def bentoml_home(self) -> Path:
        """BentoML's model and Bento store."""
        return self.home / "bentoml"

    @property
    def reports_dir(self) -> Path:
        """HTML reports, served by the stack's report server."""
        return self.home / "reports"

    @property
    def kafka_dir(self) -> Path:
        """Data and configuration of the local Kafka node."""
        return self.home / "kafka"

    @property
    def run_dir(self) -> Path:
        """Process records and logs of the running stack."""
        return self.home / "run"

    @property
    def observability_dir(self) -> Path:
        """Figures of flows, alerts that wait to be sent, and the configuration and data of the monitoring tools."""
        return self.home / "observability"
