"""Charts as SVG text: nothing to load, and they take the colours of the page that they stand in."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["Point", "Row", "curve_chart", "interval_chart", "scatter_chart"]

_ROW = 26  # pixels
_LABEL = 132
_VALUE = 206
_WIDTH = 760


@dataclass(frozen=True)
class Row:
    """A line of an interval chart.

    Attributes:
        label: what it is of.
        value: the estimate.
        low: lower end of its interval.
        high: upper end.
        strong: whether to point it out.
    """

    label: str
    value: float
    low: float
    high: float
    strong: bool = False


@dataclass(frozen=True)
class Point:
    """A mark of a scatter chart.

    Attributes:
        label: what it is of.
        x: across.
        y: up.
        strong: whether to point it out.
    """

    label: str
    x: float
    y: float
    strong: bool = False


def interval_chart(rows: Sequence[Row], *, title: str, from_zero: bool = True, sign: str = "") -> str:
    """Estimates one below the other, each with its interval.

    Args:
        rows: top to bottom, at least one.
        title: read out by screen readers.
        from_zero: draw bars from 0; else only marks, and a line at 0 where 0 is in the picture.
        sign: ``+`` to write the sign of positive values too.
    """
    ends = [bound for row in rows for bound in (row.low, row.high, row.value)]
    ticks = _ticks(min([0.0, *ends]), max([0.0, *ends]))
    left, right = _LABEL, _WIDTH - _VALUE
    height = _ROW * len(rows) + 26

    def x(value: float) -> float:
        return left + (value - ticks[0]) / (ticks[-1] - ticks[0]) * (right - left)

    parts = [_grid_x(ticks, x, height - 20)]
    if not from_zero:
        parts.append(f'<line class="zero" x1="{x(0):.1f}" x2="{x(0):.1f}" y1="0" y2="{height - 20}"/>')
    for place, row in enumerate(rows):
        y = _ROW * place + _ROW / 2
        mark = " strong" if row.strong else ""
        parts.append(
            f'<text class="label{mark}" x="{left - 10}" y="{y + 4}" text-anchor="end">{escape(row.label)}</text>'
        )
        if from_zero:
            parts.append(
                f'<rect class="bar{mark}" x="{x(0):.1f}" y="{y - 7}" width="{max(x(row.value) - x(0), 0):.1f}"'
                ' height="14" rx="2"/>'
            )
        parts.append(f'<line class="whisker" x1="{x(row.low):.1f}" x2="{x(row.high):.1f}" y1="{y}" y2="{y}"/>')
        parts.append(f'<circle class="dot{mark}" cx="{x(row.value):.1f}" cy="{y}" r="3.5"/>')
        text = f"{row.value:{sign}.4f}  [{row.low:{sign}.4f}, {row.high:{sign}.4f}]"
        parts.append(f'<text class="value{mark}" x="{right + 12}" y="{y + 4}">{text}</text>')
    return _svg(parts, height, title)


def scatter_chart(points: Sequence[Point], *, title: str, x_name: str, y_name: str, height: int = 300) -> str:
    """Marks with labels.

    Args:
        points: at least one.
        title: read out by screen readers.
        x_name: below the axis.
        y_name: at the top of the axis.
        height: of the picture in pixels.
    """
    frame = _Frame(points, height, from_zero=True)
    parts = frame.parts(x_name, y_name)
    taken: list[float] = []
    for point in sorted(points, key=lambda point: -point.y):
        mark = " strong" if point.strong else ""
        at = frame.y(point.y) + 4
        # A label keeps its distance from those above it that are drawn already.
        while any(abs(at - other) < 13 for other in taken):
            at += 2
        taken.append(at)
        parts.append(f'<circle class="dot{mark}" cx="{frame.x(point.x):.1f}" cy="{frame.y(point.y):.1f}" r="5"/>')
        parts.append(
            f'<text class="label{mark}" x="{frame.x(point.x) + 10:.1f}" y="{at:.1f}">{escape(point.label)}</text>'
        )
    return _svg(parts, height, title)


def curve_chart(points: Sequence[Point], *, title: str, x_name: str, y_name: str, height: int = 220) -> str:
    """Marks joined in their order, the axes as long as the values need.

    Args:
        points: at least two, finite.
        title: read out by screen readers.
        x_name: below the axis.
        y_name: at the top of the axis.
        height: of the picture in pixels.
    """
    frame = _Frame(points, height, from_zero=False)
    path = " ".join(f"{frame.x(point.x):.1f},{frame.y(point.y):.1f}" for point in points)
    parts = [*frame.parts(x_name, y_name), f'<polyline class="curve" points="{path}"/>']
    for point in points:
        x, y = frame.x(point.x), frame.y(point.y)
        parts.append(f'<circle class="dot strong" cx="{x:.1f}" cy="{y:.1f}" r="3"/>')
        if point.label:
            parts.append(f'<text class="tick" x="{x + 6:.1f}" y="{y - 6:.1f}">{escape(point.label)}</text>')
    return _svg(parts, height, title)


class _Frame:
    """Two axes and where values lie between them."""

    def __init__(self, points: Sequence[Point], height: float, *, from_zero: bool) -> None:
        low = [0.0] if from_zero else []
        self._across = _ticks(min(low + [point.x for point in points]), max(point.x for point in points))
        self._up = _ticks(min(low + [point.y for point in points]), max(point.y for point in points))
        self._left, self._right, self._top, self._bottom = 64, _WIDTH - 120, 22, height - 40

    def x(self, value: float) -> float:
        return self._left + (value - self._across[0]) / (self._across[-1] - self._across[0]) * (
            self._right - self._left
        )

    def y(self, value: float) -> float:
        return self._bottom - (value - self._up[0]) / (self._up[-1] - self._up[0]) * (self._bottom - self._top)

    def parts(self, x_name: str, y_name: str) -> list[str]:
        """Grid, ticks and names."""
        left, right, bottom = self._left, self._right, self._bottom
        parts = []
        for tick in self._up:
            y = self.y(tick)
            parts.append(f'<line class="grid" x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
            parts.append(f'<text class="tick" x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{_short(tick)}</text>')
        for tick in self._across:
            x = self.x(tick)
            parts.append(f'<text class="tick" x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{_short(tick)}</text>')
        parts.append(f'<text class="axis" x="{right}" y="{bottom + 34}" text-anchor="end">{escape(x_name)}</text>')
        parts.append(f'<text class="axis" x="0" y="12">{escape(y_name)}</text>')
        return parts


def _svg(parts: Sequence[str], height: float, title: str) -> str:
    label = escape(title, quote=True)
    return f'<svg viewBox="0 0 {_WIDTH} {height:.0f}" role="img" aria-label="{label}">{"".join(parts)}</svg>'


def _grid_x(ticks: Sequence[float], x: object, bottom: float) -> str:
    assert callable(x)
    return "".join(
        f'<line class="grid" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="0" y2="{bottom}"/>'
        f'<text class="tick" x="{x(tick):.1f}" y="{bottom + 15}" text-anchor="middle">{_short(tick)}</text>'
        for tick in ticks
    )


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers that include both ends, four to seven of them."""
    if not high > low:
        low, high = low - (abs(low) or 1.0) * 0.5, high + (abs(high) or 1.0) * 0.5
    raw = (high - low) / 5
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= raw * 0.999)
    first = math.floor(low / step + 1e-9)
    return [round(place * step, 12) for place in range(first, math.ceil(high / step - 1e-9) + 1)]


def _short(value: float) -> str:
    return f"{value:,.6g}"
