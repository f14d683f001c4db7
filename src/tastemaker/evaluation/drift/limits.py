"""What drift is measured with: the false-alarm rate, the resamples, and the floors below which nothing matters."""

import msgspec

__all__ = ["DriftLimits"]


class DriftLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How drift is judged.

    A check fires when its figure is above both its calibrated limit, which is what windows of reference days reach by
    chance, and its floor, which is what would matter to a model at all.

    Attributes:
        false_alarm_rate: chance that a window without drift fires any check of a frame, all columns, checks and
            segments together.
        resamples: windows of reference days that are drawn to calibrate, at least 1,000.
        block_days: days in a row that are drawn together; 1 draws single days.
        wasserstein: floor of numbers; Wasserstein distance in standard deviations of the reference.
        jensen_shannon: floor of categories; Jensen-Shannon distance, natural logarithm, 0 to .83.
        missing_share: floor of the change of the share of missing values, 0 to 1.
        new_category_share: floor of the share of rows whose category the reference lacks, 0 to 1.
        categories: the most frequent ones that keep their name, the others are folded into one.
        bins: values that a column of numbers is told apart by, at most.
        rows: of a larger frame Evidently's report sees a sample of so many; the decision rests on all rows.
        min_rows: a smaller frame, or segment, cannot be judged.
        min_days: of the reference, below which nothing can be calibrated.
    """

    false_alarm_rate: float = 0.05
    resamples: int = 1_000
    block_days: int = 1
    wasserstein: float = 0.1
    jensen_shannon: float = 0.05
    missing_share: float = 0.02
    new_category_share: float = 0.01
    categories: int = 50
    bins: int = 512
    rows: int = 20_000
    min_rows: int = 200
    min_days: int = 14

    def floor(self, check: str) -> float:
        """The floor of a check with a figure, by its name."""
        found: float = {
            "wasserstein": self.wasserstein,
            "jensen_shannon": self.jensen_shannon,
            "missing_share": self.missing_share,
            "beside_others": self.wasserstein,
            "ranks_beside_others": self.wasserstein,
            "missing_beside_others": self.missing_share,
            "new_categories": self.new_category_share,
        }[check]
        return found
