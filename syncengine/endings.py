"""Every code a command can end with or remark on, with what it means and what to do: `explain` beside the catalogue.

The catalogue has the codes of single contacts; here is what stops a command as a whole. Messages carry the numbers of
the case, these entries do not.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Ending:
    """One code. `exit_code` is what the command ends with; None: the command goes on, and this is a remark."""

    code: str
    exit_code: int | None
    meaning: str
    advice: str


def _all(exit_code: int | None, *told: tuple[str, str, str]) -> tuple[Ending, ...]:
    return tuple(Ending(code, exit_code, meaning, advice) for code, meaning, advice in told)


_CHECK_FILE = "export the file again, and look whether the export ran to its end"
_CREDENTIALS = "https://partner.sndmart.com/profile shows token, key and secret; then: syncengine check --online"

_CONFIG = _all(
    2,
    ("config", "a setting is wrong or missing", "the message names it; syncengine check looks at all of them"),
    ("config-environment", "the environment sets something nothing reads", "unset it, or mind the spelling"),
    ("config-key", "a key of the config is unknown, or its value can't be", "the message names file, line and key"),
    ("config-missing", "there is no config here or above", "syncengine init contacts.csv    or: -c FILE"),
    ("config-there", "`init` would write over a config", "name another place with -c, or write over it with --force"),
    ("config-toml", "the config is not TOML", "the message names the line; texts need quotes"),
    ("config-unreadable", "the config can't be read", "make it readable for you, and keep it in UTF-8"),
    ("config-unwritable", "the config can't be written", "make the folder writable, or name another place"),
    ("config-variable", "${…} in the config stands for nothing", "set the variable, or give a default: ${NAME:-…}"),
    ("job-missing", "the config has no [[job]]", "syncengine init contacts.csv shows what one looks like"),
    ("job-needed", "there are several lists, and none was named", "--job NAME"),
    ("job-unknown", "no job has this name", "the message names those there are"),
    ("list-missing", "a job has no list yet", "put the id from the address of the list's page into `list`"),
    (
        "mirror-shared",
        "a mirror shares its list with another job, and would take that one's people for gone",
        'one job for both sources (pick = "all"), or: mirror = { on_missing = "keep" }',
    ),
    ("instance-missing", "no instance of SmarterSends is configured", "set url and key in [smartersends]"),
    ("token-missing", "no token is set", "export SMARTSENDER_TOKEN=…"),
    ("token-shape", "the token can't be one", "copy it again: 8 to 512 visible characters, no blanks"),
    (
        "token-exposed",
        "a file with a token can be read by others",
        "chmod 600 it, or keep the token in the environment",
    ),
    ("token-on-command-line", "others on this machine can read command lines", "set it in the environment"),
    ("key-missing", "no key is set", "export SMARTERSENDS_KEY=… (or the one the message names)"),
    ("key-shape", "the key can't be one", "copy it again: 8 to 512 visible characters, no blanks"),
    ("secret-missing", "no secret is set", "set the variable the message names"),
    ("secret-shape", "the secret can't be one", "copy it again: 8 to 512 visible characters, no blanks"),
    ("date-format", "a date format can't be used, or contradicts another", 'formats = ["%d.%m.%Y"]'),
    ("name-collision", "two columns would feed one variable", "name one of them otherwise in [job.variables]"),
    ("name-invalid", "a variable has a name the service does not take", "latin letters only, the first one small"),
    ("name-reserved", "the service keeps this name for itself", "name the variable otherwise"),
    ("variable-name", "a column of an adopted file is no variable's name", '--column "firstName=Its header"'),
    ("preset", "a preset is unknown, or can't be read", "the message names those there are, or the fault"),
    ("several-addresses", "a job with an id column can't take all addresses of a cell", 'several = "first"'),
    ("state-path", "the state would be in a folder whose name is no text", "name another: [state] path"),
    ("until", "--until is no time of day", "--until 06:00"),
    ("usage", "the command line is not understood", "--help after the verb shows what it takes"),
    ("yes-missing", "something would be sent, and nobody is there to say yes", "--yes"),
    ("code-unknown", "no code has this name", "syncengine explain lists them all"),
    ("contact-unknown", "the state knows nobody of this address", "syncengine errors shows who was held or rejected"),
    ("errors-gone", "the files of this run are not there any more", "syncengine status shows the runs there are"),
    ("run-unknown", "no run has this id", "syncengine status shows them"),
    ("run-unfinished", "a run is not finished, and this has to wait for it", "syncengine sync, or sync --fresh"),
    ("run-other-terms", "the unfinished run has other terms than the config", "syncengine sync --fresh, or undo that"),
    (
        "plan-stale",
        "file, state or config changed since the plan was made",
        "make a new one: syncengine plan --out DIR",
    ),
    ("plan-stopped", "a guard stopped this plan", "check the file, then plan again with the flag the guard named"),
    ("out-folder", "the folder for the output is not there", "make it, or name another"),
    ("out-format", "it is not clear in which form to write", "end the name in .csv, .parquet or .json"),
    ("demo", "the demo's folder can't be used", "name another: syncengine demo --folder FOLDER"),
    ("domain", "this is no domain", "syncengine dns check example.com"),
    ("nameserver", "there is no name server to ask", "--nameserver 9.9.9.9"),
    ("body-unreadable", "the file with the message's text can't be read", "save it as UTF-8"),
    ("request", "an argument of a request is wrong; it did not leave", "the message names the argument"),
)

_SOURCE = _all(
    2,
    ("source", "the source can't be read", "the message says why"),
    (
        "no-file",
        "no file is there, or none matches",
        "look at `source` in the [[job]]; paths are relative to the config",
    ),
    ("no-path", "the source has no path", 'source = "exports/contacts-*.csv"'),
    (
        "not-a-file",
        "the source is a folder or something else that is no file",
        "name a file, or a pattern: exports/*.csv",
    ),
    ("unreadable", "the file can't be read", "make it readable for this user"),
    ("scheme", "a source is not read from such an address", "a path, or s3://, gs://, az://"),
    (
        "source-changed",
        "the file changed while it was read",
        "have the export write beside it and rename it, then again",
    ),
    ("source-empty", "the file is empty; nobody is removed because of one, and no flag overrides that", _CHECK_FILE),
    ("damaged", "the file is damaged or cut off; nobody is removed because of one", _CHECK_FILE),
    ("inflates", "the file inflates beyond all measure", "unpack it and look at it"),
    ("encrypted", "the archive is encrypted", "unpack it first"),
    ("no-member", "the archive has no such table", "the message names those there are"),
    ("several-members", "the archive has several tables", 'say which: source = { path = "…", member = "…" }'),
    ("no-sheet", "the workbook has no such sheet", "the message names those there are"),
    ("no-table", "the web page has no table", _CHECK_FILE),
    ("no-rows", "no row could be taken apart", 'say how: source = { path = "…", separator = ";" }'),
    ("no-addresses", "no column holds addresses", "look at the file: syncengine inspect FILE"),
    ("not-text", "the file is no text", "export it as CSV, Excel or Parquet"),
    ("format", "the file is of a kind that is not read", "export it as CSV, Excel or Parquet"),
    ("missing-package", "the file needs another package", "the message has the line to paste"),
    ("encoding-unknown", "no encoding has this name", 'encoding = "windows-1251", say'),
    ("encoding-wrong", "the file is not in the encoding the config names", "leave `encoding` out: it is detected"),
    ("separator", "the separator is not that of the file", "leave `separator` out: it is detected"),
    ("line-ends", "the file has the line ends of old Macs", "export it again"),
    ("header-duplicate", "a column is there twice", "rename one of the two"),
    ("header-empty", "a column has data but no name", "give it a name in the CRM's export"),
    ("header-endless", "the header does not end", "look at its quotes"),
    ("header-mismatch", "header and rows do not belong together", "say how: separator, skip_rows"),
    ("header-missing", "the file has no header", "export it with one"),
    ("too-many-columns", "the file has more columns than any export", "look at the file: syncengine inspect FILE"),
    ("column-missing", "the file has no such column", "the message names those there are"),
    ("columns-differ", "files of one source have different columns", 'export them alike, or: pick = "newest"'),
    ("file-column", "the column for the file's name can't be made", "rename the column of that name in the export"),
    ("replay-unreadable", "the file holds no events that could be replayed", "JSON lines, or CSV; UTF-8"),
)

_GUARDS = _all(
    5,
    ("guard", "a guard stopped the run before anything was sent", "the message has the numbers and the flag"),
    ("max-missing", "more contacts than allowed left the source", "check the file; if it is right: --max-missing 30%"),
    ("max-shrink", "the source has far fewer rows than last time", "check the file; if it is right: --max-shrink 60%"),
    ("max-held", "more rows than allowed can't be sent", "syncengine errors; if it is right: --max-held 80%"),
    (
        "empty-source",
        "the source has a header and no rows; nobody is removed because of one, and no flag overrides that",
        'check the export; to end the mirror: on_missing = "keep"',
    ),
)

_SERVICE = (
    *_all(
        4,
        ("refused", "the service refuses every request", _CREDENTIALS),
        ("token-refused", "the service does not know the token, or forbids it this", _CREDENTIALS),
        ("list-refused", "the service does not find the list", "check `list`: the id is in the address of its page"),
        ("key-refused", "the instance does not take the key", "copy it again from the instance's settings"),
        ("redirected", "the service answers with a redirect, which is never followed", "check the url in the config"),
        ("not-the-api", "there is no such API at this address", "check the url in the config"),
        ("tls", "the host is not who it says it is", "check the url; look for a proxy between"),
        ("download-url", "the address of the file is neither https nor on this machine", "ask who runs the instance"),
        ("template-refused", "the service refuses the template", "check its id: it is in the address of its page"),
    ),
    *_all(
        3,
        ("rejected", "the service refused this request", "the message has its words"),
        ("not-found", "the service has nothing of this id", "check the id"),
    ),
    *_all(
        7,
        ("destination", "the service could not be used", "the same command goes on later"),
        ("unavailable", "the service gave no usable answer for too long", "the same command goes on later"),
        ("unreachable", "the service can't be reached", "the same command goes on later; is the network there?"),
        ("budget-spent", "the requests or the time allowed for this run are spent", "the same command goes on"),
        (
            "outcome-unknown",
            "a request left, no usable answer came, and it is not repeated by itself",
            "look on the service's page whether it was carried out",
        ),
        ("dns-unavailable", "no name server answers", "--nameserver 9.9.9.9, or later"),
        ("export-not-fetched", "the exported file could not be fetched", "run the command again"),
        ("export-odd", "the exported file is not what is documented", "run the command again; else ask their support"),
        ("export-without-url", "the export was made, and it can't be downloaded", "run the command again"),
    ),
)

_STATE = _all(
    8,
    ("state", "the state can't be trusted or written", "the message says why; it was left as found"),
    ("state-unusable", "the state is damaged, foreign, or newer than the program", "the message has the way back"),
    ("state-write", "the state can't be written", "make room on the disk, then the same command: it goes on"),
    ("state-other-account", "the state is of another account", "give this one a state of its own: [state] path"),
    ("state-scheme", "the state was written with other fingerprints", "use the program that wrote it, or state reset"),
    ("snapshot-damaged", "what the list holds is not as it was written", "the message has the way back"),
    ("plan-damaged", "the frozen plan is not as it was written", "drop it: syncengine sync --fresh"),
    ("plan-unreadable", "no plan can be read here", "drop it: syncengine sync --fresh"),
    ("key-lost", "the key of those who asked to be forgotten is lost", "restore it from a backup of the state"),
    ("inbox-unusable", "the inbox of webhooks can't be read or written", "make the folder readable and writable"),
    ("hook-path", "the path of the webhooks can't be read", "restore it from a backup, or: syncengine webhooks rotate"),
    ("list-name", "the id of a list can't name a folder", "check `list`: letters, digits, - and _"),
)

_OTHERS = (
    *_all(6, ("locked", "another command is at work on this state", "wait for it: --wait-lock 600")),
    *_all(
        130,
        ("interrupted", "a signal stopped the run; what was confirmed is recorded", "the same command goes on"),
    ),
    *_all(
        1,
        ("internal", "a bug of ours", "please report it with the folder of the run"),
        ("memory", "the memory a process may use ran out", "allow it more, and give the same command again"),
        ("answer-lost", "the answer could not be written to stdout", "look where stdout goes; the work itself is done"),
    ),
    *_all(
        None,
        ("gone", "who was to be unsubscribed is not on the list any more", "nothing to do"),
        ("more", "the log names no more held rows", "errors.csv has them all"),
    ),
)

_SIGNATURES = (
    ("several", "there are several records; receivers take any one of them", "keep the one `dns check` shows"),
    ("missing", "there is no such record", "paste the record `dns check` shows"),
    ("syntax", "the record is no list of tags", "paste the record `dns check` shows"),
    ("version", "receivers ignore a record of this version", "paste the record `dns check` shows"),
    ("type", "the key is of another type than SmartSender signs with", "paste the record `dns check` shows"),
    ("no-key", "the record has no key", "paste the record `dns check` shows"),
    ("revoked", "an empty key revokes the signature", "paste the record `dns check` shows"),
    ("mismatch", "the key is another one than SmartSender's", "paste the record `dns check` shows"),
    ("testing", "the record says it is only being tested", "take t=y out"),
    ("service", "the key is not for e-mail", "paste the record `dns check` shows"),
)

_DOMAINS = _all(
    None,
    *((f"{name}-{fault}", what, to_do) for name in ("dkim", "domainkey") for fault, what, to_do in _SIGNATURES),
    ("dmarc-missing", "there is no DMARC record; it is recommended", "paste the record `dns check` shows"),
    ("dmarc-several", "there are several records: receivers use none of them", "keep one"),
    ("dmarc-syntax", "the record is no list of tags", "paste the record `dns check` shows"),
    ("dmarc-policy", "the record has no policy, or none there is", "p=none, p=quarantine or p=reject"),
    ("dmarc-reports", "nobody sees what fails", "add rua=mailto:…"),
    ("dmarc-old", "tags that mean nothing any more (RFC 9989)", "take them out"),
    ("mx-missing", "answers and bounces have nowhere to go", "add an MX record"),
    ("mx-null", "the domain says that it takes no mail (RFC 7505)", "add an MX record, if answers are to arrive"),
    ("mx-other", "the domain receives its mail elsewhere", "nothing to do, if that is so"),
    ("spf-missing", "there is no SPF record", "paste the record `dns check` shows"),
    ("spf-several", "there are several SPF records: receivers use none of them", "keep the one `dns check` shows"),
    ("spf-syntax", "the SPF record can't be read", "paste the record `dns check` shows"),
    ("spf-include-missing", "SmartSender may not send for the domain", "paste the record `dns check` shows"),
    ("spf-include-broken", "an include has no SPF record, or several: receivers reject the whole", "take it out"),
    ("spf-include-silent", "nobody answers for an include", "look again later"),
    ("spf-silent", "nobody answers for a name of the record", "look again later"),
    ("spf-macro", "a part depends on the message and can't be followed", "nothing to do, if it is meant so"),
    ("spf-loop", "the record leads back to itself: receivers reject it", "take the include out"),
    ("spf-lookups", "receivers give up after ten look-ups", "drop what is not used any more"),
    ("spf-void", "some look-ups find nothing", "drop them"),
    ("spf-all", "the whole world may send in the domain's name", "end the record in ?all, ~all or -all"),
    ("spf-no-all", "what the record does not name is neither good nor bad", "end the record in ?all, ~all or -all"),
    ("spf-ptr", "ptr is slow and should not be used (RFC 7208 §5.5)", "take it out"),
)

ENDINGS: Final = (*_CONFIG, *_SOURCE, *_GUARDS, *_SERVICE, *_STATE, *_OTHERS, *_DOMAINS)
BY_CODE: Final[dict[str, Ending]] = {ending.code: ending for ending in ENDINGS}
