"""What a PromQL expression reads: enough of a parser to find its selectors and the labels that it names.

>>> read_of('sum by (view) (rate(m_total{tier!~"a|b"}[5m])) / on (view) n')
({'m_total', 'n'}, {'view', 'tier'})
"""

import re

__all__ = ["read_of"]

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_SELECTOR = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(\{[^}]*\})?")
_MATCHER = re.compile(r"([a-zA-Z_][a-zA-Z0-9_]*)\s*(?:=~|!~|!=|=)")
_WORDS = frozenset({"and", "or", "unless", "bool", "offset", "by", "on", "without", "ignoring", "inf", "nan"})
_DURATION = re.compile(r"\[[^\]]*\]|\boffset\s+\w+")
_NUMBER = re.compile(r"(?<![\w:])[0-9][0-9.eE]*")


def read_of(expression: str) -> tuple[set[str], set[str]]:
    """Names of the series that an expression reads, and names of the labels that it matches or groups by."""
    text = _STRING.sub('""', expression)
    labels = {label.strip() for group in _GROUPING.findall(text) for label in group.split(",") if label.strip()}
    text = _NUMBER.sub(" ", _DURATION.sub(" ", _GROUPING.sub(" ", text)))
    series = set()
    for found in _SELECTOR.finditer(text):
        name = found[1]
        after = text[found.end(1) :].lstrip()
        if after.startswith("(") or name.lower() in _WORDS or _within_braces(text, found.start()):
            continue
        series.add(name)
        labels |= set(_MATCHER.findall(found[2] or ""))
    return series, labels


def _within_braces(text: str, position: int) -> bool:
    return text.rfind("{", 0, position) > text.rfind("}", 0, position)
