"""A figure of our own as a metric of Evidently. Imported on use: it loads Evidently."""

from evidently.core.datasets import Dataset
from evidently.core.metric_types import SingleValue, SingleValueCalculation, SingleValueMetric
from evidently.core.report import Context

__all__ = ["OwnFigure", "OwnFigureCalculation"]


class OwnFigure(SingleValueMetric):
    """A figure that was computed elsewhere, such as the NDCG's difference to the champion.

    Attributes:
        title: its name.
        figure: its value.
    """

    title: str
    figure: float


class OwnFigureCalculation(SingleValueCalculation[OwnFigure]):
    """Hands the figure through."""

    def calculate(self, context: Context, current_data: Dataset, reference_data: Dataset | None) -> SingleValue:
        """The figure as it is."""
        return self.result(self.metric.figure)

    def display_name(self) -> str:
        """Its name."""
        return str(self.metric.title)
