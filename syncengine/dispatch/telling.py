"""What ends a run, as a person is told of it."""

import polars as pl

from syncengine.errors import RefusedError, SyncEngineError


def first_told(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error to tell a person: what one sender met ends all the others, and they have nothing to add."""
    told, others = group.split((SyncEngineError, OSError, pl.exceptions.ComputeError))  # the edge has words for a disk
    if told is None or others is not None:
        return group
    leaf: BaseException = told.subgroup(SyncEngineError) or told
    while isinstance(leaf, BaseExceptionGroup):
        leaf = leaf.exceptions[0]
    return leaf


def refused(code: str, text: str) -> RefusedError:
    """The error that ends a run: token, list or address refused. `text` is the service's own."""
    fixes = {
        "token-refused": "check the token: https://partner.sndmart.com/profile shows it",
        "tls": "the certificate is not that of the host, or its TLS is too old: check `url` of [account], and who sits "
        "between",
        "list-refused": "check `list` of the job: the id stands in the address of the list's page",
    }
    return RefusedError(
        "the service refuses every request",
        why=f"it says: {text}",
        fix=fixes.get(code, "check `url` of [account]"),
        code=code,
        sent="",
    )
