"""`mail send`: one message to one recipient."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from syncengine.bootstrap import Workshop
from syncengine.client.requests import Mailbox, Message
from syncengine.client.results import Sent
from syncengine.connecting import connect_smartsender, talk
from syncengine.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A message as it is written on a command line; `html` and `text` are files."""

    sender: str
    sender_name: str
    to: Sequence[str]
    to_name: str | None
    subject: str
    html: str
    text: str | None
    reply_to: Sequence[str]
    tags: Sequence[str]
    headers: Sequence[tuple[str, str]]


def send_letter(workshop: Workshop, letter: Letter) -> Sent:
    """Raises RequestError for what can't be sent, ConfigError for files that can't be read, DestinationError,
    InterruptedRunError.
    """
    message = Message(
        from_email=letter.sender,
        from_name=letter.sender_name,
        to=tuple(Mailbox(email, letter.to_name) for email in letter.to),
        subject=letter.subject,
        html=_content(letter.html),
        text=None if letter.text is None else _content(letter.text),
        reply_to=tuple(Mailbox(email) for email in letter.reply_to),
        tags=tuple(letter.tags),
        headers=dict(letter.headers),
    )
    return talk(connect_smartsender(workshop, sending=True), lambda service: service.send(message), changes=True)


def _content(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{file}: can't be read as text", why=str(error), fix="save it as UTF-8", code="body-unreadable"
        ) from error
