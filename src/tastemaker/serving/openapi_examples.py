"""Examples of the API documentation; a test sends the requests and decodes the answers."""

from typing import Any, Final

__all__ = ["ERRORS", "INFER", "INFER_RESPONSE", "PAGE", "PREDICT", "RELEASE", "REQUEST", "RESPONSE"]

REQUEST: Final[dict[str, Any]] = {
    "user": "17850",
    "session": "visit-81",
    "surface": "home",
    "k": 2,
    "context": {"device": "phone", "country": "GB"},
}

RESPONSE: Final[dict[str, Any]] = {
    "request_id": "0b6e8f0e5c4d4a0c9a51",
    "release": "2011-12-09-1f3a",
    "tier": "full",
    "items": [
        {
            "item_id": "85123A",
            "title": "WHITE HANGING HEART T-LIGHT HOLDER",
            "score": 0.412,
            "source": "repeat_purchase",
            "reason": "You bought this 3 times",
            "price": 2.95,
            "category": ["home", "candles"],
        },
        {
            "item_id": "22423",
            "title": "REGENCY CAKESTAND 3 TIER",
            "score": 0.287,
            "source": "co_visitation",
            "reason": "Bought together with WHITE HANGING HEART T-LIGHT HOLDER",
            "price": 12.75,
            "category": ["kitchen", "cake stands"],
        },
    ],
}

PAGE: Final[dict[str, Any]] = {
    "surface": "similar",
    "items": ["85123A"],
    "session": "visit-81",
    "k": 6,
    "filters": {"price_max": 20.0, "bought": False},
}

PREDICT: Final[dict[str, Any]] = {"instances": [{"user": "17850", "k": 2}, {"session": "visit-81", "k": 5}]}

INFER: Final[dict[str, Any]] = {
    "id": "42",
    "inputs": [
        {"name": "user", "datatype": "BYTES", "shape": [2], "data": ["17850", ""]},
        {"name": "k", "datatype": "INT32", "shape": [1], "data": [2]},
    ],
    "outputs": [{"name": "item_ids"}, {"name": "scores"}],
}

INFER_RESPONSE: Final[dict[str, Any]] = {
    "model_name": "recommender",
    "model_version": "2011-12-09-1f3a",
    "id": "42",
    "parameters": {"release": "2011-12-09-1f3a"},
    "outputs": [
        {"name": "item_ids", "datatype": "BYTES", "shape": [2, 2], "data": ["85123A", "22423", "22423", "84879"]},
        {"name": "scores", "datatype": "FP32", "shape": [2, 2], "data": [0.412, 0.287, 0.31, 0.256]},
    ],
}

RELEASE: Final[dict[str, Any]] = {
    "release": "2011-12-09-1f3a",
    "version": "0.1.0",
    "surfaces": {
        "home": {"about": "What a shopper may like, by everything that is known of them.", "requires": []},
        "similar": {"about": "Items like the one of the page.", "requires": ["items"]},
    },
}

ERRORS: Final[dict[str, Any]] = {
    "Error": {
        "error": {
            "field": "surface",
            "problem": "unknown surface 'attic'",
            "remedy": "use one of: home, also_viewed, bought_together, buy_again, cart, category, email, search, "
            "similar",
        },
    },
    "ProtocolError": {
        "error": "inputs[1].datatype: 'FP32' is wrong for 'k'; send INT32 or INT64",
        "field": "inputs[1].datatype",
    },
}
