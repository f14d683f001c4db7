"""The towers as they are asked after training."""

from typing import Any

from tastemaker.keras import tensorflow
from tastemaker.models.two_tower.network import Network

tf = tensorflow()

__all__ = ["ContentTower", "QueryTower"]


class QueryTower(tf.Module):  # type: ignore[misc, name-defined]
    """One query vector per history, with item vectors that were computed once.

    ``ask`` takes the arrays of :func:`~tastemaker.models.two_tower.sequences.query_rows` or
    :func:`~tastemaker.models.two_tower.bags.query_bags` by name, and gives float32 ``[users, width]``.

    Args:
        network: trained, or in training: :meth:`refresh` takes over its present item vectors.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.catalogue = tf.Variable(network.items.catalogue(), trainable=False)
        # What a saved module must bring along; the network itself is Keras' and is not saved.
        self.kept = [*network.encoder.variables, *(each for each in (network.start, network.kinds) if each is not None)]
        ordered, window = network.parameters.ordered, network.parameters.window

        def specification(name: str, kind: Any, shape: Any) -> Any:
            return tf.TensorSpec(shape, kind, name=name)

        def sequences(items: Any, types: Any, times: Any, lengths: Any) -> Any:
            at = tf.range(window)[None, :]
            # What comes after the newest event is a history of its own, which the query does not see.
            after = at > lengths[:, None]
            packed = {"items": items, "types": types, "times": times, "segments": tf.where(after, -1, 0)}
            queries = network.queries(self.catalogue, packed | {"groups": tf.zeros_like(items) + at})
            return tf.gather(queries, tf.range(tf.shape(items)[0]) * window + lengths)

        def bags(items: Any, types: Any, rows: Any, weights: Any, users: Any) -> Any:
            shown = {"items": items, "types": types, "rows": rows, "weights": weights}
            return network.queries(self.catalogue, shown, users)

        wide = [None, window] if ordered else [None]
        signature = [specification("items", tf.int32, wide), specification("types", tf.int32, wide)]
        if ordered:
            signature += [specification("times", tf.float32, wide), specification("lengths", tf.int32, [None])]
        else:
            signature += [specification("rows", tf.int32, wide), specification("weights", tf.float32, wide)]
            signature += [specification("users", tf.int32, [])]
        self.ask = tf.function(sequences if ordered else bags, input_signature=signature)

    def refresh(self, network: Network) -> None:
        """Take over the item vectors that the network has now."""
        self.catalogue.assign(network.items.catalogue())


class ContentTower(tf.Module):  # type: ignore[misc, name-defined]
    """Vectors of items that training never saw, from their content alone.

    ``ask`` takes the arrays of :class:`~tastemaker.models.two_tower.content.Content` by name, and gives float32
    ``[n, width]``, to be searched among those of the catalogue.

    Args:
        network: trained with content.
        vector_width: of the vectors from outside.
    """

    def __init__(self, network: Network, vector_width: int) -> None:
        super().__init__()
        tower = network.items
        self.kept = [each for each in tower.variables if each is not tower.ids and each is not tower.bias]
        # Nobody knows how popular a new item will be: the middle of the catalogue's biases.
        biases = None if tower.bias is None else tf.sort(tower.bias[:, 0])
        self.middle = None if biases is None else tf.Variable(biases[tower.n_items // 2], trainable=False)

        def content(tokens: Any, categories: Any, numbers: Any, vector: Any) -> Any:
            known = {"tokens": tokens, "categories": categories, "numbers": numbers, "vector": vector}
            vectors = tower.finish(tower.content_vectors(known))
            if self.middle is None:
                return vectors
            return tf.concat([vectors, tf.ones_like(vectors[:, :1]) * self.middle], axis=1)

        shapes = {name: values.shape[1] for name, values in tower.known.items()}
        self.ask = tf.function(
            content,
            input_signature=[
                tf.TensorSpec([None, shapes["tokens"]], tf.int32, name="tokens"),
                tf.TensorSpec([None, shapes["categories"]], tf.int32, name="categories"),
                tf.TensorSpec([None, shapes["numbers"]], tf.float32, name="numbers"),
                tf.TensorSpec([None, vector_width], tf.float32, name="vector"),
            ],
        )
