"""Where features come from: the event stream with its history in the lake, and the catalogue."""

from datetime import timedelta

from feast import FileSource, KafkaSource
from feast.data_format import DeltaFormat, JsonFormat

from tastemaker import names
from tastemaker.events.contract import FUTURE_TOLERANCE
from tastemaker.settings import Settings

_settings = Settings.from_env()
_EVENT_SCHEMA = (
    "event_id string, type string, user_id string, session_id string, item_id string, occurred_at timestamp,"
    " value double, request_id string, position integer, schema_version integer"
)

events_in_lake = FileSource(
    name="events_in_lake",
    path=str(_settings.lake_dir / names.TABLE_EVENTS),
    file_format=DeltaFormat(),
    timestamp_field=names.OCCURRED_AT,
    description="Everything shoppers did; first occurrences only.",
)
events = KafkaSource(
    name="events",
    topic=names.TOPIC_EVENTS,
    kafka_bootstrap_servers=_settings.broker,
    message_format=JsonFormat(schema_json=_EVENT_SCHEMA),
    timestamp_field=names.OCCURRED_AT,
    watermark_delay_threshold=timedelta(seconds=FUTURE_TOLERANCE.total_seconds()),
    batch_source=events_in_lake,
    description="What shoppers do, as it happens.",
)
items = FileSource(
    name="items",
    path=str(_settings.lake_dir / names.TABLE_ITEMS),
    file_format=DeltaFormat(),
    timestamp_field=names.UPDATED_AT,
    description="Every version of every product.",
)
