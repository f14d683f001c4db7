"""The local broker: one Apache Kafka node in KRaft mode, from the jars that ``pom.xml`` names.

``python -m tastemaker.broker.node`` writes the configuration, formats the storage on the first start, and
becomes the Java process. All state is under ``settings.kafka_dir``; the node starts again on it after any kill.
"""

import os
import shutil
import socket
import struct
import subprocess
import sys
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path

from tastemaker.errors import StackError, TastemakerError
from tastemaker.settings import Settings

__all__ = ["STANDIN_ANNOUNCEMENT", "announcement", "answers", "command", "main", "prepare", "uses_standin"]

STANDIN_ANNOUNCEMENT = (
    "noida-db is standing in for Apache Kafka: acknowledged events may be lost on a crash. "
    "Install Java 17 and Maven, then run `make setup`, for the real broker."
)

_HEAP = ("-Xms128m", "-Xmx400m")
_JVM = (
    *_HEAP,
    "-XX:+UseSerialGC",  # on a heap this small it pauses as briefly as G1, with less memory and fewer threads
    "-XX:MaxMetaspaceSize=128m",
    "-XX:MaxDirectMemorySize=128m",
    "-XX:+ExitOnOutOfMemoryError",  # the supervisor restarts it; a half-dead broker would linger
    "-Djava.awt.headless=true",
)

_PROPERTIES = """\
# Written by tastemaker at every start; changes are lost.
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs={data}

# A single node can keep no second copy.
default.replication.factor=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1

# After a kill the node may register again only when its last session has run out: 9 s by default, while
# nobody else waits for this broker.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500

# Small and quick to start: one machine, few clients.
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
offsets.topic.num.partitions=4
transaction.state.log.num.partitions=4
num.network.threads=2
num.io.threads=4
log.segment.bytes=134217728
log.cleaner.dedupe.buffer.size=16777216
log.cleaner.io.buffer.size=131072
"""

_LOG4J = """\
<?xml version="1.0" encoding="UTF-8"?>
<Configuration status="WARN" shutdownHook="disable">
  <Appenders>
    <Console name="out" target="SYSTEM_OUT"><PatternLayout pattern="%-5p %m (%c{1})%n"/></Console>
  </Appenders>
  <Loggers>
    <Root level="WARN"><AppenderRef ref="out"/></Root>
    <Logger name="kafka.server.KafkaRaftServer" level="INFO"/>
  </Loggers>
</Configuration>
"""


def _jars(settings: Settings) -> Path | None:
    libs = settings.repository / ".cache" / "kafka-libs"
    return libs if any(libs.glob("kafka_2.13-*.jar")) else None


def uses_standin(settings: Settings) -> bool:
    """Whether the node is the stand-in, because Java or Kafka's jars are missing."""
    return shutil.which("java") is None or _jars(settings) is None


def announcement(settings: Settings) -> str | None:
    """What a person must know before relying on this node; None for the real broker."""
    return STANDIN_ANNOUNCEMENT if not settings.kafka_bootstrap_servers and uses_standin(settings) else None


def prepare(settings: Settings) -> Path:
    """Write the node's configuration and format its storage unless that was done before.

    Returns:
        Path of ``server.properties``.

    Raises:
        StackError: Kafka's storage tool fails; its output is in the message.
    """
    data = settings.kafka_dir / "data"
    data.mkdir(parents=True, exist_ok=True)
    properties = settings.kafka_dir / "server.properties"
    properties.write_text(
        _PROPERTIES.format(
            host=settings.host, port=settings.kafka_port, controller_port=settings.kafka_controller_port, data=data
        )
    )
    (settings.kafka_dir / "log4j2.xml").write_text(_LOG4J)
    # The storage tool writes meta.properties last, so its presence says that formatting was completed.
    if not (data / "meta.properties").exists():
        cluster_id = settings.kafka_dir / "cluster-id"
        if not cluster_id.exists():
            cluster_id.write_text(_new_cluster_id())
        tool = [*_java(settings, "-Xmx128m"), "kafka.tools.StorageTool", "format", "--ignore-formatted"]
        done = subprocess.run(
            [*tool, "--cluster-id", cluster_id.read_text().strip(), "--config", str(properties)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise StackError(f"Kafka's storage under {data} cannot be formatted:\n{done.stdout}{done.stderr}")
    return properties


def command(settings: Settings) -> list[str]:
    """The command line of the node; formats the storage first where that is needed.

    Raises:
        StackError: neither Kafka nor a stand-in that runs here, with the remedy.
    """
    if not uses_standin(settings):
        properties = prepare(settings)
        return [*_java(settings, *_JVM), "kafka.Kafka", str(properties)]
    standin = shutil.which("noida-db", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if standin is None or subprocess.run([standin, "version"], capture_output=True, check=False).returncode:
        missing = "Java 17" if shutil.which("java") is None else f"Kafka's jars in {settings.repository}/.cache"
        broken = "is not installed" if standin is None else "does not run on this system"
        raise StackError(
            f"no broker can start: {missing} is missing, and the stand-in noida-db {broken}. "
            "Install Java 17 and Maven and run `make setup`, or set KAFKA_BOOTSTRAP_SERVERS to a broker that runs."
        )
    data = settings.kafka_dir / "standin"
    data.mkdir(parents=True, exist_ok=True)
    options = ["--data-dir", str(data), "--host", settings.host, "--kafka-port", str(settings.kafka_port)]
    return [standin, "start", "--only", "kafka", *options]


def answers(host: str, port: int, timeout: float = 1.0) -> bool:
    """Whether a Kafka broker answers an ApiVersions request (https://kafka.apache.org/protocol)."""
    client = b"tastemaker"
    body = struct.pack(">hhih", 18, 0, 1, len(client)) + client  # api key, version, correlation id, client id
    try:
        with socket.create_connection((host, port), timeout) as connection:
            connection.sendall(struct.pack(">i", len(body)) + body)
            head = connection.recv(10, socket.MSG_WAITALL)
    except OSError:
        return False
    # Size, the same correlation id, and error code 0.
    return len(head) == 10 and struct.unpack(">iih", head)[1:] == (1, 0)


def main() -> int:
    """Become the broker of the environment's settings."""
    settings = Settings.from_env()
    try:
        line = command(settings)
    except TastemakerError as error:
        print(error, file=sys.stderr)
        return 1
    if uses_standin(settings):
        print(f"WARNING {STANDIN_ANNOUNCEMENT}", flush=True)
    os.execvp(line[0], line)  # noqa: S606 — replaces this process, so that signals reach the broker itself


def _java(settings: Settings, *options: str) -> list[str]:
    log4j = settings.kafka_dir / "log4j2.xml"
    return ["java", *options, f"-Dlog4j2.configurationFile={log4j}", "-cp", f"{_jars(settings)}/*"]


def _new_cluster_id() -> str:
    # Kafka's ids are 16 bytes in URL-safe base64; one that starts with "-" would read as an option.
    while (cluster_id := urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return cluster_id


if __name__ == "__main__":
    sys.exit(main())
