"""One run of one job, and what it is made of."""

from syncengine.sync.parts import Ended, InThread, Pace, Parts
from syncengine.sync.reports import guard_report, plan_report
from syncengine.sync.run import sync

__all__ = ["Ended", "InThread", "Pace", "Parts", "guard_report", "plan_report", "sync"]
