"""Names of columns, entities, topics, tables, views and services: each defined once, here.

``feature_repo/`` imports these as well, so a declaration, a lake table and the serving path can never
disagree about a spelling.
"""

from typing import Final

# Columns of an event, in the order of the contract.
EVENT_ID: Final = "event_id"
TYPE: Final = "type"
USER_ID: Final = "user_id"
SESSION_ID: Final = "session_id"
ITEM_ID: Final = "item_id"
OCCURRED_AT: Final = "occurred_at"
VALUE: Final = "value"
CORRECTS: Final = "corrects"
REQUEST_ID: Final = "request_id"
POSITION: Final = "position"
CONTEXT: Final = "context"
SCHEMA_VERSION: Final = "schema_version"

# Columns that the lake adds to what the wire carries.
EXTRA: Final = "extra"
INGESTED_AT: Final = "ingested_at"
PARTITION: Final = "kafka_partition"
OFFSET: Final = "kafka_offset"

# Columns of an item.
TITLE: Final = "title"
CATEGORY: Final = "category"
PRICE: Final = "price"
BRAND: Final = "brand"
ATTRIBUTES: Final = "attributes"
AVAILABLE: Final = "available"
CREATED_AT: Final = "created_at"
UPDATED_AT: Final = "updated_at"
DELETED: Final = "deleted"

# Columns of a served list.
SERVED_AT: Final = "served_at"

# Kafka topics.
TOPIC_EVENTS: Final = "tastemaker.events"
TOPIC_ITEMS: Final = "tastemaker.items"
TOPIC_DEAD_LETTERS: Final = "tastemaker.dead-letters"
TOPIC_SERVED_LISTS: Final = "tastemaker.served-lists"

# Kafka headers.
HEADER_INGESTED_AT: Final = "ingested-at-us"  # when the platform took an event first; ASCII digits, for replays
# On a note in the dead-letter topic, under the key of the letter that was replayed.
HEADER_REPLAYED_AT: Final = "replayed-at-us"
HEADER_REPLAYED_TO: Final = "replayed-to"  # topic, partition and offset, joined with colons

# Lake tables.
TABLE_EVENTS: Final = "events"
TABLE_ITEMS: Final = "items"
TABLE_SERVED_LISTS: Final = "served_lists"
TABLE_ITEM_CONTENT: Final = "item_content"

# Columns of an item's content.
VECTOR: Final = "vector"
CONTENT_VERSION: Final = "content_version"

# Feast entities.
ENTITY_USER: Final = "user"
ENTITY_ITEM: Final = "item"
ENTITY_SESSION: Final = "session"
ENTITY_CATEGORY: Final = "category"

# Feature views.
VIEW_USER_ACTIVITY: Final = "user_activity"
VIEW_USER_HISTORY: Final = "user_history"
VIEW_SESSION_HISTORY: Final = "session_history"
VIEW_ITEM_ACTIVITY: Final = "item_activity"
VIEW_USER_ITEM_ACTIVITY: Final = "user_item_activity"
VIEW_ITEM_PROFILE: Final = "item_profile"
VIEW_ITEM_CONTENT: Final = "item_content"
VIEW_USER_AFFINITY: Final = "user_affinity"
VIEW_USER_CATEGORY_ACTIVITY: Final = "user_category_activity"
VIEW_SESSION_ACTIVITY: Final = "session_activity"
VIEW_REQUEST_CONTEXT: Final = "request_context"
VIEW_USER_HABITS: Final = "user_habits"
VIEW_USER_ITEM_FIT: Final = "user_item_fit"
VIEW_USER_EXPOSURE: Final = "user_exposure"
VIEW_SESSION_EXPOSURE: Final = "session_exposure"

# Feature services.
SERVICE_RETRIEVAL: Final = "retrieval"
SERVICE_RANKING: Final = "ranking"
SERVICE_ALL: Final = "all_features"

# Candidate sources, as they are named in served lists, reasons and metrics.
SOURCE_TWO_TOWER: Final = "two_tower"
SOURCE_REPEAT: Final = "repeat_purchase"
SOURCE_COVISITATION: Final = "co_visitation"
SOURCE_TRENDING: Final = "trending"
SOURCE_SIMILAR: Final = "similar_items"
SOURCE_BOUGHT_TOGETHER: Final = "bought_together"
SOURCE_ALSO_VIEWED: Final = "also_viewed"
SOURCE_CATEGORY: Final = "category_popular"
SOURCE_FRESH: Final = "new_items"
SOURCE_DUE: Final = "due_again"
SOURCE_GIVEN: Final = "given_items"
SOURCE_PINNED: Final = "pinned"

# The name of a release in BentoML's model store.
RELEASE_MODEL: Final = "tastemaker-release"
