"""Item-to-item tables of one kind of event."""

import numpy as np

from tastemaker.events.contract import EVENT_TYPES
from tastemaker.release.item_item_parameters import ItemItemParameters
from tastemaker.training.interactions import Interactions
from tastemaker.training.item_item import fit_together


def test_tables_of_one_kind_of_event_are_of_common_baskets():
    purchase, view = EVENT_TYPES.index("purchase"), EVENT_TYPES.index("view")
    minute = 60_000_000
    # Shopper 0 buys 0 and 1 at once, and 2 a day later; shopper 1 buys 0, 1 and 2 at once, and looks at 3 and 0.
    events = [
        (0, 0, purchase, 0), (0, 1, purchase, minute), (0, 2, purchase, 1_440 * minute),
        (1, 0, purchase, 0), (1, 1, purchase, minute), (1, 2, purchase, 2 * minute),
        (1, 3, view, 3 * minute), (1, 0, view, 4 * minute),
    ]  # fmt: skip
    shopper, item, kind, time_us = (np.array(column) for column in zip(*events, strict=True))
    interactions = Interactions(("a", "b"), 2, shopper, item, kind, time_us)
    parameters = ItemItemParameters(neighbours=3)
    bought = fit_together(interactions, 5, purchase, parameters)
    # Baskets {0, 1}, {2}, {0, 1, 2}, entries over the roots of both sizes: 0 and 1 are in two baskets of 2 and 3 items,
    # each item in 2 baskets: (1/2 + 1/3) / 2 = 5/12; 0 and 2 share the basket of 3: 1/3 / 2 = 1/6.
    assert bought.items[0].tolist()[:2] == [1, 2]
    np.testing.assert_allclose(bought.weights[0][:2], [5 / 12, 1 / 6], rtol=1e-5)
    assert (bought.items[3:] == -1).all()
    viewed = fit_together(interactions, 5, view, parameters)
    assert (viewed.items[3][0], viewed.items[0][0]) == (0, 3)
    assert (viewed.items[1:3] == -1).all()
    assert (fit_together(interactions, 5, EVENT_TYPES.index("like"), parameters).items == -1).all()
