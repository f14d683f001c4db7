"""The recommender with parts that fail on demand: index and ranker are in its process, where no signal reaches them.

All else is the app that every recommender is. What is wrong stands in a file that is mapped into memory: the
milliseconds by which ranker, index and the building of the index are late; a negative number makes the part fail.
"""

import asyncio
import logging
import mmap
import os
import struct
import time
from pathlib import Path
from typing import Any, Final

import bentoml
import numpy as np
import numpy.typing as npt

from tastemaker.features.plan import FeaturePlan
from tastemaker.features.reading.reader import FeatureReader
from tastemaker.release.files import PLAN
from tastemaker.retrieval.index import VectorIndex
from tastemaker.retrieval.source import Query, Retrieved
from tastemaker.serving.app import create_app
from tastemaker.serving.bento_service import SERVICE_OPTIONS, begin, release_of
from tastemaker.serving.recommender import Recommender as MadeHere
from tastemaker.serving.release import load_release
from tastemaker.settings import Settings

__all__ = ["BROKEN", "Breaks", "Recommender", "app"]

BROKEN: Final = "CHAOS_BROKEN"
_PARTS: Final = ("ranker", "index", "build")
_FORMAT: Final = "d" * len(_PARTS)


class Breaks:
    """What is wrong with the parts of a process; another process tells.

    Args:
        path: of the file; made where it is missing.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(struct.calcsize(_FORMAT)))
        with path.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), 0)

    def tell(self, part: str, ms: float) -> None:
        """From now on a part is late by so many milliseconds, or fails where they are negative."""
        struct.pack_into("d", self._shared, 8 * _PARTS.index(part), ms)

    def suffer(self, part: str) -> None:
        """Be late, or fail.

        Raises:
            RuntimeError: the part is to fail.
        """
        (ms,) = struct.unpack_from("d", self._shared, 8 * _PARTS.index(part))
        if ms < 0:
            raise RuntimeError(f"the {part} is broken")
        if ms:
            time.sleep(ms / 1_000)


def _open(settings: Settings) -> Any:
    breaks = Breaks(Path(os.environ[BROKEN]))
    release_dir = release_of(Recommender)
    score = load_release(release_dir).ranker

    class Index(VectorIndex):
        def __init__(self, *args: Any, **options: Any) -> None:
            breaks.suffer("build")
            super().__init__(*args, **options)

        def retrieve(self, query: Query, n: int) -> Retrieved:
            breaks.suffer("index")
            return super().retrieve(query, n)

    def ranker(features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        breaks.suffer("ranker")
        return score(features)

    return MadeHere(
        release_dir,
        FeatureReader(settings.online_location, FeaturePlan.load(release_dir / PLAN)),
        settings.clock,
        timed=True,
        ranker=ranker,
        make_index=Index,
        repeat_s=settings.repeat_seconds,
    )


app = create_app(_open)


@bentoml.service(name="tastemaker-breakable", **SERVICE_OPTIONS)
@bentoml.asgi_app(app)
class Recommender:
    """As the recommender's service."""

    @bentoml.on_startup
    async def start(self) -> None:
        """Begin to load the release."""
        logging.getLogger("kafka").setLevel(logging.CRITICAL)  # as in the recommender's own service
        begin(app, "the recommender")

    @bentoml.on_shutdown
    async def stop(self) -> None:
        """Flush the log."""
        await asyncio.to_thread(app.state.plane.stop)
