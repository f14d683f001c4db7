"""The context stage: who asks, what they did last, and what the page is about."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tastemaker import names
from tastemaker.features.reading.reader import FeatureReader
from tastemaker.retrieval.catalogue import Catalogue
from tastemaker.retrieval.parameters import IntentParameters
from tastemaker.retrieval.source import NO_ROWS
from tastemaker.serving.context import ShopperContext, read_shopper
from tastemaker.serving.contract import RecommendationRequest
from tastemaker.serving.exposure import read_exposure
from tastemaker.serving.recipe import Recipe
from tastemaker.serving.signals import Signals

__all__ = ["Asked", "ContextInput", "asked_for", "with_page"]


@dataclass(frozen=True, eq=False)
class ContextInput:
    """What the stage is given.

    Attributes:
        request: as it came.
        recipe: of its surface.
        reader: of the online store.
        signals: where its views have what.
        catalogue: gives items their rows.
        intent: how long a fresh event says what the visit is about.
        now_us: the moment, in microseconds.
        user_views: of users, that a later stage reads: they are read with the rest, in one look at the store.
        anonymous: read nothing: answer as to nobody.
    """

    request: RecommendationRequest
    recipe: Recipe
    reader: FeatureReader
    signals: Signals
    catalogue: Catalogue
    intent: IntentParameters
    now_us: int
    user_views: Sequence[str] = ()
    anonymous: bool = False


@dataclass(frozen=True, eq=False)
class Asked:
    """What a list is to be made of.

    Attributes:
        shopper: what is known of who asks; its query has the page's items and category.
        unknown_items: ids of the request's items that the catalogue does not have.
        reader: of the online store, which has read the shopper's rows.
    """

    shopper: ShopperContext
    unknown_items: tuple[str, ...]
    reader: FeatureReader


def asked_for(given: ContextInput) -> Asked:
    """Read the shopper from the online store, and the page from the request.

    Raises:
        StoreUnavailable: the online store does not answer.
    """
    request, catalogue = given.request, given.catalogue
    user, session = (None, None) if given.anonymous else (request.user, request.session)
    wanted = given.recipe.session.shown_discount > 0 or "not_dismissed" in given.recipe.filters
    reader = _read_ahead(given, user, session, wanted) if user or session else given.reader
    shopper = read_shopper(
        reader, given.signals, catalogue, user=user, session=session, now_us=given.now_us, intent=given.intent
    )
    if wanted and (user or session):
        shopper = replace(shopper, exposure=read_exposure(reader, catalogue, user, session, given.now_us))
    return Asked(*with_page(shopper, request, catalogue), reader)


def _read_ahead(given: ContextInput, user: str | None, session: str | None, exposure: bool) -> FeatureReader:
    """A reader that has all rows of the shopper that a list is made from."""
    plan = given.reader.plan
    of_user: list[str] = [names.VIEW_USER_HISTORY, *given.user_views]
    of_session: list[str] = [names.VIEW_SESSION_HISTORY]
    if exposure:
        of_user.append(names.VIEW_USER_EXPOSURE)
        of_session.append(names.VIEW_SESSION_EXPOSURE)
    pairs = ((of_user, user), (of_session, session))
    rows = [(view, key) for views, key in pairs if key for view in views if view in plan.by_name]
    return given.reader.ahead(rows, [(names.VIEW_USER_ITEM_ACTIVITY, user)] if user else [])


def with_page(
    shopper: ShopperContext, request: RecommendationRequest, catalogue: Catalogue
) -> tuple[ShopperContext, tuple[str, ...]]:
    """The shopper with the request's items and category in the query, and the items that are not known."""
    if not request.items and request.category is None:
        return shopper, ()
    rows = NO_ROWS
    unknown: tuple[str, ...] = ()
    if request.items:
        rows = catalogue.rows(dict.fromkeys(request.items))
        known = rows >= 0
        known[known] = catalogue.present[rows[known]]
        if not known.all():
            ids = list(dict.fromkeys(request.items))
            unknown = tuple(ids[place] for place in np.flatnonzero(~known).tolist())
            rows = rows[known]
    query = replace(shopper.query, items=rows, category=request.category or "")
    return replace(shopper, query=query), unknown
