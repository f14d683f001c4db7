"""What the contract suite of online stores writes and reads."""

from tastemaker.features.stores.protocol import OnlineStore, StoreReader

__all__ = ["OTHER", "TOPIC", "VIEW", "digest", "pairs", "put"]

VIEW, OTHER = "user@0123", "user@4567"
TOPIC = "events"


def put(store: OnlineStore, view: str, **rows: tuple[int, bytes]) -> None:
    """Write rows in a transaction."""
    with store.transaction() as tx:
        tx.put(view, list(rows), [at for at, _ in rows.values()], [state for _, state in rows.values()])


def pairs(reader: StoreReader, view: str) -> dict[str, bytes]:
    """All rows of a view."""
    return {key: row.state for key, row in reader.all_rows(view)}


def digest(number: int) -> bytes:
    """An event id's, of 16 bytes."""
    return number.to_bytes(16, "big")
