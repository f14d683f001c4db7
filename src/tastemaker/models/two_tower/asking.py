"""The towers as they are asked after training: by signatures of fixed names, without the catalogue inside.

A query is asked with the vectors of its events' items, wherever they come from: an item that training never saw
counts in a history by the vector of its content.
"""

from typing import Any

from tastemaker.keras import tensorflow
from tastemaker.models.two_tower.network import Network

tf = tensorflow()

__all__ = ["ContentTower", "QueryTower"]


class QueryTower(tf.Module):  # type: ignore[misc, name-defined]
    """One query vector per history.

    ``ask`` takes the arrays of :func:`~tastemaker.models.two_tower.sequences.query_rows` or
    :func:`~tastemaker.models.two_tower.bags.query_bags` by name, with ``vectors`` float32 ``[users, events,
    dimension]`` (of bags ``[events, dimension]``) in the place of ``items``, and gives float32 ``[users, width]``.

    Args:
        network: trained, or in training; its present weights answer.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        # What a saved module must bring along; the network itself is Keras' and is not saved.
        self.kept = [*network.encoder.variables, *(each for each in (network.start, network.kinds) if each is not None)]
        ordered, window, size = network.parameters.ordered, network.parameters.window, network.parameters.dimension

        def specification(name: str, kind: Any, shape: Any) -> Any:
            return tf.TensorSpec(shape, kind, name=name)

        def sequences(vectors: Any, types: Any, times: Any, lengths: Any) -> Any:
            users = tf.shape(types)[0]
            assert network.start is not None
            events = tf.concat([tf.tile(network.start[None], [users, 1, 1]), vectors], axis=1)
            types, times = (tf.pad(each, [[0, 0], [1, 0]]) for each in (types, times))
            at = tf.range(window)[None, :]
            # What comes after the newest event is a history of its own, which the query does not see.
            segments = tf.where(at > lengths[:, None], -1, 0)
            packed = {"types": types, "times": times, "segments": segments, "groups": tf.zeros_like(types) + at}
            return network.newest_queries(events, packed, lengths)

        def bags(vectors: Any, types: Any, rows: Any, weights: Any, users: Any) -> Any:
            return network.queries(vectors, {"types": types, "rows": rows, "weights": weights}, users)

        wide = [None, window - 1] if ordered else [None]
        signature = [specification("vectors", tf.float32, [*wide, size]), specification("types", tf.int32, wide)]
        if ordered:
            signature += [specification("times", tf.float32, wide), specification("lengths", tf.int32, [None])]
        else:
            signature += [specification("rows", tf.int32, wide), specification("weights", tf.float32, wide)]
            signature += [specification("users", tf.int32, [])]
        self.ask = tf.function(sequences if ordered else bags, input_signature=signature, autograph=False)


class ContentTower(tf.Module):  # type: ignore[misc, name-defined]
    """Vectors of items from their content as it is now, and from their ids where training knew them.

    ``ask`` takes ``rows`` int32 ``[n]``, each item's row in the catalogue of training, -1 for an item that was not
    there, and the arrays of :class:`~tastemaker.models.two_tower.content.Content` by name; it gives float32
    ``[n, width]``, to be searched among those of the catalogue.

    Args:
        network: trained with content.
        vector_width: of the vectors from outside.
    """

    def __init__(self, network: Network, vector_width: int) -> None:
        super().__init__()
        tower = network.items
        self.kept = list(tower.variables)
        # Nobody knows how popular a new item will be: the middle of the catalogue's biases.
        biases = None if tower.bias is None else tf.sort(tower.bias[:, 0])
        self.middle = None if biases is None else tf.Variable(biases[tower.n_items // 2], trainable=False)

        def content(rows: Any, tokens: Any, categories: Any, numbers: Any, vector: Any) -> Any:
            described = {"tokens": tokens, "categories": categories, "numbers": numbers, "vector": vector}
            known, rows = (rows >= 0)[:, None], tf.maximum(rows, 0)
            own = tf.where(known, tf.gather(tower.ids, rows), 0.0)
            vectors = tower.finish(tower.content_vectors(described) + own)
            if self.middle is None:
                return vectors
            return tf.concat([vectors, tf.where(known, tf.gather(tower.bias, rows), self.middle)], axis=1)

        shapes = {name: values.shape[1] for name, values in tower.known.items()}
        self.ask = tf.function(
            content,
            autograph=False,
            input_signature=[
                tf.TensorSpec([None], tf.int32, name="rows"),
                tf.TensorSpec([None, shapes["tokens"]], tf.int32, name="tokens"),
                tf.TensorSpec([None, shapes["categories"]], tf.int32, name="categories"),
                tf.TensorSpec([None, shapes["numbers"]], tf.float32, name="numbers"),
                tf.TensorSpec([None, vector_width], tf.float32, name="vector"),
            ],
        )
