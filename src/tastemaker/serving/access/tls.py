"""TLS by settings: a certificate chain and its key, for HTTP and for gRPC."""

import ssl
from pathlib import Path
from typing import Any

from tastemaker.errors import DataError
from tastemaker.settings import Settings

__all__ = ["bentoml_options", "check_certificate", "client_context", "grpc_credentials", "uvicorn_options"]


def check_certificate(settings: Settings) -> None:
    """See at the start, not at the first caller, that certificate and key are there and belong together.

    Raises:
        DataError: they are not.
    """
    if not settings.tls_certificate:
        return
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(settings.tls_certificate, settings.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise DataError(
            f"TLS with the certificate {settings.tls_certificate} and the key {settings.tls_key} is not possible:"
            f" {error.strerror or error}; both are PEM files, the certificate first in its chain, the key without a"
            " passphrase"
        ) from error


def uvicorn_options(settings: Settings) -> dict[str, Any]:
    """Named arguments of ``uvicorn.run``."""
    if not settings.tls_certificate:
        return {}
    return {"ssl_certfile": settings.tls_certificate, "ssl_keyfile": settings.tls_key}


def bentoml_options(settings: Settings) -> list[str]:
    """Options of ``bentoml serve``."""
    if not settings.tls_certificate:
        return []
    return ["--ssl-certfile", settings.tls_certificate, "--ssl-keyfile", settings.tls_key]


def grpc_credentials(settings: Settings) -> Any:
    """``grpc.ServerCredentials``; None without TLS."""
    if not settings.tls_certificate:
        return None
    import grpc

    pair = (Path(settings.tls_key).read_bytes(), Path(settings.tls_certificate).read_bytes())
    return grpc.ssl_server_credentials([pair])


def client_context(certificate: str) -> ssl.SSLContext:
    """How this machine's own commands trust its own servers: by their very certificate, whatever name it is for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # the certificate names the shop's host, and the command calls 127.0.0.1
    context.load_verify_locations(certificate)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # the leaf alone is trusted, not who else its issuer signs
    return context
