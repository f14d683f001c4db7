"""Who may move a partition's position: the writer that claimed the partition last."""

from collections.abc import Iterable, Mapping

from tastemaker.features.stores.protocol import WriterFenced

__all__ = ["check_claims", "fenced"]


def check_claims(
    topic: str, partitions: Iterable[int], claims: Mapping[int, int], epochs: Mapping[tuple[str, int], int]
) -> None:
    """Refuse partitions that another writer has claimed since.

    Args:
        topic: of the partitions.
        partitions: that are to be advanced.
        claims: by partition of the topic, how often it was claimed.
        epochs: by topic and partition, the number of the writer's own claim.

    Raises:
        WriterFenced: the last claim of one is not the writer's; who never claimed is fenced by anybody who did.
    """
    for partition in partitions:
        epoch = claims.get(partition)
        if epoch is not None and epoch != epochs.get((topic, partition)):
            raise fenced(topic, partition)


def fenced(topic: str, partition: int) -> WriterFenced:
    """The error of a writer that lost a partition."""
    return WriterFenced(
        f"another writer has claimed partition {partition} of {topic}; stop working on it, the other one goes on from"
        " the same position"
    )
