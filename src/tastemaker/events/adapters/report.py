"""What an adapter kept and dropped of its source, and why."""

from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

__all__ = ["CleaningReport"]


@dataclass(frozen=True)
class CleaningReport:
    """The account of one load: every row of the source is either kept or dropped for a named reason.

    Attributes:
        source: what was read, for people.
        kept: rows that became events.
        dropped: (reason, rows) of the rows that did not; a row is counted under its first reason only.
        items_kept: rows of the items table.
        items_dropped: (reason, rows) of a separate items file.
        notes: what else was decided, such as spellings that were merged.
    """

    source: str
    kept: int
    dropped: tuple[tuple[str, int], ...] = ()
    items_kept: int = 0
    items_dropped: tuple[tuple[str, int], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """Rows of the source."""
        return self.kept + sum(count for _, count in self.dropped)

    def __rich__(self) -> Table:
        table = Table(title=f"Cleaning of {self.source}", title_justify="left")
        table.add_column("rows")
        table.add_column("count", justify="right")
        table.add_column("share", justify="right")

        def add(label: str, count: int, whole: int, style: str = "") -> None:
            table.add_row(label, f"{count:,}", f"{count / whole:.2%}" if whole else "–", style=style)

        add("read", self.rows, self.rows)
        for reason, count in self.dropped:
            add(f"dropped: {reason}", count, self.rows)
        add("kept as events", self.kept, self.rows, "bold")
        items = self.items_kept + sum(count for _, count in self.items_dropped)
        table.add_section()
        for reason, count in self.items_dropped:
            add(f"item dropped: {reason}", count, items)
        add("items", self.items_kept, items, "bold")
        table.caption = "\n".join(self.notes) or None
        table.caption_justify = "left"
        return table

    def __str__(self) -> str:
        console = Console(width=120, color_system=None, file=None, record=False)
        with console.capture() as capture:
            console.print(self)
        return capture.get()
