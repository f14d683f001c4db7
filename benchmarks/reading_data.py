"""The shop that the benchmarks of reading read: Online Retail's purchases and returns, and features of them."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tastemaker import names
from tastemaker.clock import to_us
from tastemaker.events.adapters import online_retail
from tastemaker.events.adapters.dataset import events_of
from tastemaker.features.declarations.compile import compile_plan
from tastemaker.features.plan import FeaturePlan
from tastemaker.features.streaming.state import ConsumedEvent, FeatureState

if TYPE_CHECKING:
    from feast import StreamFeatureView

__all__ = ["ITEM", "SHOPPER", "compiled", "declared", "entity", "fill"]

SHOPPER: Final = "shopper"
ITEM: Final = "item"
_KEYS: Final = {SHOPPER: names.USER_ID, ITEM: names.ITEM_ID}
_DAY: Final = timedelta(days=1)
_HOUR: Final = timedelta(hours=1)
_BATCH: Final = 50_000
_DATA: Final = Path(__file__).parents[1] / "data" / "online_retail.parquet"
_WINDOWS: Final = {
    "1h": (_HOUR, timedelta(minutes=5)),
    "1d": (_DAY, _HOUR),
    "7d": (7 * _DAY, _DAY),
    "28d": (28 * _DAY, _DAY),
    "90d": (90 * _DAY, _DAY),
    "": (None, None),
}
_WHERE: Final = {
    "buys": "type = 'purchase'",
    "returns": "type = 'return'",
    "moves": "type in ('purchase', 'return')",
}


def entity(view: str) -> Any:
    """Whom a view is about."""
    from feast import Entity, ValueType

    return Entity(name=view, join_keys=[_KEYS[view]], value_type=ValueType.STRING, description=f"A {view}.")


def declared(view: str) -> "StreamFeatureView":
    """50 features of a shopper, or of a product, over an hour to 90 days and over all time, in Feast's words."""
    from feast import Aggregation, Field, FileSource, KafkaSource, StreamFeatureView
    from feast.data_format import DeltaFormat, JsonFormat
    from feast.types import Float64, Int64

    lake = FileSource(
        name="lake", path=names.TABLE_EVENTS, file_format=DeltaFormat(), timestamp_field=names.OCCURRED_AT
    )
    stream = KafkaSource(
        name="stream",
        topic=names.TOPIC_EVENTS,
        kafka_bootstrap_servers="127.0.0.1:1",
        message_format=JsonFormat(schema_json="event_id string"),
        timestamp_field=names.OCCURRED_AT,
        batch_source=lake,
    )
    others = names.ITEM_ID if view == SHOPPER else names.USER_ID
    aggregations: list[Aggregation] = []
    fields: list[Field] = []

    def add(name: str, function: str, column: str, window: str = "", where: str = "buys") -> None:
        name = f"{view}_{name}_{window}".rstrip("_")
        length, slide = _WINDOWS[window]
        aggregations.append(Aggregation(column, function, length, slide, name=name))
        tags = {} if function == "ratio" else {"where": _WHERE[where]}
        whole = function == "count" or function.startswith("approx")
        if not whole:
            tags["default"] = "-1"
        fields.append(
            Field(name=name, dtype=Int64 if whole else Float64, tags=tags, description=f"{function} of {column}.")
        )

    for window in _WINDOWS:
        for kind in _WHERE:
            add(kind, "count", names.EVENT_ID, window, kind)
        add("spend", "sum", names.VALUE, window)
    for window in ("1d", "7d", "28d", "90d"):
        add("price", "mean", names.PRICE, window)
    for window in ("7d", "28d", "90d"):
        add("price_spread", "stddev", names.PRICE, window)
        add("others", "approx_distinct(1024)", others, window)
    for window in ("7d", "28d", "90d", ""):
        add("dearest", "max", names.PRICE, window)
    for window in ("7d", "28d", "90d"):
        add("cheapest", "min", names.PRICE, window)
    for kind in _WHERE:
        add(f"days_since_{kind}", "time_since_last", names.OCCURRED_AT, where=kind)
    add("days_known", "time_since_first", names.OCCURRED_AT, where="moves")
    add("rhythm", "mean_interval", names.OCCURRED_AT)
    add("decayed_buys", "decayed_count(30d)", names.EVENT_ID)
    add("decayed_spend", "decayed_sum(30d)", names.VALUE)
    add("basket", "ratio", f"{view}_spend_90d / {view}_buys_90d")
    add("return_rate", "ratio", f"{view}_returns_90d / {view}_buys_90d")
    return StreamFeatureView(
        name=view,
        description=f"Purchases and returns of a {view}.",
        owner="benchmarks",
        entities=[entity(view)],
        source=stream,
        timestamp_field=names.OCCURRED_AT,
        aggregations=aggregations,
        schema=fields,
    )


def compiled(*views: str) -> FeaturePlan:
    """The plan of some of them."""
    return compile_plan([declared(view) for view in views], [], [entity(view) for view in views])


def fill(location: Path | str, plan: FeaturePlan) -> int:
    """Apply all events to an online store, as the stream worker does.

    Args:
        location: of the store.
        plan: the views.

    Returns:
        An hour after the newest event, in microseconds.
    """
    state = FeatureState.open(location, plan)
    newest = 0
    for batch in _batches():
        state.apply(batch, {0: batch[-1].offset + 1})
        newest = max(newest, *(to_us(record.event.occurred_at) for record in batch))
    state.fold()
    state.close()
    return newest + _HOUR // timedelta(microseconds=1)


def _batches() -> Iterator[list[ConsumedEvent]]:
    batch: list[ConsumedEvent] = []
    for offset, event in enumerate(events_of(online_retail.load(_DATA).events)):
        batch.append(ConsumedEvent(event, 0, offset))
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
