"""Readable titles from the upper-case descriptions of stock systems."""

import re
from collections.abc import Mapping

__all__ = ["readable"]

_SMALL_WORDS = frozenset(
    {
        "a",
        "an",
        "and",
        "as",
        "at",
        "by",
        "de",
        "du",
        "for",
        "from",
        "in",
        "la",
        "le",
        "of",
        "on",
        "or",
        "per",
        "the",
        "to",
        "with",
    }
)
_CAPITALS = frozenset(
    {"BBQ", "CD", "DIY", "DVD", "ID", "II", "III", "LED", "MDF", "MOP", "TV", "UK", "USA", "USB", "XL", "XXL"}
)
_UNIT = re.compile(r"^(\d[\d.,x×/-]*)(CM|MM|M|KG|G|ML|L|OZ|FT|IN|PC|PCS|PK|CT|LB)(?=[^A-Z]|$)", re.IGNORECASE)
_MEASURE = re.compile(r"^\d+(?:CM|MM)?X\d+(?:X\d+)?(?:CM|MM)?$", re.IGNORECASE)
_WORD_START = re.compile(r"(^|[-/(&+,.\"])([a-z])")
_SET = re.compile(r"\b(SET|S)\s?/\s?(\d+)\b", re.IGNORECASE)


def readable(description: str, words: Mapping[str, str] | None = None) -> str:
    """Turn a stock description into a title.

    Args:
        description: as it stands in the stock system.
        words: expansions of abbreviations, upper case to title case.

    Returns:
        Title case with units and small words in lower case, single spaces, and the sets spelled out.

    >>> readable("SET/6 RED SPOTTY T-LIGHT HOLDERS IN A 15CM  BOX ")
    'Set of 6 Red Spotty T-Light Holders in a 15cm Box'
    """
    text = _SET.sub(r"SET OF \2", description)
    text = re.sub(r"\bOF(?=\d)", "OF ", re.sub(r"\bW/\s?(?=\w)", "WITH ", text))
    text = re.sub(r"\s+([,.;])", r"\1", text)
    text = re.sub(r",(?=[^\s\d])", ", ", text)
    tokens = text.strip(" ,;*.").split()
    return " ".join(_cased(token, first=not position, words=words or {}) for position, token in enumerate(tokens))


def _cased(token: str, first: bool, words: Mapping[str, str]) -> str:
    bare = token.strip("(),.:\"'")
    if bare.upper() in words:
        return token.replace(bare, words[bare.upper()])
    if bare in _CAPITALS or re.fullmatch(r"(?:[A-Z]\.){2,}[A-Z]?", token):
        return token
    if _MEASURE.match(bare) or _UNIT.match(bare):
        return token.lower()
    if any(character.isdigit() for character in bare) and len(bare) <= 3:
        return token.upper() if token.isupper() else token
    lowered = token.lower()
    if lowered in _SMALL_WORDS and not first:
        return lowered
    return _WORD_START.sub(lambda match: match[1] + match[2].upper(), lowered)
