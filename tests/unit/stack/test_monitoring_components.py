"""Prometheus and Alertmanager in the stack: only when switched on, with the real ports, and what is missing is said."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tastemaker.errors import DataError, StackError
from tastemaker.settings import Settings
from tastemaker.stack.components import announcements, local_components
from tastemaker.stack.monitoring import packages
from tastemaker.stack.monitoring.components import monitoring_announcement, monitoring_components
from tastemaker.stack.monitoring.packages import fetch, read_lock
from tastemaker.stack.monitoring.programs import MISSING, find_programs
from tastemaker.stack.monitoring.scrape import prometheus_config, rules_with_links
from tastemaker.stack.ports import choose_ports

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def monitored(settings: Settings) -> Settings:
    for part in ("prometheus", "alertmanager"):
        shutil.copytree(REPOSITORY / "monitoring" / part, settings.repository / "monitoring" / part)
    return settings.model_copy(update={"monitoring": True, "workers": 2, "prometheus_port": 19090})


def give_programs(settings: Settings) -> Path:
    bin_ = settings.repository / ".cache" / "monitoring" / "usr" / "bin"
    bin_.mkdir(parents=True)
    for name in ("prometheus", "promtool", "prometheus-alertmanager", "amtool"):
        (bin_ / name).touch()
    return bin_


def test_nothing_of_it_runs_unless_switched_on(settings):
    assert monitoring_components(settings) == []
    assert monitoring_announcement(settings) is None
    assert (settings.alertmanager, settings.prometheus) == ("", "")


def test_components_come_with_their_configuration(monitored):
    bin_ = give_programs(monitored)
    parts = {part.name: part for part in local_components(monitored)}
    assert list(parts)[-3:] == ["exporter", "alertmanager", "prometheus"]
    command = parts["prometheus"].command()
    assert command[0] == str(bin_ / "prometheus")
    assert "--web.listen-address=127.0.0.1:19090" in command
    config = yaml.safe_load((monitored.observability_dir / "prometheus" / "prometheus.yaml").read_text())
    jobs = {job["job_name"]: job["static_configs"][0]["targets"] for job in config["scrape_configs"]}
    assert jobs == {
        "recommender": ["127.0.0.1:8080"],
        "collector": ["127.0.0.1:8081"],
        "worker": ["127.0.0.1:8083", "127.0.0.1:8084"],
        "exporter": ["127.0.0.1:9096"],
    }
    (alertmanager,) = config["alerting"]["alertmanagers"]
    assert alertmanager["static_configs"] == [{"targets": ["127.0.0.1:9095"]}]
    assert parts["alertmanager"].cwd == monitored.repository / ".cache" / "monitoring" / "usr"
    assert Settings.from_env(parts["exporter"].env).alertmanager == "http://127.0.0.1:9095"


def test_tools_of_somebody_else_take_their_place(monitored):
    urls = {"prometheus_url": "https://prometheus.example.org", "alertmanager_url": "https://alerts.example.org/am/"}
    external = monitored.model_copy(update=urls)
    assert [part.name for part in monitoring_components(external)] == ["exporter"]
    assert external.alertmanager == "https://alerts.example.org/am"
    half = monitored.model_copy(update={"alertmanager_url": "https://alerts.example.org/am"})
    assert [part.name for part in monitoring_components(half)] == ["exporter", "prometheus"]
    (entry,) = prometheus_config(half, Path("/rules"))["alerting"]["alertmanagers"]
    assert (entry["scheme"], entry["path_prefix"], entry["static_configs"]) == (
        "https", "/am", [{"targets": ["alerts.example.org"]}]
    )  # fmt: skip


def test_addresses_come_from_the_usual_variables():
    environ = {"PROMETHEUS_URL": "http://p:9090", "ALERTMANAGER_URL": "http://a:9093"}
    settings = Settings.from_env(environ)
    assert (settings.prometheus, settings.alertmanager) == ("http://p:9090", "http://a:9093")
    with pytest.raises(DataError, match="alertmanager_url"):
        Settings.from_env({"ALERTMANAGER_URL": "a:9093"})


def test_missing_programs_are_announced_and_waited_for(monitored, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert MISSING in announcements(monitored)
    for part in monitoring_components(monitored)[1:]:
        assert part.command() is None
        assert "make monitoring" in part.waits_for


def test_nobody_to_tell_is_announced(monitored):
    give_programs(monitored)
    assert "nobody gets alerts yet" in monitoring_announcement(monitored)
    (monitored.repository / "monitoring" / "alertmanager" / "receivers.yaml").write_text(
        "webhook: [{url: 'http://127.0.0.1:1/x'}]"
    )
    assert monitoring_announcement(monitored) is None
    monitoring_components(monitored)
    config = yaml.safe_load((monitored.observability_dir / "alertmanager" / "alertmanager.yaml").read_text())
    assert config["receivers"][0]["webhook_configs"][0]["url"] == "http://127.0.0.1:1/x"


def test_tls_and_keys_are_passed_by_file(settings):
    guarded = settings.model_copy(update={"tls_certificate": "/c.pem", "tls_key": "/k.pem", "metrics_key": "/key"})
    jobs = {job["job_name"]: job for job in prometheus_config(guarded, Path("/rules"))["scrape_configs"]}
    for name in ("recommender", "collector"):
        assert jobs[name]["scheme"] == "https"
        assert jobs[name]["tls_config"] == {"ca_file": "/c.pem"}
        assert jobs[name]["authorization"] == {"credentials_file": "/key"}
    assert "authorization" not in jobs["worker"]


def test_alerts_get_no_labels_that_a_posted_one_has_not(settings):
    assert "external_labels" not in prometheus_config(settings, Path("/rules"))["global"]


def test_links_lead_to_where_runbooks_are_published(monitored, tmp_path):
    rules = monitored.repository / "monitoring" / "prometheus" / "rules"
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old.yaml").touch()
    rules_with_links(rules, tmp_path / "out", "https://wiki.example.org/run/")
    texts = [path.read_text() for path in sorted((tmp_path / "out").glob("*.yaml"))]
    assert len(texts) == len(list(rules.glob("*.yaml")))
    assert "runbook_url: https://wiki.example.org/run/drift.md" in "".join(texts)
    assert "docs/runbooks" not in "".join(texts)
    with pytest.raises(DataError, match="no rule files"):
        rules_with_links(tmp_path / "nowhere", tmp_path / "out")


def test_their_ports_are_chosen_when_they_are_switched_on(settings):
    same = settings.model_copy(update={"monitoring": True, "prometheus_port": 19191, "alertmanager_port": 19191})
    chosen, said = choose_ports(same)
    assert len({chosen.prometheus_port, chosen.alertmanager_port, chosen.exporter_port}) == 3
    assert any("Alertmanager" in line for line in said)
    assert choose_ports(same.model_copy(update={"monitoring": False}))[0].alertmanager_port == 19191


def test_real_programs_start_with_what_is_written(monitored):
    programs = find_programs(REPOSITORY)
    if programs is None:
        pytest.skip(MISSING)
    monitoring_components(monitored)
    home = monitored.observability_dir
    for command in (
        [programs.promtool, "check", "config", home / "prometheus" / "prometheus.yaml"],
        [programs.amtool, "check-config", home / "alertmanager" / "alertmanager.yaml"],
    ):
        checked = subprocess.run(command, capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stdout + checked.stderr


class Apt:
    """The tools of Debian, as far as a fetch needs them: it knows versions, and makes a package of its name."""

    def __init__(self, known: dict[str, str]) -> None:
        self.known = known
        self.ran: list[list[str]] = []

    def __call__(self, command: list[str], cwd: Path) -> "subprocess.CompletedProcess[str]":
        self.ran.append(command)
        if command[0] == "apt-get":
            name, _, version = command[2].partition("=")
            if name not in self.known or version not in {"", self.known[name]}:
                return subprocess.CompletedProcess(command, 100, "", f"E: Unable to locate package {name}")
            (cwd / f"{name}_{self.known[name]}_amd64.deb").write_bytes(name.encode())
            return subprocess.CompletedProcess(command, 0, "", "")
        root = Path(command[3]) / "usr"
        for name in ("prometheus", "promtool", "prometheus-alertmanager", "amtool"):
            (root / "bin").mkdir(parents=True, exist_ok=True)
            (root / "bin" / name).write_bytes(b"\x00/usr/share/prometheus/alertmanager\x00")
        (root / "share" / "prometheus" / "alertmanager").mkdir(parents=True, exist_ok=True)
        (root / "share" / "prometheus" / "alertmanager" / "default.tmpl").touch()
        return subprocess.CompletedProcess(command, 0, "", "")


# SHA-256 of b"one", the file that the twin makes of the package: printf one | sha256sum
ONE = "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"


@pytest.fixture
def apt(monkeypatch) -> Apt:
    made = Apt({"one": "1.0"})
    monkeypatch.setattr(packages, "_run", made)
    monkeypatch.setattr(packages.shutil, "which", lambda tool: f"/usr/bin/{tool}")
    return made


def lock(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "packages.lock"
    path.write_text(text)
    return path


def test_fetched_programs_are_those_of_the_lock_and_are_not_fetched_twice(apt, tmp_path):
    locked = lock(tmp_path, f"# comment\none 1.0 {ONE}\n")
    assert fetch(tmp_path, locked)[-1].startswith("Prometheus and Alertmanager are in")
    found = find_programs(tmp_path)
    assert found is not None
    # a path of the same length, relative to the directory that it is started in
    assert found.alertmanager.read_bytes() == b"\x00.////share/prometheus/alertmanager\x00"
    assert (found.cwd / ".////share/prometheus/alertmanager" / "default.tmpl").exists()
    asked = len(apt.ran)
    assert fetch(tmp_path, locked) == []
    assert len(apt.ran) == asked


def test_package_with_another_hash_is_not_used(apt, tmp_path):
    with pytest.raises(StackError, match=f"has the SHA-256 {ONE}, the lock says 00"):
        fetch(tmp_path, lock(tmp_path, "one 1.0 00"))
    assert find_programs(tmp_path) is None or not (tmp_path / ".cache" / "monitoring").exists()


def test_version_that_is_not_to_be_had_is_replaced_and_told(apt, tmp_path):
    said = fetch(tmp_path, lock(tmp_path, "one 0.9 00"))
    assert said[0] == "one 0.9 is not to be had, one_1.0_amd64.deb was taken instead"


def test_unknown_package_is_told_with_what_apt_says(apt, tmp_path):
    with pytest.raises(
        StackError, match=r"two 1 cannot be downloaded: E: Unable to locate package two.*apt-get update"
    ):
        fetch(tmp_path, lock(tmp_path, "two 1 00"))


def test_system_without_apt_is_told_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StackError, match=r"missing: apt-get and dpkg-deb.*PROMETHEUS_URL"):
        fetch(tmp_path, lock(tmp_path, f"one 1.0 {ONE}"))


def test_lock_file_with_a_broken_line_is_refused(tmp_path):
    with pytest.raises(StackError, match="version and SHA-256"):
        read_lock(lock(tmp_path, "one 1.0"))
    assert [entry.name for entry in read_lock(REPOSITORY / "monitoring" / "packages.lock")] == [
        "prometheus",
        "prometheus-alertmanager",
    ]
