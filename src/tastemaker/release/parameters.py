"""All parameters of a training run, each beside the part that it is for."""

from pydantic import BaseModel, ConfigDict

from tastemaker.release.item_item_parameters import ItemItemParameters
from tastemaker.release.ranker_parameters import ReleaseRankerParameters
from tastemaker.release.tower_parameters import ReleaseTowerParameters
from tastemaker.retrieval.parameters import IntentParameters, RetrievalParameters

__all__ = ["TrainingParameters"]


class TrainingParameters(BaseModel):
    """Parameters of a release; they are stored in it.

    Attributes:
        towers: two towers.
        item_item: co-visitation table.
        retrieval: blend of the sources.
        ranker: ranker.
        intent: the present visit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    towers: ReleaseTowerParameters = ReleaseTowerParameters()
    item_item: ItemItemParameters = ItemItemParameters()
    retrieval: RetrievalParameters = RetrievalParameters()
    ranker: ReleaseRankerParameters = ReleaseRankerParameters()
    intent: IntentParameters = IntentParameters()
