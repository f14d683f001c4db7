"""Who and what features are about. Join keys are columns of an event."""

from feast import Entity, ValueType

from tastemaker import names

user = Entity(
    name=names.ENTITY_USER, join_keys=[names.USER_ID], value_type=ValueType.STRING, description="A known shopper."
)
item = Entity(
    name=names.ENTITY_ITEM, join_keys=[names.ITEM_ID], value_type=ValueType.STRING, description="A product of the shop."
)
session = Entity(
    name=names.ENTITY_SESSION,
    join_keys=[names.SESSION_ID],
    value_type=ValueType.STRING,
    description="One visit, of a known shopper or of a guest.",
)
category = Entity(
    name=names.ENTITY_CATEGORY,
    join_keys=[names.CATEGORY],
    value_type=ValueType.STRING,
    description="A shelf of the shop: an item's category path, joined with '/'.",
)
