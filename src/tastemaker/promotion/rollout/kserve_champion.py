"""In a cluster nothing follows the champion pointer by itself: between rollouts this brings the champion into force."""

from tastemaker.errors import RolloutError
from tastemaker.promotion.releases import ReleaseRegistry
from tastemaker.promotion.rollout.opening import open_target
from tastemaker.promotion.rollout.running import running_rollout
from tastemaker.promotion.rollout.store import RolloutStore
from tastemaker.promotion.rollout.target import RolloutTarget, Split
from tastemaker.settings import Settings

__all__ = ["serve_champion"]


def serve_champion(settings: Settings, *, target: RolloutTarget | None = None, patience_s: float = 0.0) -> Split | None:
    """Give the champion everything in the cluster, where something else is in force and no rollout runs.

    So the first release is served, and what was promoted or taken back past rollouts. The stack's recommender follows
    the champion pointer itself; without a cluster this does nothing.

    Args:
        settings: of the platform.
        target: where releases are served; where absent, what :func:`open_target` opens.
        patience_s: seconds to wait for another one who drives.

    Returns:
        What was brought into force; None where it was so, a rollout runs, or there is no champion.

    Raises:
        RolloutError: another process drives, or the champion is not in force within the target's patience.
    """
    if not settings.cluster_storage or running_rollout(settings.rollouts_dir) is not None:
        return None
    with RolloutStore(settings.rollouts_dir).driving(patience_s):
        champion = ReleaseRegistry(settings).champion()
        if champion is None or running_rollout(settings.rollouts_dir) is not None:
            return None
        target, wanted = target or open_target(settings), Split(champion.release)
        try:
            if target.read() == wanted:
                return None
        except RolloutError:
            pass  # somebody changed it, or it is half done: what follows mends it
        target.apply(wanted)
        return wanted
