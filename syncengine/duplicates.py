"""Which of several rows for one contact counts. Pure.

The winner is the last row, or the first where the config says so. Whoever is not subscribed in one of the rows is
not subscribed: the rows contradict each other, and the safe side is not to mail.
"""

import polars as pl

from syncengine.frames import ACTIVE, CODE, CONTENT_UNKNOWN, FINGERPRINT, KEY, ORDINAL, REASON, ROW
from syncengine.normalise.mapping import Winner

_CONTRADICTION = "; as not subscribed, because one of the rows says so"


def with_nobody_subscribed(rows: pl.DataFrame, among: pl.Expr) -> pl.DataFrame:
    """DESIRED rows, with nobody subscribed of those for whom `among` is true. What they are then is not what their row
    says, so that they are looked at in every run.
    """
    lowered = pl.col(ACTIVE) & among
    return rows.with_columns(
        pl.when(lowered).then(pl.lit(CONTENT_UNKNOWN, pl.UInt64)).otherwise(FINGERPRINT).alias(FINGERPRINT),
        (pl.col(ACTIVE) & ~lowered).alias(ACTIVE),
    )


def resolve_duplicates(rows: pl.DataFrame, winner: Winner) -> tuple[pl.DataFrame, pl.DataFrame]:
    """DESIRED rows without held ones → (one row per key, the rows that lost with `code` and `reason`)."""
    is_repeated = rows[KEY].is_duplicated()
    if not is_repeated.any():
        return rows, rows.clear()
    repeated = rows.filter(is_repeated)
    best = pl.col(ORDINAL).max() if winner is Winner.LAST else pl.col(ORDINAL).min()
    judged = repeated.with_columns(
        (pl.col(ORDINAL) == best.over(KEY)).alias("wins"),
        pl.col(ACTIVE).all().over(KEY).alias("all_active"),
        pl.col(ACTIVE).any().over(KEY).alias("any_active"),
        pl.col(ROW).filter(pl.col(ORDINAL) == best).first().over(KEY).alias("winner_row"),
    )
    winners = with_nobody_subscribed(judged.filter("wins"), ~pl.col("all_active")).select(rows.columns)
    losers = (
        judged.filter(~pl.col("wins"))
        .with_columns(
            pl.lit("duplicate").alias(CODE),
            pl.format(
                "row {} is the same contact and was taken{}",
                "winner_row",
                pl.when(pl.col("any_active") & ~pl.col("all_active"))
                .then(pl.lit(_CONTRADICTION))
                .otherwise(pl.lit("")),
            ).alias(REASON),
        )
        .select(rows.columns)
    )
    single = rows.filter(~is_repeated)
    return pl.concat([single, winners]).sort(ORDINAL), losers.sort(ORDINAL)
