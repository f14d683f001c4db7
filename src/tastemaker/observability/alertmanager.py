"""Alertmanager's API, version 2: post alerts, look at them, silence them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import httpx

from tastemaker.errors import StackError

__all__ = ["Alertmanager", "AlertmanagerAway"]

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class AlertmanagerAway(StackError):
    """Alertmanager does not answer, or answers that it cannot now; what was sent may be sent again."""


class Alertmanager:
    """A client of one Alertmanager.

    Args:
        url: its base address; user and password in it are sent.
        timeout_s: of each request.
        transport: of httpx, for tests.
    """

    def __init__(self, url: str, *, timeout_s: float = 3.0, transport: httpx.BaseTransport | None = None) -> None:
        local = urlsplit(url).hostname in _LOOPBACK  # a proxy that the environment names is not asked
        self._url = url
        self._client = httpx.Client(base_url=url, timeout=timeout_s, transport=transport, trust_env=not local)

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def post(self, alerts: Sequence[dict[str, Any]]) -> None:
        """Post alerts, as :meth:`tastemaker.observability.alert.Alert.posted` makes them.

        Raises:
            AlertmanagerAway: it is away.
            StackError: it refuses them.
        """
        self._ask("POST", "/api/v2/alerts", json=list(alerts))

    def alerts(self) -> list[dict[str, Any]]:
        """The alerts that fire, silenced and inhibited ones too.

        Raises:
            StackError: it is away, or refuses.
        """
        found: list[dict[str, Any]] = self._ask("GET", "/api/v2/alerts").json()
        return found

    def silences(self) -> list[dict[str, Any]]:
        """The silences that are not over.

        Raises:
            StackError: it is away, or refuses.
        """
        found: list[dict[str, Any]] = self._ask("GET", "/api/v2/silences").json()
        return [silence for silence in found if silence["status"]["state"] != "expired"]

    def silence(
        self, matchers: Sequence[tuple[str, str]], *, begins: datetime, ends: datetime, by: str, comment: str
    ) -> str:
        """Silence the alerts that have all these labels.

        Args:
            matchers: names and values of labels.
            begins: from when.
            ends: until when.
            by: who did it.
            comment: why.

        Returns:
            The silence's id.

        Raises:
            StackError: it is away, or refuses.
        """
        body = {
            "matchers": [{"name": name, "value": value, "isRegex": False, "isEqual": True} for name, value in matchers],
            "startsAt": begins.isoformat(),
            "endsAt": ends.isoformat(),
            "createdBy": by,
            "comment": comment,
        }
        return str(self._ask("POST", "/api/v2/silences", json=body).json()["silenceID"])

    def end_silence(self, silence: str) -> None:
        """End a silence now.

        Raises:
            StackError: it is away, or has no such silence.
        """
        self._ask("DELETE", f"/api/v2/silence/{silence}")

    def _ask(self, method: str, path: str, json: Any = None) -> httpx.Response:
        try:
            answer = self._client.request(method, path, json=json)
        except httpx.HTTPError as error:
            raise AlertmanagerAway(
                f"no Alertmanager answers at {self._shown}: {error or type(error).__name__}"
            ) from error
        if answer.status_code >= 500:
            raise AlertmanagerAway(f"{self._shown} answers {answer.status_code}: {answer.text[:300].strip()}")
        if answer.status_code >= 300:
            raise StackError(
                f"{self._shown} refuses {method} {path}, {answer.status_code}: {answer.text[:300].strip()}"
            )
        return answer

    @property
    def _shown(self) -> str:
        """Its address without user and password."""
        parts = urlsplit(self._url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
