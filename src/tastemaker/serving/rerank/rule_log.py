"""The rules' audit trail: a file that only grows, one JSON line per change, from which the rules are folded.

Each line says who changed what, when and why, and carries a hash over itself and the line before, so that no past
change can be altered unnoticed. A change is one line and one write: after a crash it is there as a whole, or its half
line, which nobody was told of, is dropped.
"""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from tastemaker.durable import locked, sync_directory
from tastemaker.errors import DataError
from tastemaker.serving.rerank.rule import Rule
from tastemaker.serving.rerank.rule_set import RuleSet

__all__ = ["Action", "Change", "Folded", "RuleLog", "rules_path"]

Action = Literal["add", "replace", "disable", "enable"]
_Said = Annotated[str, msgspec.Meta(min_length=1, max_length=2048)]
_NO_LINK: Final = "0" * 16


class Change(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One line.

    Attributes:
        number: counts from 1.
        at: the platform's time (UTC).
        who: who did it.
        what: was done.
        why: in the words of who did it.
        rules: as they are after it: those added, replaced, disabled or enabled.
        version: of all rules after it.
        link: 16 hexadecimal digits of the SHA-256 of the line before's link and this line without its own.
    """

    number: int
    at: Annotated[datetime, msgspec.Meta(tz=True)]
    who: _Said
    what: Action
    why: _Said
    rules: tuple[Rule, ...]
    version: str
    link: str = ""


@dataclass(frozen=True)
class Folded:
    """What a log comes to.

    Attributes:
        rules: after its last change.
        changes: all of them, the oldest first.
        size: bytes up to the end of the last whole line.
        torn: bytes after that, of a change that is being written or was cut short.
    """

    rules: RuleSet
    changes: tuple[Change, ...]
    size: int
    torn: int


def rules_path(home: Path) -> Path:
    """Where a home keeps its rules."""
    return home / "rules" / "log.jsonl"


class RuleLog:
    """The log in one file. Safe with any number of readers and writers in any processes of one machine.

    Args:
        path: of the file; it need not be there yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Folded:
        """Fold all changes.

        Raises:
            DataError: a line is malformed or was altered; says which.
        """
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            raw = b""
        size = raw.rfind(b"\n") + 1
        changes: list[Change] = []
        rules: dict[str, Rule] = {}
        link = _NO_LINK
        for number, line in enumerate(raw[:size].split(b"\n")[:-1], start=1):
            try:
                change = msgspec.json.decode(line, type=Change)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                raise self._damaged(number, str(error)) from error
            if change.number != number or change.link != _link(link, change):
                raise self._damaged(number, "it, or a line before it, was altered, added or removed by hand")
            link = change.link
            changes.append(change)
            rules.update({rule.id: rule for rule in change.rules})
        return Folded(RuleSet(tuple(rules.values())), tuple(changes), size, len(raw) - size)

    def at(self, version: str) -> RuleSet:
        """The rules as they were under a version, for replay.

        Raises:
            DataError: the log is damaged, or never had that version.
        """
        rules: dict[str, Rule] = {}
        if version == RuleSet().version:
            return RuleSet()
        for change in self.read().changes:
            rules.update({rule.id: rule for rule in change.rules})
            if change.version == version:
                return RuleSet(tuple(rules.values()))
        raise DataError(f"{self.path} never had rules of version {version}; `tastemaker rules history` lists them")

    def add(self, rules: list[Rule], *, who: str, at: datetime, why: str, replace: bool = False) -> Change:
        """Add rules, all or none.

        Args:
            rules: at least one.
            who: adds them.
            at: the platform's time.
            why: for people who look later.
            replace: rules with these ids are replaced; otherwise they must be new.

        Raises:
            DataError: an id is there already, or the log is damaged.
        """
        if not rules:
            raise DataError("no rule was given; give at least one")
        RuleSet.of(rules)  # refuses ids that are there twice

        def decide(now: RuleSet) -> list[Rule]:
            known = [rule.id for rule in rules if rule.id in now.by_id]
            if known and not replace:
                raise DataError(f"there is a rule {known[0]} already; say --replace to change it, or choose another id")
            return rules

        return self._append(decide, who=who, at=at, what="replace" if replace else "add", why=why)

    def switch(self, rule_ids: list[str], *, enabled: bool, who: str, at: datetime, why: str) -> Change:
        """Disable or enable rules, all or none.

        Raises:
            DataError: an id is not known or already so, or the log is damaged.
        """

        def decide(now: RuleSet) -> list[Rule]:
            changed = []
            for rule_id in dict.fromkeys(rule_ids):
                rule = now.by_id.get(rule_id)
                if rule is None:
                    raise DataError(f"no rule is called {rule_id}; `tastemaker rules list --all` has them")
                if rule.enabled == enabled:
                    raise DataError(f"rule {rule_id} is {'enabled' if enabled else 'disabled'} already")
                changed.append(msgspec.structs.replace(rule, enabled=enabled))
            return changed

        return self._append(decide, who=who, at=at, what="enable" if enabled else "disable", why=why)

    def _append(
        self, decide: Callable[[RuleSet], list[Rule]], *, who: str, at: datetime, what: Action, why: str
    ) -> Change:
        if not who.strip() or not why.strip():
            raise DataError("a change of rules needs to say who makes it and why")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with locked(self.path.parent / ".lock"):
            folded = self.read()
            changed = decide(folded.rules)
            after = dict(folded.rules.by_id) | {rule.id: rule for rule in changed}
            change = Change(
                number=len(folded.changes) + 1,
                at=at,
                who=who,
                what=what,
                why=why,
                rules=tuple(changed),
                version=RuleSet(tuple(after.values())).version,
            )
            before = folded.changes[-1].link if folded.changes else _NO_LINK
            change = msgspec.structs.replace(change, link=_link(before, change))
            self._write(msgspec.json.encode(change) + b"\n", folded)
        return change

    def _write(self, line: bytes, folded: Folded) -> None:
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            if folded.torn:  # its writer died before anybody was told that the change is made
                os.ftruncate(handle, folded.size)
            left = memoryview(line)
            while left:
                left = left[os.write(handle, left) :]
            os.fsync(handle)
        except OSError as error:
            os.ftruncate(handle, folded.size)
            raise DataError(f"{self.path} cannot be written: {error.strerror}; nothing was changed") from error
        finally:
            os.close(handle)
        if not folded.size:
            sync_directory(self.path.parent)

    def _damaged(self, number: int, why: str) -> DataError:
        return DataError(
            f"{self.path}, line {number}: {why}; put the file back as it was, or move it away and import the rules"
            " again with `tastemaker rules add --file`"
        )


def _link(before: str, change: Change) -> str:
    content = msgspec.json.encode(msgspec.structs.replace(change, link=""))
    return hashlib.sha256(before.encode() + content).hexdigest()[:16]
