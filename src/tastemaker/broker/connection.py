"""Connecting to Kafka: address, security, and kafka-python's errors in the platform's words."""

import os
from collections.abc import Mapping
from typing import Any

from kafka import KafkaAdminClient, errors

from tastemaker.broker.protocol import BrokerError, BrokerUnavailable, RecordTooLarge, UnknownTopic
from tastemaker.settings import Settings

__all__ = ["client_config", "topic_exists", "translated", "unreachable"]

_SECURITY = {
    "KAFKA_SECURITY_PROTOCOL": "security_protocol",
    "KAFKA_SASL_MECHANISM": "sasl_mechanism",
    "KAFKA_SASL_USERNAME": "sasl_plain_username",
    "KAFKA_SASL_PASSWORD": "sasl_plain_password",
    "KAFKA_SSL_CAFILE": "ssl_cafile",
    "KAFKA_SSL_CERTFILE": "ssl_certfile",
    "KAFKA_SSL_KEYFILE": "ssl_keyfile",
    "KAFKA_SSL_PASSWORD": "ssl_password",
}


def client_config(settings: Settings, environ: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What every client needs to connect.

    Security comes from ``KAFKA_SECURITY_PROTOCOL``, ``KAFKA_SASL_MECHANISM``, ``KAFKA_SASL_USERNAME``,
    ``KAFKA_SASL_PASSWORD`` and ``KAFKA_SSL_{CAFILE,CERTFILE,KEYFILE,PASSWORD}``, so that no secret is ever
    part of the settings, their records or a command line.

    Args:
        settings: gives the address.
        environ: read instead of the process environment.
    """
    environ = os.environ if environ is None else environ
    security = {option: environ[name] for name, option in _SECURITY.items() if environ.get(name)}
    return {
        "bootstrap_servers": settings.broker.split(","),
        "client_id": "tastemaker",
        # The library backs off to 30 s, which would be the outage that follows a broker's restart of 3 s.
        "reconnect_backoff_max_ms": 1_000,
        "bootstrap_timeout_ms": 10_000,
        **security,
    }


def translated(error: BaseException, what: str) -> BrokerError:
    """The domain error for an error of the client library.

    Args:
        error: as raised by kafka-python.
        what: what was attempted, to begin the message with.
    """
    if isinstance(error, BrokerError):
        return error
    if isinstance(error, errors.MessageSizeTooLargeError | errors.RecordListTooLargeError):
        return RecordTooLarge(f"{what}: the record is larger than the broker accepts ({error})")
    if isinstance(error, errors.UnknownTopicOrPartitionError | errors.InvalidTopicError):
        return UnknownTopic(f"{what}: no such topic or partition ({error})")
    if isinstance(error, errors.KafkaError) and getattr(error, "retriable", False):
        return BrokerUnavailable(f"{what}: the broker did not answer in time ({error}); is it running?")
    return BrokerError(f"{what}: {error}")


def unreachable(settings: Settings, error: BaseException) -> BrokerUnavailable:
    """The error of a client that found no broker."""
    return BrokerUnavailable(
        f"no Kafka broker answers at {settings.broker} ({error}); start one with `tastemaker up`, "
        "or set KAFKA_BOOTSTRAP_SERVERS"
    )


def topic_exists(settings: Settings, topic: str) -> bool:
    """Whether the broker has a topic; asked on a connection of its own.

    Raises:
        BrokerUnavailable: no broker answers within 2 s.
    """
    try:
        with KafkaAdminClient(**{**client_config(settings), "bootstrap_timeout_ms": 2_000}) as admin:
            return topic in admin.list_topics()
    except (errors.KafkaError, OSError) as error:
        raise unreachable(settings, error) from error
