"""The config file: TOML, checked as a whole, every fault told with its line (DESIGN.md §6)."""
