"""A list that was made, put together anew by the shop's rules and the surface's policy."""

from dataclasses import replace

from tastemaker.serving.making import Made, Order
from tastemaker.serving.rerank.explore import seed_of
from tastemaker.serving.rerank.policy import RerankPolicy
from tastemaker.serving.stages.rerank import RerankStageInput, rerank_list

__all__ = ["reranked"]


def reranked(order: Order, made: Made, policy: RerankPolicy | None) -> Made:
    """The list as it is shown; the same where neither policy nor rules ask for anything.

    Args:
        order: the request; its id is the seed of what is random.
        made: candidates and scores, best first.
        policy: of the surface; None where the shop's rules alone count, as on the lower rungs.
    """
    rows, scores = made.candidates.rows, made.scores
    listed = order.clock.run(
        "rerank",
        rerank_list,
        RerankStageInput(
            rows,
            scores,
            order.request.k,
            order.state.catalogue,
            policy,
            order.rules,
            seed_of(order.request_id),
            order.now_us,
        ),
    )
    if listed is None:
        return made
    return replace(
        made,
        candidates=made.candidates.take(listed.order),
        scores=scores[listed.order],
        features=made.features[listed.order] if len(made.features) else made.features,
        lift=made.lift.take(listed.order) if made.lift is not None else None,
        listed=listed,
    )
