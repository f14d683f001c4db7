"""The features stage: the shopper's vector, and their own stored features."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tastemaker.features.reading.reader import FeatureReader
from tastemaker.release.ranking_features import RankingLayout
from tastemaker.retrieval.catalogue import Catalogue
from tastemaker.retrieval.encoders import QueryEncoder
from tastemaker.serving.context import ShopperContext, encode_queries
from tastemaker.serving.ranking import read_user

__all__ = ["FeaturesInput", "ShopperFeatures", "shopper_features"]


@dataclass(frozen=True, eq=False)
class FeaturesInput:
    """What the stage is given.

    Attributes:
        shopper: who asks.
        encoder: the query tower.
        catalogue: has the vectors of the items.
        reader: of the online store.
        layout: which features the ranker takes.
        now_us: the moment, in microseconds.
    """

    shopper: ShopperContext
    encoder: QueryEncoder
    catalogue: Catalogue
    reader: FeatureReader
    layout: RankingLayout
    now_us: int


@dataclass(frozen=True, eq=False)
class ShopperFeatures:
    """What is known of the shopper, in numbers.

    Attributes:
        shopper: with the query's vector.
        stored: by view of users, float32 ``[1, features]`` in the order of the layout.
    """

    shopper: ShopperContext
    stored: Mapping[str, npt.NDArray[np.float32]]


def shopper_features(given: FeaturesInput) -> ShopperFeatures:
    """Encode the history, and read the features of the user.

    Raises:
        StoreUnavailable: the online store does not answer.
    """
    (shopper,) = encode_queries([given.shopper], given.encoder, given.catalogue, given.now_us)
    return ShopperFeatures(shopper, read_user(given.reader, given.layout, shopper.user, given.now_us))
