"""Requests at a steady rate whatever happens, each answer looked at: is it a valid list, in time, of which tier."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Final

import msgspec

from benchmarks.chaos_client import Balancer, NoAnswer
from benchmarks.http_load import post_request
from tastemaker.serving.contract import RecommendationRequest, RecommendationResponse
from tastemaker.serving.recipes import load_recipes

__all__ = ["LIMIT_S", "Answered", "Asked", "ChaosLoad", "asked"]

LIMIT_S: Final = 3.0  # after that a request counts as not answered
_TRY_S: Final = 0.04
_DECODER: Final = msgspec.json.Decoder(RecommendationResponse)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it goes out, and what an answer must be.

    Attributes:
        wire: the bytes.
        least: items that a list of it has at least.
        most: and at most.
        deadline_ms: the budget of its surface, in milliseconds.
    """

    wire: bytes
    least: int
    most: int
    deadline_ms: float


def asked(requests: Sequence[RecommendationRequest], deadline_ms: float | None = None) -> list[Asked]:
    """The requests of a load, written beforehand.

    Args:
        requests: what is wanted.
        deadline_ms: for all of them, in milliseconds; None for the budget of each one's surface.
    """
    recipes = load_recipes()
    return [
        Asked(
            post_request("/v1/recommend", msgspec.json.encode(request)),
            request.k if recipes[request.surface].fill else 1,
            request.k,
            deadline_ms or recipes[request.surface].budget.total,
        )
        for request in requests
    ]


@dataclass(frozen=True, slots=True)
class Answered:
    """One request's end.

    Attributes:
        due: when it was due, by ``perf_counter``.
        ms: from then until its answer was there; of one without an answer, until it was given up.
        tier: which answered; empty without a valid list.
        in_time: whether a valid list came within the deadline.
        problem: what was wrong; empty where nothing was.
    """

    due: float
    ms: float
    tier: str
    in_time: bool
    problem: str = ""


class ChaosLoad:
    """A thread that asks; the time of a request runs from when it was due, not from when it could be sent.

    Args:
        ports: of the recommender's replicas.
        requests: in turns.
        per_second: how many are due in a second.
        known: ids of all items, which a list's items are to be among.
    """

    def __init__(self, ports: Sequence[int], requests: Sequence[Asked], per_second: float, known: set[str]) -> None:
        self._ports, self._requests, self._per_second, self._known = ports, requests, per_second, known
        self._enough = threading.Event()
        self._problem: BaseException | None = None
        self.answers: list[Answered] = []

    @contextmanager
    def running(self) -> Iterator["ChaosLoad"]:
        """Ask meanwhile.

        Raises:
            RuntimeError: the load itself failed.
        """
        thread = threading.Thread(target=self._thread, name="chaos-load", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._enough.set()
            thread.join(LIMIT_S + 10)
        if self._problem is not None:
            raise RuntimeError("the load failed") from self._problem

    def since(self, due: float) -> list[Answered]:
        """The answers to what was due from a moment on, in order."""
        return sorted((one for one in list(self.answers) if one.due >= due), key=lambda one: one.due)

    def _thread(self) -> None:
        try:
            asyncio.run(self._run())
        except BaseException as error:
            self._problem = error

    async def _run(self) -> None:
        balancer = Balancer(self._ports, _TRY_S, LIMIT_S)
        watching = asyncio.ensure_future(balancer.watch())
        tasks: set[asyncio.Task[None]] = set()
        began, number = perf_counter(), 0
        while not self._enough.is_set():
            due = began + number / self._per_second
            wait = due - perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            task = asyncio.ensure_future(self._one(balancer, self._requests[number % len(self._requests)], due))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            number += 1
        await asyncio.gather(*tasks)
        watching.cancel()
        balancer.close()

    async def _one(self, balancer: Balancer, wanted: Asked, due: float) -> None:
        try:
            status, body = await balancer.ask(wanted.wire)
        except NoAnswer as error:
            self.answers.append(Answered(due, (perf_counter() - due) * 1e3, "", False, str(error)))
            return
        ms = (perf_counter() - due) * 1e3
        tier, problem = self._judge(wanted, status, body)
        if not problem and ms > wanted.deadline_ms:
            self.answers.append(Answered(due, ms, tier, False, "late"))
        else:
            self.answers.append(Answered(due, ms, tier, not problem, problem))

    def _judge(self, wanted: Asked, status: int, body: bytes) -> tuple[str, str]:
        """The tier of an answer, and what is wrong with it."""
        if status != 200:
            return "", f"status {status}: {body[:200]!r}"
        try:
            response = _DECODER.decode(body)  # refuses tiers that do not exist
        except msgspec.DecodeError as error:
            return "", f"not a list: {error}"
        ids = [item.item_id for item in response.items]
        fits = wanted.least <= len(ids) <= wanted.most
        if not fits or len(set(ids)) != len(ids) or not self._known.issuperset(ids):
            return "", f"{len(ids)} items of {wanted.most}, {len(set(ids) & self._known)} of them known and distinct"
        if response.tier != "full" and not response.tier_reason:
            return "", f"tier {response.tier} without a reason"
        return response.tier, ""
