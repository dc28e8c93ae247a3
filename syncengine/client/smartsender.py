"""SmartSender's API v2: a method for each endpoint, over the same paced door as a sync.

Two groups on two hosts: lists and triggered mail want the token in a header, sending and statistics want `key` and
`secret` in the body. One pacer spaces the requests of both, for the account has one rate.
"""

import json
import random
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from itertools import islice
from types import TracebackType
from typing import Any, Final, Self

import anyio

from syncengine.client import requests
from syncengine.client.replies import message_id, message_reports, settled, turned_away, updated_ids
from syncengine.client.requests import BATCH_SIZE, Change, Contact, Message, Trigger
from syncengine.client.results import BatchUpdated, MessageReport, Sent, Triggered
from syncengine.destinations._answers import read_answer
from syncengine.destinations._http import ANSWER_TOO_LARGE, Door, Leaving, Reply, Transport, in_body
from syncengine.destinations._pacing import Pacer
from syncengine.destinations._slots import Slots
from syncengine.dispatch.repeating import Repeating
from syncengine.errors import OutcomeUnknownError, RequestError
from syncengine.model import Call, Fatal, NoAnswer, Variable, VariableType
from syncengine.redaction import Secret

URL: Final = "https://partner.sndmart.com"
SEND_URL: Final = "https://api.sndmart.com"

_LIST: Final = "/api/rest/email-list"
_TYPES: Final = {VariableType.STRING: "ENUM_STRING", VariableType.DATE: "ENUM_DATE"}
_MESSAGE_BODY: Final = 64 * 1024 * 1024  #: bytes; statistics come with the whole bodies of up to 100 messages


class SmartSender:
    """One account. Safe for many tasks at once; use it as an async context manager, or close it with `aclose`.

    token     of lists and triggered mail
    key       of sending and statistics; `secret` is the token where it is left out
    rate      requests a second, both groups together
    slots     of other processes that share the account, if there are any
    timeout   seconds for one attempt in total
    attempts  how often a request may leave: again only where it was certainly not carried out, or does no harm twice
    """

    def __init__(
        self,
        *,
        token: str | Secret | None = None,
        key: str | Secret | None = None,
        secret: str | Secret | None = None,
        url: str = URL,
        send_url: str = SEND_URL,
        rate: float = 5.0,
        slots: Slots | None = None,
        timeout: float = 30.0,
        attempts: int = 4,
        proxy: str | None = None,
        transport: Transport | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._token, self._key = _wrapped(token), _wrapped(key)
        self._secret = _wrapped(secret) or self._token
        self._repeating = Repeating(attempts, chance)
        pacer = Pacer(rate, slots)
        hidden = tuple(one for one in (self._token, self._key, self._secret) if one is not None)
        nothing = Secret("")
        self._lists = Door(
            url, self._token or nothing, pacer, timeout=timeout, proxy=proxy, transport=transport, secrets=hidden
        )
        self._sending = Door(
            send_url,
            nothing,
            pacer,
            timeout=timeout,
            proxy=proxy,
            transport=transport,
            credential=in_body,
            secrets=hidden,
            max_body=_MESSAGE_BODY,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        with anyio.CancelScope(shield=True):
            await self._lists.aclose()
            await self._sending.aclose()

    @property
    def requests(self) -> int:
        """Attempts made so far, of any kind."""
        return self._lists.requests + self._sending.requests

    # Sending and statistics -------------------------------------------------------------------------------------------

    async def send(self, message: Message) -> Sent:
        """Send one message to one recipient (`/send`). There is no way to say "only once": see OutcomeUnknownError."""
        told = await self._send("/send", {"message": message.to_json()}, repeatable=False)
        return Sent(message_id(told))

    async def message(self, ids: Sequence[str]) -> list[MessageReport]:
        """Messages with their events, at most 100 ids (`/message`). An id the service does not know is left out.

        Answers come with whole bodies: where one is too large, half of the ids are asked for at a time.
        """
        if not ids:
            raise RequestError("ids", "at least one is needed")
        if len(ids) > BATCH_SIZE:
            raise RequestError(
                "ids", f"at most {BATCH_SIZE} a request, not {len(ids)}", fix="messages() takes any number"
            )
        for index, one in enumerate(ids):
            requests.identifier(f"ids[{index}]", one)
        try:
            told = await self._send("/message", {"ids": list(ids)}, repeatable=True)
        except OutcomeUnknownError as error:
            if not error.why.startswith(ANSWER_TOO_LARGE) or len(ids) == 1:
                raise
            half = len(ids) // 2
            return [*await self.message(ids[:half]), *await self.message(ids[half:])]
        return message_reports(told, frozenset(ids))

    async def messages(self, ids: Iterable[str]) -> AsyncIterator[MessageReport]:
        """Any number of messages, 100 a request, each id once."""
        distinct = iter(dict.fromkeys(ids))
        while some := list(islice(distinct, BATCH_SIZE)):
            for report in await self.message(some):
                yield report

    # Lists ------------------------------------------------------------------------------------------------------------

    async def add_contacts(self, list_id: str, contacts: Sequence[Contact]) -> None:
        """Add at most 100 contacts (`contacts/add`). The API does not say who of a refused request was stored."""
        requests.identifier("emailListId", list_id)
        requests.crowd("contacts", contacts, [one.email for one in contacts])
        for index, one in enumerate(contacts):
            one.check(f"contacts[{index}]")
        body = {"emailListId": list_id, "contacts": [one.to_json() for one in contacts]}
        await self._ask(f"{_LIST}/contacts/add", body, repeatable=False)

    async def remove_contacts(self, list_id: str, emails: Sequence[str]) -> None:
        """Take at most 100 contacts off the list (`contacts/remove`)."""
        requests.identifier("emailListId", list_id)
        requests.crowd("emails", emails, emails)
        for index, one in enumerate(emails):
            requests.address(f"emails[{index}]", one)
        body = {"emailListId": list_id, "emails": list(emails)}
        await self._ask(f"{_LIST}/contacts/remove", body, repeatable=True)

    async def update_contact(self, list_id: str, change: Change) -> None:
        """Bring one contact to what `change` says (`contacts/update`)."""
        requests.identifier("emailListId", list_id)
        change.check("")
        body = {"emailListId": list_id, **change.to_json()}
        await self._ask(f"{_LIST}/contacts/update", body, repeatable=change.email is None)

    async def update_contacts(self, list_id: str, changes: Sequence[Change]) -> BatchUpdated:
        """Bring at most 100 contacts to what the changes say (`contacts-batch/update`)."""
        requests.identifier("emailListId", list_id)
        requests.crowd("contacts", changes, [one.contact for one in changes])
        for index, one in enumerate(changes):
            one.check(f"contacts[{index}]")
        body = {"emailListId": list_id, "contacts": [one.to_json() for one in changes]}
        told = await self._ask(
            f"{_LIST}/contacts-batch/update",
            body,
            repeatable=all(one.email is None for one in changes),
            call=Call.UPDATE,
            contacts=len(changes),
        )
        return BatchUpdated(*updated_ids(told))

    async def add_variables(self, list_id: str, variables: Sequence[Variable]) -> None:
        """Define variables of the list (`variables/add`)."""
        requests.identifier("emailListId", list_id)
        if not variables:
            raise RequestError("variablesMetadata", "at least one is needed")
        for index, one in enumerate(variables):
            requests.variable_name(f"variablesMetadata[{index}].name", one.name)
        metadata = [{"name": one.name, "type": _TYPES[one.type]} for one in variables]
        body = {"emailListId": list_id, "variablesMetadata": metadata}
        await self._ask(f"{_LIST}/variables/add", body, repeatable=False)

    async def trigger(
        self, trigger: Trigger, *, attempts: int | None = None, leaving: Leaving | None = None
    ) -> Triggered:
        """Send a template to one contact (`mailer/send`). As with `send`, an unknown outcome is not repeated.

        `leaving` is called before the first byte of each attempt, when the pacer has let it go.
        """
        told = await self._ask(
            "/api/rest/mailer/send", trigger.to_json(), repeatable=False, attempts=attempts, leaving=leaving
        )
        return Triggered(message_id(told))

    # Asking -----------------------------------------------------------------------------------------------------------

    async def _send(self, path: str, body: dict[str, Any], *, repeatable: bool) -> dict[str, Any]:
        if self._key is None or self._secret is None:
            raise RequestError("key" if self._key is None else "secret", "this field is required", fix=_KEY_FIX)
        whole = {"key": self._key.reveal(), "secret": self._secret.reveal(), **body}
        return settled(await self._attempted(self._sending, path, whole, repeatable=repeatable))

    async def _ask(
        self,
        path: str,
        body: dict[str, Any],
        *,
        repeatable: bool,
        call: Call = Call.ADD,
        contacts: int = 1,
        attempts: int | None = None,
        leaving: Leaving | None = None,
    ) -> dict[str, Any]:
        if self._token is None:
            raise RequestError("access-token", "this field is required", fix=_TOKEN_FIX)
        reply = await self._attempted(
            self._lists, path, body, repeatable=repeatable, attempts=attempts, leaving=leaving
        )
        return settled(reply, call, contacts)

    async def _attempted(
        self,
        door: Door,
        path: str,
        body: dict[str, Any],
        *,
        repeatable: bool,
        attempts: int | None = None,
        leaving: Leaving | None = None,
    ) -> Reply | NoAnswer | Fatal:
        """The answer, or the last of the attempts allowed."""
        text = json.dumps(body, ensure_ascii=False)

        def is_final(reply: Reply | NoAnswer | Fatal) -> bool:
            answer = read_answer(reply, Call.ADD, 1) if isinstance(reply, Reply) else reply
            if not isinstance(answer, NoAnswer) or answer.reason.startswith(ANSWER_TOO_LARGE):
                return True
            return not (repeatable or turned_away(answer))

        return await self._repeating.until(lambda: door.post(path, text, leaving=leaving), is_final, attempts=attempts)


_KEY_FIX: Final = 'key = "${SMARTSENDER_KEY}" in [account], and: export SMARTSENDER_KEY=…'
_TOKEN_FIX: Final = 'token = "${SMARTSENDER_TOKEN}" in [account], and: export SMARTSENDER_TOKEN=…'  # noqa: S105  # no password


def _wrapped(secret: str | Secret | None) -> Secret | None:
    if secret is None or isinstance(secret, Secret):
        return secret
    return Secret(secret) if secret else None
