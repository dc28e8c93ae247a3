"""What the work costs anybody, as programs to be run beside the engine.

    python benchmarks/reference.py hash FILE      xxh3-128 of the file's bytes, and nothing else
    python benchmarks/reference.py scan FILE      polars alone: parse every column as text, strip it, blank to null,
                                                  dates to ISO, yes and no to a boolean, addresses lower-case and of the
                                                  right shape; then hash the address, and the whole row

The scan compares nothing, remembers nothing, and does not check that a row has as many cells as the header, which
polars does not tell. What it leaves out is ours to pay.
"""

import sys
from pathlib import Path

BLOCK = 1 << 20
ADDRESS = r"^[^@\s]{1,64}@[a-z0-9-]+(\.[a-z0-9-]+)+$"


def hashed(path: Path) -> str:
    import xxhash  # noqa: PLC0415  # each of the two programs loads what it needs

    digest = xxhash.xxh3_128()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def scanned(path: Path) -> str:
    import polars as pl  # noqa: PLC0415
    import polars_hash  # noqa: F401, PLC0415  # registers .nchash

    with path.open(encoding="utf-8") as file:
        header = file.readline().rstrip("\n").split(",")
    rows = pl.scan_csv(path, schema=dict.fromkeys(header, pl.String()))
    filled = pl.all().str.strip_chars().replace("", None)
    clean = rows.with_columns(filled).with_columns(
        pl.col("Email").str.to_lowercase(),
        pl.col("Subscribed").str.to_lowercase().is_in(["yes", "true", "1"]),
        pl.col("Born").str.to_date("%d.%m.%Y", strict=False).dt.to_string("%Y-%m-%d"),
    )
    row = pl.concat_str(pl.all(), separator="\x1f", ignore_nulls=True)
    numbers = clean.filter(pl.col("Email").str.contains(ADDRESS)).select(
        pl.col("Email").nchash.xxh3_64().alias("key"),  # type: ignore[attr-defined]
        row.nchash.xxh3_64().alias("row"),  # type: ignore[attr-defined]
    )
    told = numbers.select(pl.len(), pl.col("key").max(), pl.col("row").max().name.suffix("_max")).collect(
        engine="streaming"
    )
    return str(told.row(0))


if __name__ == "__main__":
    print({"hash": hashed, "scan": scanned}[sys.argv[1]](Path(sys.argv[2])))
