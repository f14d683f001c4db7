"""The HTTP collector: takes events and items, answers once the broker has them, and says what was wrong with each."""

import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from tastemaker import names
from tastemaker.broker.protocol import Producer, RecordTooLarge
from tastemaker.clock import Clock
from tastemaker.events.contract import event_json_schema
from tastemaker.serving.access.install import install_access
from tastemaker.serving.access.scopes import collector_scope
from tastemaker.settings import Settings
from tastemaker.stream.acks import send_and_confirm
from tastemaker.stream.catalogue import Catalogue
from tastemaker.stream.limits import Limits, Refused, read_body
from tastemaker.stream.metrics import CollectorMetrics
from tastemaker.stream.validation import Checked, Outgoing, Result, check_events, check_items, parse_json, records_of

__all__ = ["HELP", "create_app"]

HELP = """Tastemaker event collector

POST   /v1/events      one event, an array of events, or {"events": [...]}; answers once the broker has them.
                       Stamps what is missing: event_id, occurred_at, the item's category and price
POST   /v1/items       one item, an array of items, or {"items": [...]}; a newer one replaces an older one
DELETE /v1/items/{id}  takes an item out of the catalogue and off every surface
GET    /v1/schema      the JSON Schema of an event
GET    /health/live    this process answers
GET    /health/ready   the broker answers too, and the catalogue is loaded
GET    /metrics        for Prometheus

curl -s localhost:8081/v1/events -H 'content-type: application/json' \\
  -d '{"type": "view", "user_id": "17850", "item_id": "85123A"}'
"""

_MAX_ID = 256
_RETRY_AFTER = {"retry-after": "1"}


def create_app(
    producer: Producer,
    catalogue: Catalogue,
    *,
    clock: Clock,
    limits: Limits | None = None,
    reject_unknown_items: bool = True,
    on_close: Callable[[], None] = lambda: None,
    settings: Settings | None = None,
) -> Starlette:
    """The collector as an ASGI application.

    Args:
        producer: its ``send`` must not wait (see :class:`tastemaker.broker.background.BackgroundProducer`).
        catalogue: started and stopped with the application.
        clock: the platform's time.
        limits: what a request may hold.
        reject_unknown_items: whether an event about an item that the catalogue does not know is rejected.
        on_close: called when the application has answered its last request.
        settings: whose API keys and limits stand in front of it; nothing does without them.
    """
    return _Collector(
        producer, catalogue, clock, limits or Limits(), reject_unknown_items=reject_unknown_items
    ).application(on_close, settings)


class _Collector:
    def __init__(
        self, producer: Producer, catalogue: Catalogue, clock: Clock, limits: Limits, *, reject_unknown_items: bool
    ) -> None:
        self._producer = producer
        self._catalogue = catalogue
        self._clock = clock
        self._limits = limits
        self._knows = catalogue.knows if reject_unknown_items else lambda item_id: True
        self._metrics = CollectorMetrics(catalogue)
        self._in_flight = 0

    def application(self, on_close: Callable[[], None], settings: Settings | None) -> Starlette:
        @contextlib.asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            self._catalogue.start()
            try:
                yield
            finally:
                self._catalogue.stop()
                on_close()

        routes = [
            self._route("/", "help", self._help),
            self._route("/v1/events", "events", self._post_events, "POST"),
            self._route("/v1/items", "items", self._post_items, "POST"),
            self._route("/v1/items/{item_id:path}", "item", self._delete_item, "DELETE"),
            self._route("/v1/schema", "schema", self._schema),
            self._route("/health/live", "live", self._live),
            self._route("/health/ready", "ready", self._ready),
            self._route("/metrics", "metrics", self._prometheus),
        ]
        app = Starlette(routes=routes, lifespan=lifespan, exception_handlers={HTTPException: self._http_error})
        if settings is not None:
            install_access(
                app,
                lambda: settings,
                collector_scope,
                lambda refused, _: {"field": refused.field, "problem": f"{refused.problem}; {refused.remedy}"},
                lambda status: self._metrics.responded("access", status),
            )
        return app

    def _route(
        self, path: str, name: str, handle: Callable[[Request], Awaitable[Response]], method: str = "GET"
    ) -> Route:
        async def answer(request: Request) -> Response:
            try:
                response = await handle(request)
            except Refused as refused:
                problem = {"field": refused.field, "problem": refused.problem}
                response = _json(problem, refused.status, refused.headers)
            self._metrics.responded(name, response.status_code)
            return response

        return Route(path, answer, methods=[method], name=name)

    async def _http_error(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        self._metrics.responded("other", error.status_code)
        known = "GET / lists what there is"
        problem = {404: f"nothing is at {request.url.path}; {known}", 405: f"{request.method} is not for this; {known}"}
        body = {"field": "path", "problem": problem.get(error.status_code, error.detail)}
        return _json(body, error.status_code, dict(error.headers or {}))

    async def _help(self, request: Request) -> Response:
        return PlainTextResponse(HELP)

    async def _schema(self, request: Request) -> Response:
        return _json(event_json_schema())

    async def _live(self, request: Request) -> Response:
        return _json({"live": True})

    async def _ready(self, request: Request) -> Response:
        reachable = self._catalogue.broker_reachable
        # Before the catalogue is loaded, events would go without their category and price.
        ready = reachable and self._catalogue.loaded
        state = {
            "ready": ready,
            "broker": "reachable" if reachable else "not reachable",
            "catalogue": {"loaded": self._catalogue.loaded, "items": len(self._catalogue)},
        }
        return _json(state, 200 if ready else 503)

    async def _prometheus(self, request: Request) -> Response:
        return Response(self._metrics.render(), media_type="text/plain; version=0.0.4")

    async def _post_events(self, request: Request) -> Response:
        values = records_of(parse_json(await read_body(request, self._limits)), "events", self._limits)
        checked = check_events(
            values, now=self._clock.now(), limits=self._limits, knows=self._knows, facts_of=self._catalogue.facts
        )
        return await self._deliver("event", checked)

    async def _post_items(self, request: Request) -> Response:
        values = records_of(parse_json(await read_body(request, self._limits)), "items", self._limits)
        checked = check_items(values, now=self._clock.now(), limits=self._limits)
        response = await self._deliver("item", checked)
        for result, _, item in checked:
            if result.status == "accepted" and item is not None:
                self._catalogue.add(item)
        return response

    async def _delete_item(self, request: Request) -> Response:
        item_id: str = request.path_params["item_id"]
        if not 0 < len(item_id) <= _MAX_ID:
            raise Refused(422, f"an id has 1 to {_MAX_ID} characters, not {len(item_id)}", names.ITEM_ID)
        tombstone = Outgoing(names.TOPIC_ITEMS, item_id.encode(), None)
        checked = [Checked(Result(index=0, status="accepted", item_id=item_id), tombstone)]
        response = await self._deliver("item", checked)
        if checked[0].result.status == "accepted":
            self._catalogue.remove(item_id)
        return response

    async def _deliver(self, kind: str, checked: Sequence[Checked]) -> Response:
        """Send what was valid, and bring the results in line with what the broker says."""
        valid = [(result, outgoing) for result, outgoing, _ in checked if outgoing is not None]
        if valid:
            if self._in_flight >= self._limits.in_flight:
                problem = f"{self._in_flight} requests wait for the broker already; nothing of this one was accepted"
                raise Refused(503, problem, "", _RETRY_AFTER)
            self._in_flight += 1
            began = time.monotonic()
            try:
                outcomes = await send_and_confirm(
                    self._producer, [outgoing for _, outgoing in valid], self._limits.ack_timeout_s
                )
            finally:
                self._in_flight -= 1
            self._metrics.acknowledged(time.monotonic() - began)
            for (result, _), error in zip(valid, outcomes, strict=True):
                if error is not None:
                    result.status = "rejected" if isinstance(error, RecordTooLarge) else "retry"
                    result.problem = str(error)
        results = [result for result, _, _ in checked]
        self._metrics.count(kind, results)
        return _answer(results)


def _answer(results: list[Result]) -> Response:
    counts = {
        status: sum(result.status == status for result in results) for status in ("accepted", "rejected", "retry")
    }
    body: dict[str, Any] = {**counts, "results": results}
    if counts["retry"]:
        body["problem"] = (
            f"the broker did not confirm {counts['retry']} of {len(results)}; send those marked 'retry' again, "
            "with the ids given here, so that none counts twice"
        )
        return _json(body, 503, _RETRY_AFTER)
    if not counts["rejected"]:
        return _json(body, 202)
    return _json(body, 207 if counts["accepted"] else 422)


def _json(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(body), status, headers, "application/json")
