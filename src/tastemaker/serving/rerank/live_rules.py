"""Compiled rules that follow the rules' file and the catalogue, in the background."""

import logging
import threading
from collections.abc import Callable

from tastemaker.serving.rerank.catalogue_facts import CatalogueFacts
from tastemaker.serving.rerank.compiled_rules import CompiledRules
from tastemaker.serving.rerank.compiling import compile_rules
from tastemaker.serving.rerank.rule_watch import RuleWatch

__all__ = ["LiveRules"]

_log = logging.getLogger(__name__)


class LiveRules:
    """Holds what requests use: they read :attr:`compiled` once and keep to it.

    Args:
        watch: of the rules' file.
        facts: gives the catalogue's facts as of now; is called several times a second, so it answers from memory.
    """

    def __init__(self, watch: RuleWatch, facts: Callable[[], CatalogueFacts]) -> None:
        self._watch = watch
        self._facts = facts
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.compiled: CompiledRules = compile_rules(watch.rules, facts())

    @property
    def problem(self) -> str:
        """Why the rules' file as it is now is not in force; empty when it is."""
        return self._watch.problem

    def refresh(self) -> bool:
        """Look at file and catalogue, and compile if either changed; requests meanwhile use the former rules.

        Returns:
            Whether anything changed.
        """
        self._watch.look()
        facts, rules = self._facts(), self._watch.rules
        if (rules.version, facts.version) == (self.compiled.version, self.compiled.facts.version):
            return False
        self.compiled = compile_rules(rules, facts)
        return True

    def start(self, every_s: float = 0.25) -> None:
        """Refresh from a thread until :meth:`stop`."""
        self._thread = threading.Thread(target=self._run, args=(every_s,), name="rules", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self, every_s: float) -> None:
        while not self._stop.wait(every_s):
            try:
                self.refresh()
            except Exception:  # whatever a catalogue does, rules go on being followed
                _log.exception("rules cannot be compiled; those from before stay in force")
