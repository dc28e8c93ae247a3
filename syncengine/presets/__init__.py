"""What the exports of the CRMs we know look like, one TOML file each; users add their own in `presets/`."""

from syncengine.presets.loading import load_presets, preset_named, read_preset
from syncengine.presets.model import Preset
from syncengine.presets.recognition import SUGGEST, USE, Match, recognise
from syncengine.presets.resolution import Taken, no_address, resolve

__all__ = [
    "SUGGEST",
    "USE",
    "Match",
    "Preset",
    "Taken",
    "load_presets",
    "no_address",
    "preset_named",
    "read_preset",
    "recognise",
    "resolve",
]
