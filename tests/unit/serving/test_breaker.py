"""When a dependency is left alone, and when it is tried again."""

from tastemaker.serving.breaker import CircuitBreaker


class Seconds:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_three_failures_in_a_row_open_it_and_a_success_between_starts_the_count_again() -> None:
    breaker = CircuitBreaker("index", failures=3)
    breaker.failed("slow")
    breaker.failed("slow")
    breaker.succeeded()
    breaker.failed("slow")
    breaker.failed("slow")
    assert breaker.allows()
    breaker.failed("slower")
    assert not breaker.allows()
    assert breaker.why == "slower"


def test_one_caller_tries_again_after_a_while_and_its_failure_keeps_it_open() -> None:
    clock = Seconds()
    breaker = CircuitBreaker("ranker", failures=1, retry_s=5.0, clock=clock)
    breaker.failed("away")
    clock.now += 4.9
    assert not breaker.allows()
    clock.now += 0.2
    assert [breaker.allows(), breaker.allows()] == [True, False]
    breaker.failed("still away")
    clock.now += 4.9
    assert not breaker.allows()
    clock.now += 0.2
    assert breaker.allows()
    breaker.succeeded()
    assert [breaker.allows(), breaker.allows()] == [True, True]


def test_what_says_that_it_is_away_is_left_alone_at_once_until_it_is_closed() -> None:
    breaker = CircuitBreaker("online store", retry_s=None)
    breaker.failed("away", at_once=True)
    assert not breaker.allows()
    breaker.close()
    assert (breaker.allows(), breaker.why) == (True, "")
