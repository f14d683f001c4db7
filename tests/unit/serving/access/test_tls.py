"""TLS with a certificate that is made here: HTTP as the collector serves it, gRPC, and the commands that call them."""

import asyncio
import datetime as dt
import ipaddress
import socket
import ssl
import threading

import grpc
import httpx
import pytest
import uvicorn
from api_twin import CatalogueRecommender, wait_until
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from grpc_process import call_raw, grpc_serving
from pydantic import ValidationError

from tastemaker.broker.memory import MemoryBroker
from tastemaker.errors import DataError
from tastemaker.names import TOPIC_SERVED_LISTS
from tastemaker.serving.access.tls import bentoml_options, check_certificate, client_context, uvicorn_options
from tastemaker.serving.app import create_app
from tastemaker.serving.oip.messages import messages
from tastemaker.serving.served_log import ServedListLog
from tastemaker.settings import Settings
from tastemaker.stack.probes import http_answers


def certificate(directory, name: str):
    """Certificate and key as PEM files, signed by itself, for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    cert_path, key_path = directory / f"{name}.pem", directory / f"{name}.key"
    cert_path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return cert_path, key_path


@pytest.fixture(scope="module")
def pems(tmp_path_factory):
    return certificate(tmp_path_factory.mktemp("tls"), "shop")


@pytest.fixture(scope="module")
def settings(pems):
    return Settings(api_keys="/nonexistent/keys.json", tls_certificate=str(pems[0]), tls_key=str(pems[1]))


@pytest.fixture(scope="module")
def port(settings):
    """The recommender over TLS, served as the collector's process serves."""
    broker = MemoryBroker({TOPIC_SERVED_LISTS: 1})
    app = create_app(
        lambda settings: CatalogueRecommender(),
        lambda: settings,
        lambda settings, metrics: ServedListLog(broker.producer),
    )
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", **uvicorn_options(settings)))
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])), daemon=True)
        thread.start()
        wait_until(lambda: app.state.plane.ready, "readiness")
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join(20)


def test_list_comes_over_tls(port, pems):
    answer = httpx.get(f"https://127.0.0.1:{port}/v1/recommend?k=1", verify=client_context(str(pems[0])))
    assert [item["item_id"] for item in answer.json()["items"]] == ["mug"]


def test_other_certificates_are_not_trusted(port, tmp_path):
    other, _ = certificate(tmp_path, "stranger")
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(f"https://127.0.0.1:{port}/", verify=client_context(str(other)))
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(f"https://127.0.0.1:{port}/", verify=ssl.create_default_context())


def test_stack_probes_over_tls(port, pems):
    assert http_answers("127.0.0.1", port, "/v2/health/ready", str(pems[0]))
    assert not http_answers("127.0.0.1", port, "/v2/health/ready")


def test_grpc_speaks_tls_and_nothing_else(settings, pems):
    live = messages.ServerLiveRequest().SerializeToString()
    with grpc_serving(CatalogueRecommender(), settings) as address:
        trusting = grpc.ssl_channel_credentials(pems[0].read_bytes())
        with grpc.secure_channel(address, trusting) as channel:
            answer = messages.ServerLiveResponse.FromString(call_raw(channel, "ServerLive", live))
            assert answer.live is True
        with grpc.insecure_channel(address) as channel:
            with pytest.raises(grpc.RpcError) as refused:
                call_raw(channel, "ServerLive", live, timeout_s=5)
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


def test_bento_is_started_with_the_same_files(settings, pems):
    assert bentoml_options(settings) == ["--ssl-certfile", str(pems[0]), "--ssl-keyfile", str(pems[1])]
    assert bentoml_options(Settings()) == []
    assert settings.recommender_url.startswith("https://")


def test_certificate_without_key_is_refused_by_the_settings(pems):
    with pytest.raises(ValidationError, match="tls_certificate and tls_key go together"):
        Settings(tls_certificate=str(pems[0]))


def test_key_of_another_certificate_is_refused_at_the_start(pems, tmp_path):
    _, other_key = certificate(tmp_path, "other")
    with pytest.raises(DataError, match="TLS with the certificate"):
        check_certificate(Settings(tls_certificate=str(pems[0]), tls_key=str(other_key)))


def test_missing_certificate_is_refused_at_the_start(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        check_certificate(Settings(tls_certificate=str(tmp_path / "no.pem"), tls_key=str(tmp_path / "no.key")))
