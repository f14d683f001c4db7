"""Rules that follow their file while requests are served."""

import logging
import os
from pathlib import Path

from tastemaker.errors import DataError
from tastemaker.serving.rerank.rule_log import RuleLog
from tastemaker.serving.rerank.rule_set import RuleSet

__all__ = ["RuleWatch"]

_log = logging.getLogger(__name__)

_Stamp = tuple[int, int, int, int]


class RuleWatch:
    """The rules of a log, as of the last look. A file that cannot be used leaves the last good rules in force.

    Args:
        path: of the log.

    Attributes:
        rules: in force.
        problem: why the file as it is now is not in force; empty when it is.
    """

    def __init__(self, path: Path) -> None:
        self._source = RuleLog(path)
        self._seen: _Stamp | None = None
        self.rules = RuleSet()
        self.problem = ""
        self.look()

    def look(self) -> bool:
        """Look whether the file changed, which costs one system call, and take its rules if so. Never raises.

        Returns:
            Whether other rules are in force than before.
        """
        try:
            stat = os.stat(self._source.path)
            stamp = (stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size)
        except FileNotFoundError:
            if self._seen is not None:
                self._tell(f"{self._source.path} is gone; the rules from before stay in force")
                self._seen = (0, 0, 0, 0)
            return False
        except OSError as error:
            self._tell(f"{self._source.path} cannot be read: {error.strerror}; the rules from before stay in force")
            return False
        if stamp == self._seen:
            return False
        try:
            folded = self._source.read()
        except (DataError, OSError) as error:
            self._seen = stamp
            self._tell(f"{error}; the rules from before stay in force")
            return False
        self._seen = stamp  # of before it was read: what was written meanwhile is seen at the next look
        half = f"{self._source.path} ends in half a line of {folded.torn} bytes, which does not count"
        self._tell(half if folded.torn else "")
        if folded.rules.version == self.rules.version:
            return False
        self.rules = folded.rules
        _log.info("rules %s are in force: %d", self.rules.version, len(self.rules))
        return True

    def _tell(self, problem: str) -> None:
        if problem and problem != self.problem:
            _log.warning("rules: %s", problem)
        self.problem = problem
