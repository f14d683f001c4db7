import pytest
from kafka import errors

from tastemaker.broker.connection import client_config, translated
from tastemaker.broker.protocol import BrokerError, BrokerUnavailable, RecordTooLarge, UnknownTopic
from tastemaker.settings import Settings


def test_local_node_is_connected_to_without_security():
    config = client_config(Settings(kafka_port=19092), {})
    assert config["bootstrap_servers"] == ["127.0.0.1:19092"]
    assert not any(option.startswith(("security", "sasl", "ssl")) for option in config)


def test_security_of_a_broker_comes_from_the_environment():
    environ = {
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
        "KAFKA_SASL_USERNAME": "shop",
        "KAFKA_SASL_PASSWORD": "secret",
        "KAFKA_SSL_CAFILE": "/etc/ca.pem",
    }
    config = client_config(Settings(kafka_bootstrap_servers="one:9092,two:9092"), environ)
    assert config["bootstrap_servers"] == ["one:9092", "two:9092"]
    assert config["security_protocol"] == "SASL_SSL"
    assert config["sasl_mechanism"] == "SCRAM-SHA-512"
    assert (config["sasl_plain_username"], config["sasl_plain_password"]) == ("shop", "secret")
    assert config["ssl_cafile"] == "/etc/ca.pem"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.KafkaTimeoutError("t"), BrokerUnavailable),
        (errors.KafkaConnectionError("c"), BrokerUnavailable),
        (errors.NotEnoughReplicasError(), BrokerUnavailable),
        (errors.MessageSizeTooLargeError(), RecordTooLarge),
        (errors.UnknownTopicOrPartitionError(), UnknownTopic),
        (errors.TopicAuthorizationFailedError(), BrokerError),
        (ValueError("v"), BrokerError),
    ],
)
def test_errors_of_the_library_become_the_platforms(error, kind):
    made = translated(error, "sending to t")
    assert type(made) is kind
    assert str(made).startswith("sending to t: ")


def test_error_of_the_platform_stays_itself():
    error = UnknownTopic("t")
    assert translated(error, "sending") is error
