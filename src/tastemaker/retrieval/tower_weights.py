"""The weights of saved towers by name, for those that are asked without TensorFlow."""

import numpy as np
import numpy.typing as npt

from tastemaker.errors import ServingError
from tastemaker.models.two_tower.saved import WEIGHTS, Saved

__all__ = ["TowerWeights"]


class TowerWeights:
    """The weights of a model, by their own names or by the ends of them, which begin with the layers that they are in.

    Args:
        saved: the model.

    Raises:
        ServingError: they cannot be read.
    """

    def __init__(self, saved: Saved) -> None:
        self._file = saved.directory / WEIGHTS
        try:
            self._kept = np.load(self._file)
        except (OSError, ValueError) as error:
            raise ServingError(f"{self._file} cannot be read ({error}); train the release again") from error

    def __call__(self, name: str, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
        """One of them, float32 of a shape.

        Raises:
            ServingError: there is none, or more than one, or it is of another shape.
        """
        own = [known for known in self._kept.files if known == f"{name}:0"]
        names = own or [known for known in self._kept.files if known.endswith(f"/{name}:0")]
        found = [self._kept[known] for known in names]
        if len(found) != 1 or found[0].shape != shape:
            told = [(known, values.shape) for known, values in zip(names, found, strict=True)]
            raise ServingError(
                f"{self._file} should have one weight {name!r} of shape {shape}, not {told}; train the release again"
            )
        return np.asarray(found[0], dtype=np.float32)

    def close(self) -> None:
        """Close the file."""
        self._kept.close()
