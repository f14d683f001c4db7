"""Spans of calls, made of what was measured anyway, in the messages of the OpenTelemetry protocol."""

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tastemaker import __version__
from tastemaker.serving.telemetry.answers import Answers
from tastemaker.serving.telemetry.trace_context import TraceContext

__all__ = ["TracedCall", "encode_calls"]


class TracedCall(NamedTuple):
    """A call that is traced.

    Attributes:
        answers: of it.
        context: of the caller; None begins a trace.
    """

    answers: Answers
    context: TraceContext | None


def encode_calls(calls: Sequence[TracedCall], chance: random.Random) -> bytes:
    """An ``ExportTraceServiceRequest``: for each call a span, below it one for each list, below that its stages.

    Stages are timed one by one, and laid end to end from where the list begins; what runs twice in a list is one span.

    Args:
        calls: to be told.
        chance: gives ids.
    """
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
    from opentelemetry.proto.resource.v1.resource_pb2 import Resource
    from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans

    resource = Resource(attributes=_attributes({"service.name": "tastemaker-recommender"}))
    scope = InstrumentationScope(name="tastemaker.serving", version=__version__)
    spans = [span for call in calls for span in _spans(call, chance)]
    scoped = ScopeSpans(scope=scope, spans=spans)
    message = ExportTraceServiceRequest(resource_spans=[ResourceSpans(resource=resource, scope_spans=[scoped])])
    return bytes(message.SerializeToString())


def _spans(call: TracedCall, chance: random.Random) -> Iterator[Any]:
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    answers, context = call.answers, call.context
    trace_id = context.trace_id if context else chance.randbytes(16)
    began, ended = answers.began_ns, answers.began_ns + round(answers.seconds * 1e9)

    def span(name: str, parent: bytes, start: int, end: int, said: Mapping[str, str | int | bool]) -> Any:
        return Span(
            trace_id=trace_id,
            span_id=chance.randbytes(8),
            parent_span_id=parent,
            name=name,
            kind=Span.SPAN_KIND_INTERNAL,
            start_time_unix_nano=start,
            end_time_unix_nano=end,
            attributes=_attributes(said),
        )

    parent = context.parent_id if context else b""
    top = span("recommend", parent, began, ended, {"tastemaker.lists": len(answers)})
    top.kind = Span.SPAN_KIND_SERVER
    yield top
    for response, record in answers:
        spent_ns = 1_000 * sum(record.stages_us.values())
        start = max(began, ended - spent_ns)  # what came before is waiting for its turn
        said: dict[str, str | int | bool] = {
            "tastemaker.request_id": response.request_id,
            "tastemaker.surface": record.request.surface,
            "tastemaker.release": response.release,
            "tastemaker.tier": response.tier,
            "tastemaker.k": record.request.k,
            "tastemaker.items": len(response.items),
            "tastemaker.repeated": response.repeated,
        }
        if response.tier_reason:
            said["tastemaker.tier_reason"] = response.tier_reason
        made = span(f"list {record.request.surface}", top.span_id, start, ended, said)
        yield made
        for stage, spent_us in record.stages_us.items():
            yield span(stage, made.span_id, start, start + 1_000 * spent_us, {})
            start += 1_000 * spent_us


def _attributes(said: Mapping[str, str | int | bool]) -> list[Any]:
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

    def value(given: str | int | bool) -> Any:
        if isinstance(given, bool):
            return AnyValue(bool_value=given)
        return AnyValue(int_value=given) if isinstance(given, int) else AnyValue(string_value=given)

    return [KeyValue(key=key, value=value(given)) for key, given in said.items()]
