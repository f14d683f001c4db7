"""Whether the loop really closed: each link checked where it left its trace."""

import time
from dataclasses import dataclass

from rich.console import Group
from rich.text import Text

from tastemaker import names
from tastemaker.cli.moment import Moment
from tastemaker.settings import Settings

__all__ = ["Closing", "check_loop"]


@dataclass(frozen=True)
class Closing:
    """The links of the loop and whether each held.

    Attributes:
        links: what was checked, whether it held, and what was seen.
    """

    links: tuple[tuple[str, bool, str], ...]

    @property
    def closed(self) -> bool:
        """Whether all held."""
        return all(held for _, held, _ in self.links)

    def __rich__(self) -> Group:
        lines = [
            Text.assemble(("✓ ", "bold green") if held else ("✗ ", "bold red"), what, (f": {seen}", "dim"))
            for what, held, seen in self.links
        ]
        verdict = Text("The loop is closed.", "bold green") if self.closed else Text("The loop is open.", "bold red")
        return Group(*lines, verdict)


def check_loop(settings: Settings, moment: Moment, patience_s: float) -> Closing:
    """Check every link; the lake lags a second behind, so it is given some time.

    Args:
        settings: of the running stack.
        moment: the customer's lists before and after.
        patience_s: how long to wait for the lake, in seconds.
    """
    from tastemaker.lake.tables import Lake
    from tastemaker.promotion.releases import ReleaseRegistry

    session = f"demo-{moment.before['request_id']}"
    wanted = {moment.before["request_id"], moment.after["request_id"]}
    deadline = time.monotonic() + patience_s
    events: list[tuple[int, int]] = []
    served: set[str] = set()
    while time.monotonic() < deadline and (len(events) < len(moment.events) or served != wanted):
        with Lake(settings.lake_dir).connect() as connection:
            events = connection.execute(
                f"SELECT {names.PARTITION}, {names.OFFSET} FROM {names.TABLE_EVENTS} WHERE {names.SESSION_ID} = ?",
                [session],
            ).fetchall()
            found = connection.execute(
                f"SELECT {names.REQUEST_ID} FROM {names.TABLE_SERVED_LISTS} WHERE {names.REQUEST_ID} IN (?, ?)",
                sorted(wanted),
            ).fetchall()
        served = {row[0] for row in found}
        time.sleep(0.3)
    champion = ReleaseRegistry(settings).champion()
    verdict = ReleaseRegistry(settings).get(champion.release).verdict if champion else None
    places = ", ".join(f"partition {partition} offset {offset}" for partition, offset in sorted(events))
    through_kafka = len(events) == len(moment.events) and all(offset >= 0 for _, offset in events)
    title = moment.clicked.title
    reasons = [item["reason"] for item in moment.after["items"] if title in item["reason"]]
    return Closing(
        (
            ("the events went through Kafka, each once", through_kafka, places or "not in the lake"),
            ("the list changed because of them", bool(reasons), reasons[0] if reasons else f"no reason names {title}"),
            ("both lists are in the served-list log", served == wanted, ", ".join(sorted(served)) or "neither is"),
            (
                "the release that answered passed the gate",
                verdict is not None and verdict.passed and moment.after["release"] == verdict.release,
                f"{verdict.release}: {verdict.decision}" if verdict else "no release",
            ),
        )
    )
