"""Whole lives of the engine in virtual time, from one seed each: see `life.simulate`."""

from syncengine.simulation.life import Verdict, simulate
from syncengine.simulation.process import Engine

__all__ = ["Engine", "Verdict", "simulate"]
