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


def test_after_a_look_from_elsewhere_one_call_that_fails_opens_it_again() -> None:
    breaker = CircuitBreaker("online store", failures=3, retry_s=None)
    breaker.failed("slow", at_once=True)
    breaker.try_again()
    assert breaker.allows()
    breaker.failed("slow")
    assert not breaker.allows()
    breaker.try_again()
    breaker.succeeded()
    breaker.failed("slow")
    breaker.failed("slow")
    assert breaker.allows()  # a call that went well starts the count again


def test_a_look_from_elsewhere_does_not_forgive_or_blame_what_is_not_open() -> None:
    breaker = CircuitBreaker("online store", failures=3)
    breaker.try_again()
    breaker.failed("slow")
    breaker.failed("slow")
    breaker.try_again()
    assert breaker.allows()
    breaker.failed("slow")
    assert not breaker.allows()


def test_calls_that_are_slow_count_as_failures_and_one_that_is_hopeless_opens_it_at_once() -> None:
    breaker = CircuitBreaker("ranker", failures=3)
    for ms in (26.0, 100.0, 25.0, 26.0, 26.0):  # four times 25 is slow, not hopeless; 25 is not slow
        breaker.took(ms, 25.0)
        assert breaker.allows()
    breaker.took(26.0, 25.0)
    assert (breaker.allows(), breaker.why) == (False, "the ranker took 26 ms, more than 25")
    breaker.close()
    breaker.took(1_000.0, None)
    assert breaker.allows()
    breaker.took(101.0, 25.0)
    assert not breaker.allows()
