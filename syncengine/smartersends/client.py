"""An instance of SmarterSends: campaign export, conversations, events. Paced; the bearer key is for it alone."""

import json
import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlencode

import anyio

from syncengine.destinations._fetch import Fetched, fetch
from syncengine.destinations._http import Door, Reply, Transport, bearer
from syncengine.destinations._pacing import Pacer
from syncengine.dispatch.repeating import Repeating
from syncengine.errors import RefusedError, RejectedError, RequestError, UnavailableError
from syncengine.model import Fatal, NoAnswer
from syncengine.redaction import Secret
from syncengine.smartersends import replies
from syncengine.smartersends.dates import window
from syncengine.smartersends.events import Event, EventChange, EventDraft
from syncengine.smartersends.usage import CampaignQuery, ConversationUsage, Export, Format

_MAX_BODY: Final = 64 * 1024 * 1024  #: bytes; lists come without pages
_NOT_YET: Final = frozenset({202, 404, 409, 425})  #: of a storage: an export is made on the side, and may come late
_GONE: Final = frozenset({400, 403, 410})

Take = Callable[[bytes], object]


class SmarterSends:
    """One instance. Safe for many tasks at once; use it as an async context manager, or close it with `aclose`.

    url        https, or http on loopback; with or without /api
    key        goes to this host only, never to where exports are stored
    patience   seconds to wait for an exported file that is not there yet
    """

    def __init__(
        self,
        *,
        url: str,
        key: str | Secret,
        rate: float = 5.0,
        timeout: float = 60.0,
        attempts: int = 4,
        patience: float = 120.0,
        proxy: str | None = None,
        transport: Transport | None = None,
        chance: Callable[[], float] = random.random,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._door = Door(
            url.rstrip("/").removesuffix("/api"),
            key if isinstance(key, Secret) else Secret(key),
            Pacer(rate),
            timeout=timeout,
            proxy=proxy,
            transport=transport,
            credential=bearer,
            max_body=_MAX_BODY,
        )
        self._timeout, self._proxy, self._transport = timeout, proxy, transport
        self._attempts, self._patience = attempts, patience
        self._repeating = Repeating(attempts, chance)
        self._now = now
        self._exports_by_get = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        with anyio.CancelScope(shield=True):
            await self._door.aclose()

    @property
    def requests(self) -> int:
        """Attempts made so far at the instance itself."""
        return self._door.requests

    # Usage ------------------------------------------------------------------------------------------------------------

    async def campaign_export(self, query: CampaignQuery, *, file: Format = "csv") -> Export:
        """Have a file of campaigns made. The page has two forms of this; where one is unknown, the other is tried."""
        fields = query.fields(file)
        by_get = f"/api/usage/campaigns/export?{urlencode(fields)}"
        forms = [("POST", "/api/usage/campaign/export", fields), ("GET", by_get, None)]
        reply: Reply | NoAnswer | Fatal = NoAnswer("nothing was asked", sent=False)
        for method, path, body in reversed(forms) if self._exports_by_get else forms:
            reply = await self._ask(method, path, body, repeatable=True)
            if not (isinstance(reply, Reply) and reply.status in {404, 405}):
                self._exports_by_get = method == "GET"
                return replies.export(replies.told(reply))
        status = reply.status if isinstance(reply, Reply) else "?"
        raise RefusedError(
            "there is no campaign export at this address",
            why=f"POST /api/usage/campaign/export and GET /api/usage/campaigns/export: HTTP {status}",
            fix="check url in [smartersends]: https://YOUR-INSTANCE.smartersends.com",
            code="not-the-api",
        )

    async def export_campaigns(
        self, query: CampaignQuery, take: Take, *, file: Format = "csv", again: Callable[[], object] = lambda: None
    ) -> int:
        """Export campaigns and hand over the file piece by piece; gives its bytes. See `download` for `again`."""
        return await self.download(lambda: self.campaign_export(query, file=file), take, again=again)

    async def conversations(self, *, start: str | None = None, end: str | None = None) -> ConversationUsage:
        """Conversations begun between two moments; the last 30 days where none are given."""
        path = f"/api/usage/conversations?{urlencode(_given(start, end) | {'format': 'json'})}"
        return replies.conversation_usage(replies.told(await self._ask("GET", path, None, repeatable=True)))

    async def conversation_export(self, *, start: str | None = None, end: str | None = None) -> Export:
        """Have a file of it made: two tables in one CSV (see `usage_tables`)."""
        path = f"/api/usage/conversations?{urlencode(_given(start, end) | {'format': 'csv'})}"
        return replies.export(replies.told(await self._ask("GET", path, None, repeatable=True)))

    async def download(self, make: Callable[[], Any], take: Take, *, again: Callable[[], object] = lambda: None) -> int:
        """Hand over the file of an export piece by piece; gives its bytes.

        make    makes the export: once more where its address has expired meanwhile
        again   called before the file is begun anew, for what was taken of it to be dropped
        """
        export = await make()
        waited, attempt, renewed = 0.0, 0, False
        while True:
            found = await self._fetch(export, take)
            if isinstance(found, Fetched) and found.status == 200:
                return found.size
            if isinstance(found, Fatal):
                raise RefusedError("the file can't be fetched", why=found.text, code=found.code, sent=_ONLY_THE_EXPORT)
            again()
            attempt += 1
            if isinstance(found, Fetched) and found.status in _GONE and not renewed:
                export, renewed = await make(), True
                continue
            wait = min(0.2 * 2**attempt, 10.0)
            late = isinstance(found, NoAnswer) or found.status in _NOT_YET or found.status >= 500
            if (
                not late
                or waited + wait > self._patience
                or (isinstance(found, NoAnswer) and attempt >= self._attempts)
            ):
                raise _not_fetched(found, export)
            await anyio.sleep(wait)
            waited += wait

    async def _fetch(self, export: Export, take: Take) -> Fetched | NoAnswer | Fatal:
        return await fetch(export.url or "", take, timeout=self._timeout, proxy=self._proxy, transport=self._transport)

    # Events -----------------------------------------------------------------------------------------------------------

    async def events(self) -> list[Event]:
        """All events; there are no pages."""
        return replies.event_list(replies.told(await self._ask("GET", "/api/events", None, repeatable=True)))

    async def event(self, number: int) -> Event:
        """One event."""
        return replies.event(replies.told(await self._ask("GET", _event_path(number), None, repeatable=True)))

    async def create_event(self, draft: EventDraft) -> Event | None:
        """A new event, as the answer tells it; None where it tells nothing. Not repeated: that would make two."""
        reply = await self._ask("POST", "/api/events", draft.to_json(), repeatable=False)
        return replies.event_or_none(replies.told(reply))

    async def update_event(self, number: int, change: EventChange) -> Event | None:
        """Set some fields of an event; the others stay."""
        if not change.to_json():
            raise RequestError("event", "there is nothing to change")
        reply = await self._ask("PUT", _event_path(number), change.to_json(), repeatable=True)
        return replies.event_or_none(replies.told(reply))

    async def delete_event(self, number: int) -> None:
        """Take an event off the calendar."""
        before = self.requests
        try:
            replies.told(await self._ask("DELETE", _event_path(number), None, repeatable=True))
        except RejectedError as error:
            if error.code != "not-found" or self.requests == before + 1:
                raise
            # an attempt before this one got no answer, and did it

    # Asking -----------------------------------------------------------------------------------------------------------

    async def _ask(
        self, method: str, path: str, body: Mapping[str, Any] | None, *, repeatable: bool
    ) -> Reply | NoAnswer | Fatal:
        text = None if body is None else json.dumps(dict(body), ensure_ascii=False)

        def is_final(reply: Reply | NoAnswer | Fatal) -> bool:
            return not (replies.is_passing(reply) and (repeatable or replies.turned_away(reply)))

        return await self._repeating.until(lambda: self._door.request(method, path, text), is_final)


_ONLY_THE_EXPORT: Final = "the export was made; nothing else"


def _not_fetched(found: Fetched | NoAnswer, export: Export) -> UnavailableError:
    why = found.reason if isinstance(found, NoAnswer) else f"the storage answers with HTTP {found.status}"
    if export.expires_at:
        why += f"; its address is good until {export.expires_at}"
    return UnavailableError(
        "the exported file could not be fetched",
        why=why,
        fix="run it again: it is exported anew",
        code="export-not-fetched",
        sent=_ONLY_THE_EXPORT,
    )


def _given(start: str | None, end: str | None) -> dict[str, str]:
    first, last = window(start, end)
    return {name: value for name, value in (("start_date", first), ("end_date", last)) if value is not None}


def _event_path(number: int) -> str:
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise RequestError("id", f"must be the number of an event, not {number!r}")
    return f"/api/events/{number}"
