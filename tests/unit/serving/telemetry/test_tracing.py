"""Traces: who decides on one, what its spans say, and that a collector that is away costs nothing but the traces."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from api_twin import CatalogueRecommender, serving, wait_until
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tastemaker.serving.contract import RecommendationRequest
from tastemaker.serving.telemetry.answers import Answers
from tastemaker.serving.telemetry.trace_context import read_traceparent
from tastemaker.serving.telemetry.tracing import Tracer, post_to
from tastemaker.settings import Settings

# The example of the standard.
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED, NOT_SAMPLED = f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-00"


class Collector:
    """Takes what is exported, over HTTP."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.status = 200
        self.headers: list[dict[str, str]] = []
        self.bodies: list[bytes] = []

    @property
    def spans(self) -> list:
        messages = [ExportTraceServiceRequest.FromString(body) for body in self.bodies]
        return [span for one in messages for spans in one.resource_spans[0].scope_spans for span in spans.spans]


@pytest.fixture
def collector() -> Iterator[Collector]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if taken.status == 200 and self.path == "/v1/traces":
                taken.headers.append({name.lower(): value for name, value in self.headers.items()})
                taken.bodies.append(body)
            self.send_response(taken.status)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    taken = Collector(f"http://127.0.0.1:{server.server_address[1]}")
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield taken
    server.shutdown()
    server.server_close()


def said(span) -> dict:
    values = {one.key: one.value for one in span.attributes}
    return {key: getattr(value, value.WhichOneof("value")) for key, value in values.items()}


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "00",
        f"00-{TRACE}-{PARENT}",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01-more",
        "x" * 10_000,
    ],
)
def test_header_that_says_nothing_is_ignored(header):
    assert read_traceparent(header) is None


def test_header_of_a_later_version_may_say_more():
    found = read_traceparent(f"cc-{TRACE}-{PARENT}-01-what the future brings")
    assert found is not None
    assert (found.trace_id.hex(), found.parent_id.hex(), found.sampled) == (TRACE, PARENT, True)


@pytest.mark.parametrize(
    ("rate", "headers", "traced"),
    [
        (1.0, None, True),
        (0.0, None, False),
        (0.0, {"traceparent": SAMPLED}, True),
        (1.0, {"traceparent": NOT_SAMPLED}, False),
        (1.0, {"traceparent": "nonsense"}, True),
    ],
)
def test_the_callers_flag_decides_and_else_the_rate(rate, headers, traced):
    sent: list[bytes] = []
    tracer = Tracer(sent.append, rate, seed=1)
    tracer.offer(answered(headers))
    tracer._flush()
    assert bool(sent) is traced


def answered(headers: dict[str, str] | None = None) -> Answers:
    answers = Answers(headers)
    answers.append(CatalogueRecommender().answer(RecommendationRequest()))
    answers.done()
    return answers


def test_a_call_is_told_with_its_lists_and_their_stages_under_the_callers_span(collector, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=secret-of-the-collector")
    settings = Settings(api_keys="/nonexistent/keys.json", trace_endpoint=collector.url, trace_rate=0)
    with serving(CatalogueRecommender(), settings=settings) as client:
        answer = client.post("/v1/recommend", json={"k": 2}, headers={"traceparent": SAMPLED}).json()
        client.post("/v1/recommend", json={"k": 2}, headers={"traceparent": NOT_SAMPLED})
        client.post("/v1/recommend", json={"k": 2})
        wait_until(lambda: collector.bodies, "an export")
    call, made, stage = collector.spans
    assert {span.trace_id.hex() for span in collector.spans} == {TRACE}
    assert call.parent_span_id.hex() == PARENT
    assert (call.kind, call.name) == (call.SPAN_KIND_SERVER, "recommend")
    assert (made.parent_span_id, stage.parent_span_id) == (call.span_id, made.span_id)
    assert said(made) == {
        "tastemaker.request_id": answer["request_id"],
        "tastemaker.surface": "home",
        "tastemaker.release": "release-7",
        "tastemaker.tier": "cold_start",
        "tastemaker.tier_reason": "this shopper has no history yet",
        "tastemaker.k": 2,
        "tastemaker.items": 2,
        "tastemaker.repeated": False,
    }
    # The twin says that its one stage took 12 µs.
    assert (stage.name, stage.end_time_unix_nano - stage.start_time_unix_nano) == ("log", 12_000)
    assert call.start_time_unix_nano <= made.start_time_unix_nano <= made.end_time_unix_nano
    assert made.end_time_unix_nano == call.end_time_unix_nano
    assert collector.headers[0]["x-key"] == "secret-of-the-collector"
    assert not [body for body in collector.bodies if b"secret" in body]


def test_lists_of_one_call_are_one_trace(collector):
    settings = Settings(api_keys="/nonexistent/keys.json", trace_endpoint=collector.url, trace_rate=1)
    with serving(CatalogueRecommender(), settings=settings) as client:
        client.post("/v1/models/recommender:predict", json={"instances": [{}, {"surface": "email"}]})
    # The shutdown has sent it: one call, two lists, a stage in each.
    assert [span.name for span in collector.spans] == ["recommend", "list home", "log", "list email", "log"]
    assert len({span.trace_id for span in collector.spans}) == 1
    assert len({span.span_id for span in collector.spans}) == 5


def test_a_collector_that_takes_nothing_loses_traces_and_no_list(collector, caplog):
    collector.status = 503
    settings = Settings(api_keys="/nonexistent/keys.json", trace_endpoint=collector.url, trace_rate=1)
    with serving(CatalogueRecommender(), settings=settings) as client:
        assert [client.get("/v1/recommend").status_code for _ in range(3)] == [200] * 3
        wait_until(lambda: "tastemaker_traces_dropped_total 3.0" in client.get("/metrics").text, "three dropped")
        assert "traces are dropped" in caplog.text


def test_what_does_not_fit_is_dropped_and_counted(monkeypatch):
    monkeypatch.setattr("tastemaker.serving.telemetry.tracing._WAITING", 2)
    dropped: list[int] = []
    tracer = Tracer(lambda body: None, 1.0, dropped.append)
    for _ in range(5):
        tracer.offer(answered())
    assert dropped == [1, 1, 1]


def test_an_endpoint_that_is_no_address_is_refused():
    with pytest.raises(ValueError, match="write http://HOST:PORT"):
        post_to("file:///etc/passwd", {})
    with pytest.raises(ValueError, match="trace_endpoint"):
        Settings(trace_endpoint="collector:4318")
