"""Which Bento the stack's recommender runs: its code is what counts, because the process follows the champion."""

from tastemaker.promotion.bento import code_of
from tastemaker.promotion.champion import read_champion
from tastemaker.settings import Settings

__all__ = ["ServedBento"]


class ServedBento:
    """The Bento to serve, asked again and again.

    A champion in a Bento with the code that runs already is taken over by the running process; only one with other code
    needs another process.

    Args:
        settings: where the champion and the Bentos are.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._tag = self._code = self._last = ""

    def __call__(self) -> str | None:
        """The tag; None before the first promotion.

        Raises:
            DataError: the champion pointer is damaged.
        """
        champion = read_champion(self._settings.releases_dir)
        if champion is None:
            return None
        if champion.bento != self._last:
            self._last = champion.bento
            code = code_of(self._settings, champion.bento)
            if not code or code != self._code or not code_of(self._settings, self._tag):  # it might be gone
                self._tag, self._code = champion.bento, code
        return self._tag
