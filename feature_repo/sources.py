"""Where features come from: the event stream with its history in the lake, the catalogue, and the request itself."""

from datetime import timedelta

from feast import Field, FileSource, KafkaSource, RequestSource
from feast.data_format import DeltaFormat, JsonFormat
from feast.types import Int64, String

from tastemaker import names
from tastemaker.settings import Settings

_settings = Settings.from_env()
_EVENT_SCHEMA = (
    "event_id string, type string, user_id string, session_id string, item_id string, occurred_at timestamp,"
    " value double, category string, price double, corrects string, request_id string, position integer,"
    " schema_version integer"
)

events_in_lake = FileSource(
    name="events_in_lake",
    path=str(_settings.lake_dir / names.TABLE_EVENTS),
    file_format=DeltaFormat(),
    timestamp_field=names.OCCURRED_AT,
    description="Everything shoppers did, with corrections beside what they correct.",
)
events = KafkaSource(
    name="events",
    topic=names.TOPIC_EVENTS,
    kafka_bootstrap_servers=_settings.broker,
    message_format=JsonFormat(schema_json=_EVENT_SCHEMA),
    timestamp_field=names.OCCURRED_AT,
    # The allowed lateness: an event that arrives later than this after it occurred is kept, and in no feature.
    watermark_delay_threshold=timedelta(days=30),
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
item_vectors = FileSource(
    name="item_vectors",
    path=str(_settings.lake_dir / names.TABLE_ITEM_CONTENT),
    file_format=DeltaFormat(),
    timestamp_field=names.UPDATED_AT,
    created_timestamp_column=names.CREATED_AT,
    description="A vector per product, learned from the titles; `tastemaker features materialize` writes it.",
)
request = RequestSource(
    name="request",
    schema=[
        Field(name="requested_us", dtype=Int64, description="When, in microseconds since 1970."),
        Field(name="device", dtype=String, description="As in an event's context."),
        Field(name="country", dtype=String, description="As in an event's context."),
    ],
    description="What a request for recommendations says.",
)
