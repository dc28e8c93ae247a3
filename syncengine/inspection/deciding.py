"""From the profiles of a file's columns, and a preset where one fits, to what each column is taken for. Pure.

What only a person can tell is never decided: such a column is a question, and left out until it is answered.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from syncengine.inspection.profile import ColumnProfile
from syncengine.model import VariableType
from syncengine.normalise.mapping import ActiveRule, EmailRule, HoldRule, OnError, Several, VariableRule
from syncengine.normalise.mapping import Mapping as RowMapping
from syncengine.normalise.names import names_a_phone, propose_names, variable_name
from syncengine.presets import Taken

SURE: Final = 0.9  #: share of the filled cells from which a column is taken for dates
MOSTLY: Final = 0.5  #: the same for addresses, and for answers in a column of subscriptions

_SURNAMES: Final = frozenset({"none", "null"})  #: words for nothing that are names too: never blanked unasked
_FULL_NAMES: Final = frozenset(
    {"name", "fullname", "contactname", "displayname", "fio", "polnoeimya", "nomcomplet", "nombrecompleto"}
)
_ADDRESSES: Final = frozenset(
    {"email", "emailaddress", "mail", "emailadresse", "correo", "correoelectronico", "pochta"}
)
_LEFT: Final = re.compile(
    r"unsubscri|optedout|optout|donot(?:e?mail|contact)|nomail|blacklist|bounce|complain|"
    r"otpisan|otpisal|nerassylat|otkazotrassyl|nebespokoit|vidpisa|"  # Russian, Ukrainian
    r"abgemeldet|keinee?mails?|keinewerbung|werbesperre|werbewiderspruch|nichtanschreiben|"
    r"desabonn|desinscri|nepascontacter|disiscri|noncontattare|dadodebaja|fechadebaja|suscripcioncancelada|"
    r"canceladalasuscripcion|descadastr|inscricaocancelada|cancelouainscricao|naocontatar|"
    r"uitgeschreven|afgemeld|wypisan|rezygnacj|odhlasen|avregistrer|avprenumerer|aboneliktencikti"
)
_WHEN_OR_WHY: Final = re.compile(r"(?:time|date|at|on|reason|type|campaign|data|prichina|grund)$")
_SUBSCRIBED: Final = re.compile(
    r"(?:is)?(?:subscribed|optedin|optin)|email(?:optin|consent|marketing)|newsletter|(?:marketing)?consent|"
    r"accepts(?:email)?marketing|podpisan(?:narassylku)?|soglasie(?:narassylku)?|pidpisaniy|"
    r"abonniert|angemeldet|(?:werbe)?einwilligung|abonne|inscrit|consentement(?:marketing)?|suscrito|inscrito|"
    r"consentimi?ento|iscritto|consenso|ingeschreven|aangemeld|toestemming|zapisany|zgoda(?:marketingowa)?|souhlas|"
    r"(?:subscription|email|contact)?status|(?:is)?active"
)


class Use(StrEnum):
    """What a column is taken for."""

    EMAIL = "email"
    FALLBACK = "email (fallback)"
    NAME = "name"
    ACTIVE = "active"
    OPT_OUT = "opt-out"
    HOLD = "hold"
    VARIABLE = "variable"
    QUESTION = "question"  #: a variable once a person has said how to read it
    OFFERED = "offered"  #: a variable if somebody wants it: the preset does not take it
    EMPTY = "empty"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the file. `name` is its variable's, also of one that is not taken."""

    header: str
    profile: ColumnProfile
    use: Use
    name: str = ""
    kind: str = "text"
    formats: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """All columns in file order, and the mapping they make; None where no column holds addresses."""

    columns: tuple[Column, ...]
    mapping: RowMapping | None
    notes: tuple[str, ...] = ()

    def used(self, *uses: Use) -> tuple[Column, ...]:
        """The columns taken for one of `uses`, in file order."""
        return tuple(column for column in self.columns if column.use in uses)


@dataclass(slots=True)
class _Roles:
    """Everything but the variables."""

    email: tuple[str, ...] = ()
    several: Several = Several.HOLD
    name: str | None = None
    active: ActiveRule = field(default_factory=lambda: ActiveRule(constant=True))
    opt_outs: tuple[HoldRule, ...] = ()
    holds: tuple[HoldRule, ...] = ()
    sentinels: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    offered: tuple[str, ...] = ()
    declared: Mapping[str, VariableRule] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def use_of(self, column: str, profile: ColumnProfile) -> Use:
        found = [
            (column in self.email[:1], Use.EMAIL),
            (column in self.email, Use.FALLBACK),
            (column == self.name, Use.NAME),
            (column == self.active.column, Use.ACTIVE),
            (column in {rule.column for rule in self.opt_outs}, Use.OPT_OUT),
            (column in {rule.column for rule in self.holds}, Use.HOLD),
            (column in self.dropped, Use.DROPPED),
            (not profile.filled, Use.EMPTY),
            (column in self.offered, Use.OFFERED),
        ]
        return next((use for met, use in found if met), Use.VARIABLE)


def decide(profiles: Mapping[str, ColumnProfile], taken: Taken | None, sentinels: Sequence[str] = ()) -> Decision:
    """What each column is for. `taken` and `sentinels` are what a preset says of the same columns."""
    roles = _by_preset(taken, sentinels) if taken is not None else _by_look(profiles)
    columns = tuple(_columns(profiles, roles))
    if not roles.email:
        return Decision(columns, None, roles.notes)
    words = [word for column in columns if column.use is Use.VARIABLE for word in column.profile.sentinels]
    safe = {word for word in words if word.lower() not in _SURNAMES}
    mapping = RowMapping(
        EmailRule(roles.email, roles.several),
        roles.active,
        name=roles.name,
        variables=tuple(_rule(column, roles) for column in columns if column.use is Use.VARIABLE),
        holds=roles.holds,
        opt_outs=roles.opt_outs,
        sentinels=tuple(dict.fromkeys([*roles.sentinels, *sorted(safe)])),
    )
    return Decision(columns, mapping, roles.notes)


def _by_preset(taken: Taken, sentinels: Sequence[str]) -> _Roles:
    return _Roles(
        email=taken.email,
        several=taken.several,
        name=taken.name,
        opt_outs=taken.opt_outs,
        holds=taken.holds,
        sentinels=tuple(sentinels),
        dropped=(*taken.dropped, *((taken.id,) if taken.id else ())),
        offered=taken.others,
        declared={rule.column: rule for rule in taken.variables},
        notes=taken.notes,
    )


# -- without a preset ---------------------------------------------------------------------------------------------


def _by_look(profiles: Mapping[str, ColumnProfile]) -> _Roles:
    """Roles by what the cells are, and the names only where the cells agree."""
    folded = {column: variable_name(column).lower() for column in profiles}
    email, *others = _address_columns(profiles, folded) or [""]
    if not email:
        return _Roles()
    left = tuple(_opt_outs(profiles, folded, email))
    gone = {rule.column for rule in left}
    active = _subscriptions({column: folded[column] for column in profiles if column not in {email, *gone}}, profiles)
    name = next((column for column, known in folded.items() if known in _FULL_NAMES and profiles[column].filled), None)
    notes = [
        f"{column!r} holds addresses too; to fall back on it: email = [{email!r}, {column!r}]" for column in others
    ]
    if active is None and not left:
        notes.insert(0, "no column of this file says who unsubscribed or agreed: everybody in it would be subscribed")
    return _Roles(
        (email,),
        name=name,
        active=ActiveRule(column=active) if active else ActiveRule(constant=True),
        opt_outs=left,
        notes=tuple(notes),
    )


def _address_columns(profiles: Mapping[str, ColumnProfile], folded: Mapping[str, str]) -> list[str]:
    """Columns most cells of which are addresses, the likeliest first: called like one, then the fullest."""
    found = [
        column
        for column, profile in profiles.items()
        if profile.share(profile.addresses + profile.several) >= MOSTLY
        or (folded[column] in _ADDRESSES and profile.addresses)
    ]
    return sorted(found, key=lambda column: (_rank(folded[column]), -profiles[column].filled))


def _rank(name: str) -> int:
    """How little a column is called like the contact's own address."""
    return 0 if name in _ADDRESSES else 1 if "mail" in name else 2


def _opt_outs(profiles: Mapping[str, ColumnProfile], folded: Mapping[str, str], email: str) -> Iterator[HoldRule]:
    """Columns that are called like an opt-out. One that is empty today counts too: tomorrow it may not be."""
    for column, profile in profiles.items():
        if column == email or not _LEFT.search(folded[column]):
            continue
        answers = profile.share(profile.yes_no) >= MOSTLY if profile.filled else True
        if _WHEN_OR_WHY.search(folded[column]) or not answers:
            yield HoldRule(column, not_empty=True, code="opted-out")
        else:
            yield HoldRule(column, yes=True, code="opted-out")


def _subscriptions(folded: Mapping[str, str], profiles: Mapping[str, ColumnProfile]) -> str | None:
    """The column that says who is subscribed, if its cells are answers."""
    found = [
        column
        for column, name in folded.items()
        if _SUBSCRIBED.fullmatch(name) and profiles[column].share(profiles[column].yes_no) >= MOSTLY
    ]
    return max(found, key=lambda column: (profiles[column].yes_no, "status" not in folded[column]), default=None)


# -- columns ------------------------------------------------------------------------------------------------------


def _columns(profiles: Mapping[str, ColumnProfile], roles: _Roles) -> Iterator[Column]:
    uses = {column: roles.use_of(column, profile) for column, profile in profiles.items()}
    wanted = [column for column, use in uses.items() if use in {Use.VARIABLE, Use.OFFERED, Use.EMPTY}]
    explicit = {column: rule.name for column, rule in roles.declared.items() if column in wanted}
    names = propose_names(wanted, explicit=explicit)
    for header, profile in profiles.items():
        use = uses[header]
        if use is Use.VARIABLE:
            yield _variable(header, names[header], profile, roles.declared.get(header))
        elif use is Use.OFFERED:
            told = _variable(header, names[header], profile, None)
            yield Column(header, profile, use, told.name, told.kind, told.formats, "the preset does not take it")
        else:
            kind = "email" if use in {Use.EMAIL, Use.FALLBACK} else ""
            yield Column(header, profile, use, names.get(header, ""), kind, note=_note(use, profile, header, roles))


def _variable(header: str, name: str, profile: ColumnProfile, declared: VariableRule | None) -> Column:
    phone = names_a_phone(header, name) if declared is None else declared.phone
    if phone:
        return Column(header, profile, Use.VARIABLE, name, "phone", note=_phone_note(profile))
    dates = profile.dates
    wanted = declared is not None and declared.type is VariableType.DATE
    if (pairs := dates.questions()) and (wanted or dates.share([pairs[0][0]]) >= MOSTLY):
        example = next((cell for form, cell in dates.examples.items() if form.startswith(pairs[0][0])), "")
        note = f"is {example} day first or month first?"
        return Column(header, profile, Use.QUESTION, name, "date?", (pairs[0][0], pairs[0][1]), note)
    formats = dates.formats()
    if wanted or (dates.filled and dates.share(formats) >= SURE):
        return Column(header, profile, Use.VARIABLE, name, "date", _formats(formats, declared), _date_note(profile))
    return Column(header, profile, Use.VARIABLE, name, "text", note=_text_note(profile))


def _formats(found: tuple[str, ...], declared: VariableRule | None) -> tuple[str, ...]:
    """Those met in the file, and those of the preset that do not contradict them."""
    orders = {one[:2] + one[2:3] for one in found if not one.startswith("%Y")}
    known = declared.formats if declared is not None else ()
    return (*found, *(one for one in known if one not in found and (not orders or one[:3] in orders)))


def _phone_note(profile: ColumnProfile) -> str:
    told = [f"{_percent(profile.share(profile.rounded))} rounded (7.9E+10)"] if profile.rounded else []
    if profile.marked:
        told.append(f"{_percent(profile.share(profile.marked))} begin with ' or =\", which is left out")
    return " · ".join(told)


def _date_note(profile: ColumnProfile) -> str:
    formats = profile.dates.formats()
    told = [", ".join(formats) or "YYYY-MM-DD"]
    unread = 1 - profile.dates.share(formats)
    if unread > 0 and profile.dates.filled:
        told.append(f"{_percent(unread)} are no dates")
    if profile.no_dates:
        told.append(f"{profile.no_dates:,} say that there is none")
    if any(":" in example for example in profile.dates.examples.values()):
        told.append("the time of day is left out")
    return " · ".join(told)


def _text_note(profile: ColumnProfile) -> str:
    told = []
    dates = profile.dates.share(profile.dates.formats())
    if dates >= MOSTLY:
        told.append(f"{_percent(dates)} are dates: {', '.join(profile.dates.formats()) or 'YYYY-MM-DD'}")
    if profile.values is not None and len(profile.values) > 1:
        told.append(f"{len(profile.values)} values")
    if profile.sentinels:
        told.append(", ".join(f"{count:,} x {word}" for word, count in profile.sentinels.items()))
    return " · ".join(told)


def _note(use: Use, profile: ColumnProfile, header: str, roles: _Roles) -> str:
    match use:
        case Use.EMAIL | Use.FALLBACK:
            several = profile.share(profile.several)
            return f"{_percent(several)} hold several addresses" if several else ""
        case Use.ACTIVE:
            odd = 1 - profile.share(profile.yes_no)
            return f"{_percent(odd)} are neither yes nor no, and would be held" if odd > 0 else ""
        case Use.OPT_OUT | Use.HOLD:
            rules = [rule for rule in (*roles.holds, *roles.opt_outs) if rule.column == header]
            return "; ".join(map(_said, rules))
        case _:
            return ""


def _said(rule: HoldRule) -> str:
    what = "not subscribed" if rule.code == "opted-out" else "held"
    if rule.yes:
        return f"{what} where it says yes"
    if rule.not_empty:
        return f"{what} where it is filled"
    if rule.none_of:
        return f"{what} unless {' or '.join(word or 'empty' for word in rule.none_of[:2])}"
    return f"{what} where {' or '.join((*rule.values, *rule.like)[:3])}"


def _rule(column: Column, roles: _Roles) -> VariableRule:
    declared = roles.declared.get(column.header)
    kind = VariableType.DATE if column.kind == "date" else None
    on_error = OnError.HOLD if declared is None else declared.on_error
    is_phone = column.kind == "phone"
    return VariableRule(column.name, column.header, kind, column.formats, on_error=on_error, phone=is_phone)


def _percent(share: float) -> str:
    return f"{share:.0%}" if share > 0.0999 or not share else f"{max(share, 0.001):.1%}"
