"""The platform's topics, created once. ``python -m tastemaker.broker.topics`` is the stack's set-up step."""

import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from tastemaker import names
from tastemaker.errors import TastemakerError
from tastemaker.settings import Settings

__all__ = ["TOPICS", "Topic", "ensure_topics", "main"]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Topic:
    """How a topic is created.

    Attributes:
        partitions: parallelism of its readers; fixed once created, because keys are placed by it.
        config: topic-level settings of Kafka.
    """

    partitions: int
    config: Mapping[str, str] = field(default_factory=dict)


TOPICS: Mapping[str, Topic] = {
    names.TOPIC_EVENTS: Topic(4),
    # Compaction keeps the newest record of every item for ever, and removes tombstones after a day.
    names.TOPIC_ITEMS: Topic(1, {"cleanup.policy": "compact"}),
    names.TOPIC_DEAD_LETTERS: Topic(1, {"retention.ms": str(30 * 24 * 3_600_000)}),
    names.TOPIC_SERVED_LISTS: Topic(2),
}


def ensure_topics(settings: Settings) -> tuple[str, ...]:
    """Create the topics that do not exist yet, and wait until they can be written.

    Existing topics stay as they are, whatever their settings: who runs the broker may have chosen others.

    Returns:
        Names of the topics that were created.

    Raises:
        BrokerUnavailable: no broker answers.
        BrokerError: the broker refuses, for example for want of permission.
    """
    from kafka import KafkaAdminClient, errors

    from tastemaker.broker.connection import client_config, translated, unreachable

    try:
        admin = KafkaAdminClient(**client_config(settings), request_timeout_ms=15_000)
    except (errors.KafkaError, OSError) as error:
        raise unreachable(settings, error) from error
    try:
        existing = set(admin.list_topics())
        missing = {name: topic for name, topic in TOPICS.items() if name not in existing}
        if missing:
            requests = {
                name: {"num_partitions": topic.partitions, "replication_factor": -1, "configs": dict(topic.config)}
                for name, topic in missing.items()
            }
            try:
                admin.create_topics(requests)
            except errors.TopicAlreadyExistsError:
                _LOG.info("another process created a topic at the same moment")
        admin.wait_for_topics(list(TOPICS))
    except errors.KafkaError as error:
        raise translated(error, "creating the topics") from error
    finally:
        admin.close()
    return tuple(missing)


def main() -> int:
    """Create the topics of the environment's settings."""
    try:
        created = ensure_topics(Settings.from_env())
    except TastemakerError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"topics created: {', '.join(created)}" if created else "topics exist already", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
