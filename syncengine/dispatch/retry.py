"""When to send a request again, as arithmetic: nothing here waits, sends, or draws lots."""

from dataclasses import dataclass

from syncengine.model import NoAnswer

HOPELESS_AFTER = 5  #: attempts of one request that others survive: then its contacts are suspected


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential with full jitter: `jitter` in [0, 1) of min(cap, base · 2^attempt). Seconds."""

    base: float = 0.5
    cap: float = 20.0

    def wait(self, attempt: int, jitter: float) -> float:
        """Seconds before attempt number `attempt` + 1; attempts count from 1."""
        return jitter * min(self.cap, self.base * 2.0 ** min(attempt, 32))


@dataclass(slots=True)
class RetryBudget:
    """A token bucket over all senders: failures take, successes give. Empty means: stop retrying, probe.

    The constants are the AWS SDKs' (a retry costs 5, after a timeout 10, a success returns 1), the bucket is a
    fifth of theirs: a batch is 100 contacts.
    """

    capacity: float = 100.0
    tokens: float = 100.0

    def spend(self, answer: NoAnswer) -> bool:
        """Take the price of one failure; gives whether the budget still stands."""
        self.tokens = max(0.0, self.tokens - (10.0 if answer.status is None and answer.sent else 5.0))
        return self.tokens > 0

    def earn(self) -> None:
        self.tokens = min(self.capacity, self.tokens + 1.0)

    def refill_half(self) -> None:
        """After an outage: enough to work with, too little for a second storm."""
        self.tokens = max(self.tokens, self.capacity / 2)


def may_arrive_late(answer: NoAnswer) -> bool:
    """Whether the service may still carry out an attempt that was given up: nobody answered it, or only a gateway that
    waits no longer (408, 502, 504, and the 520s of content networks). Any other status is the service's last word.
    """
    if not answer.sent:
        return False
    return answer.status is None or answer.status in {408, 502, 504} or 520 <= answer.status < 530


def overloaded(answer: NoAnswer) -> bool:
    """Whether a failure asks for less pressure: too many requests, unavailable, or no answer in time."""
    return answer.status in {429, 503, 504} or (answer.status is None and answer.sent)
