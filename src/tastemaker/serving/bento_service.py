"""What the Bentos' services share: which release they serve, how BentoML runs them, and how they begin.

BentoML's defaults cost five times the CPU per request that these settings do; what each one is worth was measured
with a model that does nothing (1.4.39, one worker): 522 µs with the defaults, 96 µs with these.
"""

import os
from pathlib import Path
from typing import Any, Final

from starlette.applications import Starlette

from tastemaker.errors import ServingError
from tastemaker.names import RELEASE_MODEL
from tastemaker.serving.access.binding import check_binding, listening_hosts
from tastemaker.serving.access.starting import ending_the_server
from tastemaker.settings import Settings

__all__ = ["RELEASE_DIR", "SERVICE_OPTIONS", "begin", "release_of"]

# A release outside any Bento and model store, such as one that a storage initializer has mounted.
RELEASE_DIR: Final = "TASTEMAKER_RELEASE_DIR"
SERVICE_OPTIONS: Final[dict[str, Any]] = {
    "workers": 1,  # one warm model and one set of metrics per process; scale by replicas
    "traffic": {"timeout": 5},  # each request leaves a timer for this long, so a minute's default makes memory grow
    "tracing": {"excluded_urls": [".*"]},  # its middleware builds a span for every request even at sample rate 0
    "logging": {"access": {"enabled": False}},
    "metrics": {"enabled": False},  # BentoML's have a series for every path that anyone asks for; ours are at /metrics
}


def release_of(service: Any, champion: str = "") -> Path:
    """The release to serve.

    The directory of the environment, else the champion that is followed, else the Bento's, else the newest in the
    model store.

    Args:
        service: of BentoML.
        champion: the release that is followed; empty for none.

    Raises:
        ServingError: there is none.
    """
    import bentoml

    given = os.environ.get(RELEASE_DIR)
    if given:
        return Path(given)
    tag = f"{RELEASE_MODEL}:{champion or 'latest'}"
    if service.bento is not None and not champion:  # what the Bento was built with, even when the store has newer ones
        tag = next((str(model.tag) for model in service.bento.info.all_models if model.tag.name == RELEASE_MODEL), tag)
    try:
        return Path(bentoml.models.get(tag).path)
    except bentoml.exceptions.NotFound as error:
        raise ServingError(f"no release {tag} in the model store; train one, or set {RELEASE_DIR}") from error


def begin(app: Starlette, what: str) -> None:
    """Begin to load the release, where the service may listen as it does; ends the server where it may not.

    Args:
        app: with ``app.state.plane`` and ``app.state.gate``.
        what: the service, for the message.
    """
    with ending_the_server():
        settings = Settings.from_env()
        check_binding(listening_hosts(), app.state.gate(), allow_open=settings.allow_open, what=what)
    app.state.plane.start()
