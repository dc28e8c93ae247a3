"""The config file: TOML, checked as a whole, every fault told with its line (DESIGN.md §6)."""

from syncengine.config.loading import find_config, load_config
from syncengine.config.model import Config, Job

__all__ = ["Config", "Job", "find_config", "load_config"]
