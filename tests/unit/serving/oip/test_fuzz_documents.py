"""Requests made from the OpenAPI document: every operation, valid and invalid, answered as the document says."""

import tempfile

import pytest
import schemathesis
from api_twin import CatalogueRecommender, wait_until
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tastemaker.broker.memory import MemoryBroker
from tastemaker.names import TOPIC_SERVED_LISTS
from tastemaker.serving.app import create_app
from tastemaker.serving.served_log import ServedListLog
from tastemaker.settings import Settings

_CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


def _application():
    broker = MemoryBroker({TOPIC_SERVED_LISTS: 1})
    app = create_app(
        lambda settings: CatalogueRecommender(),
        lambda: Settings(home=tempfile.gettempdir(), api_keys="/nonexistent/keys.json"),
        lambda settings, metrics: ServedListLog(broker.producer),
    )
    app.state.plane.start()
    wait_until(lambda: app.state.plane.ready, "readiness")
    return app


def _without_lifespan(app):
    """Schemathesis opens and closes clients as it likes, and the end of a lifespan ends the data plane for good."""

    async def served(scope, receive, send):
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": f"{message['type']}.complete"})
        await send({"type": "lifespan.shutdown.complete"})

    return served


@pytest.fixture(scope="module")
def document():
    app = _application()
    yield schemathesis.openapi.from_asgi("/openapi.json", _without_lifespan(app))
    app.state.plane.stop()


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode), ids=lambda mode: mode.value)
def test_every_answer_is_one_that_the_document_allows(document, mode):
    operations = [result.ok() for result in document.get_all_operations()]
    assert len(operations) > 10
    for operation in operations:
        try:
            cases = operation.as_strategy(generation_mode=mode)
            _answered(cases)
        except Unsatisfiable:  # nothing about an operation without parameters can be wrong
            assert mode is schemathesis.GenerationMode.NEGATIVE, operation.label


def _answered(cases):
    @settings(
        max_examples=25, deadline=10_000, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(case=cases)
    def check(case):
        response = case.call()
        case.validate_response(response, checks=_CHECKS)
        if response.status_code >= 400:
            told = response.json()["error"]
            assert told["remedy"] if isinstance(told, dict) else "; " in told

    check()
