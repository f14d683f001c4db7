"""``python -m benchmarks [NAME]``: list the benchmarks, or run one.

Exits 1 when a goal falls short, 2 for an unknown name.
"""

import sys
from collections.abc import Callable

from rich.console import Console

from benchmarks import (
    canary,
    candidate_index,
    changed_list,
    chaos,
    demo,
    drift_power,
    drift_scale,
    faults,
    freshness,
    index_table,
    ingest,
    item_matrix,
    ndcg,
    online_read,
    parity,
    quality,
    ranker,
    replay,
    scale_out,
    serving,
    sustained,
    training_set,
    two_tower,
)
from benchmarks.goal import Goal

BENCHMARKS: dict[str, Callable[[], list[Goal]]] = {
    "canary": canary.run,
    "changed_list": changed_list.run,
    "chaos": chaos.run,
    "demo": demo.run,
    "drift_power": drift_power.run,
    "drift_scale": drift_scale.run,
    "faults": faults.run,
    "freshness": freshness.run,
    "index": candidate_index.run,
    "index_large": candidate_index.run_large,
    "index_table": index_table.run,
    "ingest": ingest.run,
    "item_matrix": item_matrix.run,
    "ndcg": ndcg.run,
    "online_read": online_read.run,
    "parity": parity.run,
    "quality": quality.run,
    "ranker": ranker.run,
    "replay": replay.run,
    "scale_out": scale_out.run,
    "serving": serving.run,
    "sustained": sustained.run,
    "training_set": training_set.run,
    "two_tower": two_tower.run,
}


def main() -> int:
    """Run what the command line names."""
    console = Console()
    if len(sys.argv) < 2:
        for name, run in BENCHMARKS.items():
            console.print(f"  make bench NAME={name}\t{(run.__doc__ or '').splitlines()[0]}", highlight=False)
        return 0
    name = sys.argv[1]
    if name not in BENCHMARKS:
        console.print(f"no benchmark is called {name!r}; one of: {', '.join(BENCHMARKS)}")
        return 2
    goals = BENCHMARKS[name]()
    for goal in goals:
        console.print(str(goal), highlight=False)
    return 0 if all(goal.holds for goal in goals) else 1


if __name__ == "__main__":
    sys.exit(main())
