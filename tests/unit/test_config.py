"""A config is checked as a whole: every fault is told with its line, the key, and what it may have meant."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from syncengine.config.exposure import refuse_exposed
from syncengine.config.finding import find_config, likely_source
from syncengine.config.loading import Loaded, load_config
from syncengine.config.model import Bound, Config, read_bound, safe_url
from syncengine.errors import ConfigError
from syncengine.model import Consent, Mode, OnMissing, VariableType
from syncengine.normalise.mapping import Empty, OnError, Several, Winner

TOKEN = "t0ken-that-nobody-may-see"
ENVIRONMENT = {"SMARTSENDER_TOKEN": TOKEN}
SMALL = """\
[account]
token = "${SMARTSENDER_TOKEN}"

[[job]]
name = "newsletter"
list = "5537ab2a08d241dc69326b19"
source = "exports/contacts-*.csv"
consent = "source"

[job.columns]
email = "Email"
active = true
"""
FULL = """\
[account]
token = "${SMARTSENDER_TOKEN}"
url = "https://partner.sndmart.com/"
api = "v2"
rate = 2.5
concurrency = 4
timeout = 20
max_outage = 60
proxy = "http://proxy.example.com:3128"

[state]
path = "memory"

[[job]]
name = "newsletter"
list = "5537ab2a08d241dc69326b19"
source = { path = "exports/*.csv", format = "csv", encoding = "cp1251", separator = ";", pick = "all", skip_rows = 2 }
mode = "mirror"
consent = "keep"
key = "Id"
duplicates = "first"

[job.columns]
email = { column = ["Email", "Work email"], several = "first" }
name = "Full name"
active = { column = "Opted out", invert = true, empty = false }

[job.variables]
firstName = "First name"
birthDate = { column = "Born", type = "date", formats = ["%d.%m.%Y"], empty = "skip", on_error = "blank" }

[job.mirror]
on_missing = "remove"
max_missing = 100

[job.guard]
max_shrink = "12.5%"
max_held = "0%"
fail_on = "1 %"

[[job.hold]]
column = "Hard bounce"
not_empty = true

[[job.hold]]
column = "Status"
is = ["Bounced", "Complained"]

[[job]]
name = "second"
list = "abc"
source = "b.csv"
consent = "source"
columns = { email = ["Email", "Second email"], active = "Subscribed" }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def load(folder: Path, text: str, environment: dict[str, str] | None = None) -> Loaded:
    path = folder / "syncengine.toml"
    path.write_text(text, encoding="utf-8")
    return load_config(path, ENVIRONMENT if environment is None else environment)


def told(folder: Path, text: str, environment: dict[str, str] | None = None) -> ConfigError:
    with pytest.raises(ConfigError) as refused:
        load(folder, text, environment)
    assert refused.value.exit_code == 2
    assert refused.value.sent == "nothing was sent"
    return refused.value


# What is accepted -----------------------------------------------------------------------------------------------------


def test_a_small_config_gets_the_documented_defaults(folder: Path) -> None:
    loaded = load(folder, SMALL)

    account, (job,) = loaded.config.account, loaded.config.job
    assert (account.token, account.url, account.api) == (TOKEN, "https://partner.sndmart.com", "v2")
    assert (account.rate, account.concurrency, account.timeout, account.proxy) == (5, 8, 30, None)
    assert loaded.config.state.path == ".syncengine"
    assert (job.mode, job.consent, job.key, job.duplicates) == (Mode.UPSERT, Consent.SOURCE, "email", Winner.LAST)
    assert (job.columns.email, job.columns.name, job.columns.active, job.variables) == ("Email", None, True, None)
    assert (job.mirror.on_missing, str(job.mirror.max_missing)) == (OnMissing.UNSUBSCRIBE, "5%")
    assert [str(job.guard.max_shrink), str(job.guard.max_held), str(job.guard.fail_on)] == ["20%", "50%", "0"]
    assert (loaded.folder, loaded.token_problem) == (folder, None)


def test_every_documented_setting_is_taken(folder: Path) -> None:
    config = load(folder, FULL).config

    account, (job, second) = config.account, config.job
    assert (account.url, account.rate, account.concurrency) == ("https://partner.sndmart.com", 2.5, 4)
    assert (account.timeout, account.max_outage, account.proxy) == (20, 60, "http://proxy.example.com:3128")
    assert not isinstance(job.source, str)
    assert (job.source.path, job.source.format, job.source.encoding) == ("exports/*.csv", "csv", "cp1251")
    assert (job.source.separator, job.source.pick, job.source.skip_rows) == (";", "all", 2)
    assert (job.mode, job.consent, job.key, job.duplicates) == (Mode.MIRROR, Consent.KEEP, "Id", Winner.FIRST)
    assert job.columns.email.model_dump() == {"column": ["Email", "Work email"], "several": Several.FIRST}  # type: ignore[union-attr]
    assert job.columns.active.model_dump() == {"column": "Opted out", "invert": True, "empty": False}  # type: ignore[union-attr]
    assert job.variables is not None
    assert job.variables["firstName"] == "First name"
    assert job.variables["birthDate"].model_dump() == {  # type: ignore[union-attr]
        "column": "Born",
        "type": VariableType.DATE,
        "formats": ["%d.%m.%Y"],
        "empty": Empty.SKIP,
        "on_error": OnError.BLANK,
        "phone": None,
    }
    assert (job.mirror.on_missing, job.mirror.max_missing) == (OnMissing.REMOVE, Bound(count=100))
    assert [str(job.guard.max_shrink), str(job.guard.max_held), str(job.guard.fail_on)] == ["12.5%", "0%", "1%"]
    assert [(rule.column, rule.is_, rule.not_empty) for rule in job.hold] == [
        ("Hard bounce", None, True),
        ("Status", ["Bounced", "Complained"], False),
    ]
    assert (second.columns.email, second.columns.active) == (["Email", "Second email"], "Subscribed")


def test_a_mark_of_utf8_from_notepad_does_not_matter(folder: Path) -> None:
    assert load(folder, "\ufeff" + SMALL).config == load(folder, SMALL).config


def test_an_empty_file_is_a_config_without_jobs(folder: Path) -> None:
    assert load(folder, "", {}).config == Config()


# Unknown keys ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("[account]", "[acount]", 1, "unknown key `acount` in the file: did you mean `account`?"),
        ("[[job]]", "[[jobs]]", 4, "unknown key `jobs` in the file: did you mean `job`?"),
        ("token =", "tokn =", 2, "unknown key `tokn` in [account]: did you mean `token`?"),
        ("list =", "lst =", 6, "unknown key `lst` in [[job]]: did you mean `list`?"),
        ("email =", "emial =", 11, "unknown key `emial` in [job.columns]: did you mean `email`?"),
        ("email =", "Email =", 11, "unknown key `Email` in [job.columns]: did you mean `email`?"),
        ("active =", "zzz =", 12, "unknown key `zzz` in [job.columns] (keys there: email, active, name)"),
        (
            'source = "exports/contacts-*.csv"',
            'source = { path = "a.csv", seperator = ";" }',
            7,
            "unknown key `seperator` in [job.source]: did you mean `separator`?",
        ),
        (
            'email = "Email"',
            'email = { column = "Email", Several = "first" }',
            11,
            "unknown key `Several` in [job.columns.email]: did you mean `several`?",
        ),
        (
            "active = true",
            "active = true\n[job.mirror]\non_mising = 'keep'",
            14,
            "unknown key `on_mising` in [job.mirror]: did you mean `on_missing`?",
        ),
        (
            "active = true",
            "active = true\n[[job.hold]]\ncolumn = 'x'\nist = ['y']",
            15,
            "unknown key `ist` in [[job.hold]]: did you mean `is`?",
        ),
        (
            "active = true",
            "active = true\n[job.variables]\nborn = { column = 'Born', fromat = 'x' }",
            14,
            "unknown key `fromat` in [job.variables.born]: did you mean `formats`?",
        ),
        (
            "active = true",
            "active = true\n[job.variables.born]\ncolumn = 'Born'\nfromat = 'x'",
            15,
            "unknown key `fromat` in [job.variables.born]: did you mean `formats`?",
        ),
    ],
)
def test_an_unknown_key_is_told_with_its_line_and_what_it_may_have_meant(
    folder: Path, old: str, new: str, line: int, message: str
) -> None:
    text = SMALL.replace(old, new, 1)

    error = told(folder, text)

    assert error.what.startswith(f"syncengine.toml:{line}: {message}")
    shown = error.what.splitlines()[1]
    assert shown.startswith(f"{line} | ")
    assert shown.removeprefix(f"{line} | ").rstrip("*") in text.splitlines()[line - 1]


def test_every_documented_key_is_among_those_suggested(folder: Path) -> None:
    error = told(folder, SMALL.replace("consent =", "consnt ="))

    assert "name, list, source, mode, consent, key, duplicates, columns, variables, mirror, guard, hold" in error.what


# Missing and wrong values ---------------------------------------------------------------------------------------------


def test_consent_has_no_default_and_the_two_ways_are_told(folder: Path) -> None:
    error = told(folder, SMALL.replace('consent = "source"\n', ""))

    assert error.what.startswith("syncengine.toml:4: `job.consent` is missing")
    assert 'consent = "source" (the file decides who is subscribed) or consent = "keep"' in error.fix


@pytest.mark.parametrize(
    ("line", "key"), [(5, "name"), (6, "list"), (7, "source"), (11, "columns.email"), (12, "columns.active")]
)
def test_what_a_job_can_not_do_without_is_told(folder: Path, line: int, key: str) -> None:
    lines = SMALL.splitlines()
    del lines[line - 1]

    error = told(folder, "\n".join(lines))

    assert f"`job.{key}` is missing" in error.what


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('rate = "fast"', '`account.rate` must be a number, not "fast"'),
        ('rate = "5"', '`account.rate` must be a number, not "5"'),
        ("rate = true", '`account.rate` must be a number, not "True"'),
        ("rate = 0", "`account.rate` should be greater than 0"),
        ("rate = -1", "`account.rate` should be greater than 0"),
        ("rate = 100001", "`account.rate` should be less than or equal to 100000"),
        ("rate = nan", "`account.rate` should be"),
        ("rate = inf", "`account.rate` should be"),
        ("concurrency = 1.5", "`account.concurrency` must be a whole number, not 1.5"),
        ("concurrency = true", "`account.concurrency` must be a whole number, not true"),
        ("concurrency = 0", "`account.concurrency` should be greater than or equal to 1"),
        ("concurrency = 257", "`account.concurrency` should be less than or equal to 256"),
        ("timeout = 0", "`account.timeout` should be greater than 0"),
        ("timeout = 601", "`account.timeout` should be less than or equal to 600"),
        ("max_outage = 0", "`account.max_outage` should be greater than 0"),
        ('api = "v3"', "`account.api` should be 'v2', not \"v3\""),
        ("url = 5", "`account.url` must be a text in quotes, not 5"),
        ("proxy = []", "`account.proxy` must be a text in quotes"),
    ],
)
def test_a_wrong_value_of_the_account_is_told_with_what_would_be_right(folder: Path, line: str, message: str) -> None:
    error = told(folder, SMALL.replace("[account]\n", f"[account]\n{line}\n"))

    assert error.what.startswith(f"syncengine.toml:2: {message}")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('consent = "source"', 'consent = "file"', "`job.consent` should be 'source' or 'keep', not \"file\""),
        ('consent = "source"', "consent = true", "`job.consent` should be 'source' or 'keep', not true"),
        (
            'consent = "source"',
            'consent = "source"\nmode = "sync"',
            "`job.mode` should be 'upsert', 'update', 'add' or 'mirror', not \"sync\"",
        ),
        (
            'name = "newsletter"',
            'name = "my news"',
            '`job.name` must be made of letters, digits, - . and _, not "my news"',
        ),
        ('name = "newsletter"', 'name = "../x"', "`job.name` must be made of letters"),
        ("5537ab2a08d241dc69326b19", "../../etc", "`job.list` must be an id"),
        ("5537ab2a08d241dc69326b19", "", "`job.list` must be an id"),
        ('source = "exports/contacts-*.csv"', "source = 5", "`job.source` must be a text in quotes, not 5 or"),
        ("active = true", "active = 1", "`job.columns.active` must be true or false, not 1 or"),
        ('email = "Email"', "email = []", "`job.columns.email` must be a text in quotes, not [] or"),
        ('email = "Email"', "email = [1]", "`job.columns.email"),
        ("active = true", "active = true\n[job.variables]\nx = 5", "`job.variables.x` must be a text in quotes, not 5"),
        (
            "active = true",
            "active = true\n[job.variables]\nfirst_name = 'x'",
            "`job.variables` `first_name` can't be a variable: latin letters only",
        ),
        ("active = true", "active = true\n[job.variables]\nName = 'x'", "`job.variables` `Name` can't be a variable"),
        ("active = true", "active = true\n[job.guard]\nmax_held = 0.5", "`job.guard.max_held` must be a share"),
        ("active = true", "active = true\n[job.guard]\nmax_held = '101%'", "`job.guard.max_held` must be a share"),
        ("active = true", "active = true\n[job.guard]\nfail_on = -1", "`job.guard.fail_on` must not be negative"),
        ("active = true", "active = true\n[[job.hold]]\ncolumn = 'x'", "`job.hold` needs either is = [...] or"),
        (
            "active = true",
            "active = true\n[[job.hold]]\ncolumn = 'x'\nis = ['a']\nnot_empty = true",
            "`job.hold` needs either is = [...] or",
        ),
        (
            "active = true",
            "active = true\n[job.hold]\ncolumn = 'x'",
            "`job.hold` is a list of tables: write [[job.hold]]",
        ),
        ("[[job]]", "[job]", "`job` is a list of tables: write [[job]]"),
        (SMALL, "account = 5\n", "`account` must be a table, not 5"),
        (SMALL, SMALL + SMALL.partition("\n\n")[2], 'two jobs are called "newsletter"'),
    ],
)
def test_a_wrong_value_of_a_job_is_told(folder: Path, old: str, new: str, message: str) -> None:
    assert message in told(folder, SMALL.replace(old, new, 1)).what


def test_several_faults_are_told_at_once_each_with_its_line(folder: Path) -> None:
    text = SMALL.replace("[account]\n", "[account]\nrate = 0\n").replace("list =", "lst =").replace("= true", "= 1")

    error = told(folder, text.replace('consent = "source"\n', ""))

    assert error.what.startswith("syncengine.toml:2: `account.rate` should be greater than 0")
    others = [
        ("7", "unknown key `lst` in [[job]]: did you mean `list`?"),
        ("12", "`job.columns.active` must be true or false, not 1 or `job.columns.active` must be a text in quotes"),
        ("5", "`job.list` is missing"),
        ("5", "`job.consent` is missing"),
    ]
    for (line, message), shown in zip(others, error.why.splitlines(), strict=True):
        assert shown.startswith(f"syncengine.toml:{line}: {message}")


def test_faults_of_the_second_job_are_told_at_its_lines(folder: Path) -> None:
    second = SMALL.partition("\n\n")[2].replace("newsletter", "other").replace("active = true", "active = []")

    error = told(folder, f"{SMALL}\n{second}")

    assert error.what.startswith("syncengine.toml:22: `job.columns.active`")


@pytest.mark.parametrize(
    ("old", "new", "fix"),
    [
        ('email = "Email"', 'emial = "Email"', "write `email` for `emial`"),
        ('email = "Email"', 'email = "Email"\nqqq = 1', "take `qqq` out"),
        ('consent = "source"', 'consent = "file"', 'write consent = "source"'),
        ("active = true", "active = 1", 'write active = "Subscribed"'),
        ('list = "5537ab2a08d241dc69326b19"', 'list = "my list"', 'write list = "5537ab2a08d241dc69326b19"'),
        ("[[job]]", "rate = true\n[[job]]", "write rate = 5"),
    ],
)
def test_a_fault_comes_with_what_to_write(folder: Path, old: str, new: str, fix: str) -> None:
    assert told(folder, SMALL.replace(old, new)).fix.startswith(fix)


# The file itself ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["x = ", "[account\n", "token = unquoted", "a = 1\na = 2", "\x00", "rate = 5 # \x01"])
def test_what_is_no_toml_is_told(folder: Path, text: str) -> None:
    error = told(folder, text)

    assert error.what.startswith("syncengine.toml:")
    assert (": not TOML" in error.what, error.code) == (True, "config-toml")
    assert error.why
    assert error.fix


@pytest.mark.parametrize(
    ("line", "shown", "fix"),
    [
        ("consent = source", "1 | consent = source", "texts stand in quotes"),
        ("rate = 5\nrate = 6", "2 | rate = 6", "take one of the two out"),
        (f"token = {TOKEN}", "1 | token = ***", "texts stand in quotes"),
        (f'token = "{TOKEN}', "1 | token = ***", "mend that line"),
        (f'token = """\n{TOKEN}\x01\n"""', "not TOML", "mend that line"),
        (f"token: {TOKEN}", "not TOML", "mend that line"),
    ],
)
def test_a_line_that_is_no_toml_is_shown_but_for_its_secrets(folder: Path, line: str, shown: str, fix: str) -> None:
    error = told(folder, line)

    assert error.what.endswith(shown)
    assert fix in error.fix
    assert TOKEN not in str(error)


def test_a_file_that_is_not_there_or_can_not_be_read_is_told(folder: Path) -> None:
    (folder / "latin.toml").write_bytes(b'name = "caf\xe9"')
    for path, code in (
        ("none.toml", "config-missing"),
        ("latin.toml", "config-unreadable"),
        (".", "config-unreadable"),
    ):
        with pytest.raises(ConfigError) as refused:
            load_config(folder / path, {})
        assert refused.value.code == code


def test_the_config_is_found_in_the_folder_or_above(folder: Path) -> None:
    inner = folder / "a" / "b"
    inner.mkdir(parents=True)
    (folder / "syncengine.toml").touch()
    assert find_config(inner, {}) == folder / "syncengine.toml"

    (folder / "a" / "syncengine.toml").touch()
    assert find_config(inner, {}) == folder / "a" / "syncengine.toml"
    assert find_config(inner, {"SYNCENGINE_CONFIG": "/elsewhere/my.toml"}) == Path("/elsewhere/my.toml")


def test_no_config_anywhere_is_told_with_two_ways_to_begin(folder: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        find_config(folder, {})

    assert refused.value.code == "config-missing"
    assert "syncengine init" in refused.value.fix
    assert "syncengine demo" in refused.value.fix


# Filling in -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "environment", "filled"),
    [
        ("${DIR}/a.csv", {"DIR": "exports"}, "exports/a.csv"),
        ("${DIR:-other}/a.csv", {"DIR": "exports"}, "exports/a.csv"),
        ("${DIR:-other}/a.csv", {}, "other/a.csv"),
        ("${DIR:-other}/a.csv", {"DIR": ""}, "other/a.csv"),
        ("${DIR:-}/a.csv", {}, "/a.csv"),
        ("${DIR:-a:-b}/a.csv", {}, "a:-b/a.csv"),
        ("${A}${B}.csv", {"A": "x", "B": "${A}"}, "x${A}.csv"),
        ("${file:dir.txt}/a.csv", {}, "from-file/a.csv"),
        ("$DIR/{a}.csv", {"DIR": "exports"}, "$DIR/{a}.csv"),
    ],
)
def test_a_text_is_filled_in_from_environment_default_or_file(
    folder: Path, written: str, environment: dict[str, str], filled: str
) -> None:
    (folder / "dir.txt").write_text("from-file\n", encoding="utf-8")

    loaded = load(folder, SMALL.replace("exports/contacts-*.csv", written), ENVIRONMENT | environment)

    assert loaded.config.job[0].source == filled


def test_texts_within_lists_and_tables_are_filled_in_too(folder: Path) -> None:
    text = SMALL.replace('email = "Email"', 'email = { column = ["${A}", "${B:-Second}"] }')

    assert load(folder, text, {"A": "First"}).config.job[0].columns.email.column == ["First", "Second"]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("${NOT_SET}/a.csv", "syncengine.toml:7: job.source: ${NOT_SET} is not set"),
        ("${}/a.csv", "syncengine.toml:7: job.source: ${} is not set"),
        ("${file:none.txt}/a.csv", "syncengine.toml:7: job.source: ${file:none.txt} can't be read"),
    ],
)
def test_what_can_not_be_filled_in_is_told_with_its_place(folder: Path, written: str, message: str) -> None:
    error = told(folder, SMALL.replace("exports/contacts-*.csv", written))

    assert (error.what, error.code) == (message, "config-variable")


@pytest.mark.parametrize("written", ["${SMARTSENDER_TOKEN}", "${file:token.txt}"])
def test_a_token_that_is_not_there_is_told_only_when_it_is_needed(folder: Path, written: str) -> None:
    loaded = load(folder, SMALL.replace("${SMARTSENDER_TOKEN}", written), {})

    assert loaded.config.account.token is None
    assert loaded.token_problem is not None
    assert loaded.token_problem.what.startswith(f"syncengine.toml:2: account.token: {written}")


def test_a_token_is_read_from_a_file_beside_the_config(folder: Path) -> None:
    (folder / "token.txt").write_text(f"{TOKEN}\n", encoding="utf-8")
    (folder / "token.txt").chmod(0o600)

    loaded = load(folder, SMALL.replace("${SMARTSENDER_TOKEN}", "${file:token.txt}"), {})

    assert (loaded.config.account.token, loaded.token_problem) == (TOKEN, None)


# The environment over the file ----------------------------------------------------------------------------------------


def test_the_environment_goes_over_the_file(folder: Path) -> None:
    account = load(
        folder,
        FULL,
        {
            "SYNCENGINE_ACCOUNT_TOKEN": TOKEN,
            "SYNCENGINE_ACCOUNT_URL": "http://127.0.0.1:8025",
            "SYNCENGINE_ACCOUNT_RATE": "10",
            "SYNCENGINE_ACCOUNT__TIMEOUT": "1.5",
            "SYNCENGINE_ACCOUNT_CONCURRENCY": "3",
            "SYNCENGINE_ACCOUNT_MAX_OUTAGE": "",
        },
    ).config.account

    assert (account.token, account.url) == (TOKEN, "http://127.0.0.1:8025")
    assert (account.rate, account.timeout, account.concurrency, account.max_outage) == (10, 1.5, 3, 60)


@pytest.mark.parametrize("digits", ["1234567890123456", "1e100", "nan", "0x1f", "1_000_000_000"])
def test_a_text_that_looks_like_a_number_stays_a_text(folder: Path, digits: str) -> None:
    config = load(folder, SMALL, {"SYNCENGINE_ACCOUNT_TOKEN": digits, "SYNCENGINE_STATE_PATH": digits}).config

    assert (config.account.token, config.state.path) == (digits, digits)


def test_the_environment_gives_sections_the_file_does_not_have(folder: Path) -> None:
    text = SMALL.partition("\n\n")[2]

    config = load(folder, text, {"SYNCENGINE_ACCOUNT_TOKEN": TOKEN, "SYNCENGINE_STATE_PATH": "elsewhere"}).config

    assert (config.account.token, config.state.path) == (TOKEN, "elsewhere")


@pytest.mark.parametrize(
    ("name", "value"), [("RATE", "fast"), ("CONCURRENCY", "1.5"), ("URL", "ftp://x"), ("RATE", "0")]
)
def test_a_fault_in_the_environment_names_the_variable_and_no_line(folder: Path, name: str, value: str) -> None:
    error = told(folder, SMALL, {"SMARTSENDER_TOKEN": TOKEN, f"SYNCENGINE_ACCOUNT_{name}": value})

    assert error.what.startswith(f"SYNCENGINE_ACCOUNT_{name}: `account.{name.lower()}`")
    assert len(error.what.splitlines()) == 1


# The token stays in ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        f'[account]\ntoken = ["{TOKEN}"]',
        f'account = {{ token = "{TOKEN}", rate = "x" }}',
        f'account = {{ rate = "x", "token" = \'{TOKEN}\' }}',
        f'account.token = {{ value = "{TOKEN}" }}',
        f'[account]\ntoken = "{TOKEN}"\nrate = 0',
        f'[account]\nproxy = ["http://user:{TOKEN}@proxy.example.com"]',
        f'[account]\ntoken = "{TOKEN}"\n[acount]',
    ],
)
def test_no_fault_shows_the_token(folder: Path, text: str) -> None:
    error = told(folder, text, {})

    assert TOKEN not in f"{error!s} {error!r} {error.why} {error.fix}"


def test_a_token_without_quotes_is_told_without_its_digits(folder: Path) -> None:
    error = told(folder, "[account]\ntoken = 12345678901234567890")

    assert error.what == "syncengine.toml:2: `account.token` must be a text in quotes\n2 | token = ***"


def test_a_config_shows_neither_token_nor_proxy(folder: Path) -> None:
    loaded = load(folder, FULL)

    assert TOKEN not in repr(loaded)
    assert "proxy" not in repr(loaded)


@pytest.mark.parametrize(
    ("mode", "exposed"), [(0o600, False), (0o400, False), (0o640, True), (0o604, True), (0o644, True)]
)
def test_a_file_that_holds_a_token_is_its_owners_alone(folder: Path, mode: int, *, exposed: bool) -> None:
    path = folder / "token.txt"
    path.touch()
    path.chmod(mode)

    if not exposed:
        refuse_exposed(path, "token.txt")
        return
    with pytest.raises(ConfigError) as refused:
        refuse_exposed(path, "token.txt")
    assert refused.value.what == "token.txt holds a token, and others can read it"
    assert f"{mode:04o}" in refused.value.why
    assert f"chmod 600 {path}" in refused.value.fix


SECRETS = [
    ("account", "token", ""),
    ("account", "key", ""),
    ("account", "secret", ""),
    ("smartersends", "key", 'url = "https://you.smartersends.com"'),
]


@pytest.mark.parametrize(("section", "key", "more"), SECRETS)
@pytest.mark.parametrize("way", ["in the config", "in a file beside it"])
def test_a_secret_in_a_file_that_others_can_read_is_told_when_it_is_needed(
    folder: Path, section: str, key: str, more: str, way: str
) -> None:
    (folder / "secret.txt").write_text(TOKEN, encoding="utf-8")
    (folder / "secret.txt").chmod(0o644)
    written = TOKEN if way == "in the config" else "${file:secret.txt}"

    loaded = load(folder, f'[{section}]\n{key} = "{written}"\n{more}\n', {})

    problem = loaded.problems[f"{section}.{key}"]
    assert (problem.code, loaded.problems.keys()) == ("token-exposed", {f"{section}.{key}"})
    assert problem.what.startswith("syncengine.toml" if way == "in the config" else "secret.txt")
    assert TOKEN not in str(problem)


@pytest.mark.parametrize(
    "text",
    [
        f'[account]\nurl = "http://127.0.0.1:8787"\ntoken = "{TOKEN}"',
        f'[account]\nsend_url = "http://127.0.0.1:8787"\nkey = "{TOKEN}"\nsecret = "{TOKEN}"',
        f'[smartersends]\nurl = "http://localhost:8787/smartersends"\nkey = "{TOKEN}"',
        '[account]\ntoken = "${SMARTSENDER_TOKEN:-sandbox-token}"',
    ],
)
def test_what_opens_only_the_sandbox_and_what_is_not_written_down_may_be_read(folder: Path, text: str) -> None:
    assert load(folder, text, {}).problems == {}


@pytest.mark.parametrize(("section", "key", "more"), SECRETS)
def test_a_secret_that_is_not_set_is_told_when_it_is_needed(folder: Path, section: str, key: str, more: str) -> None:
    loaded = load(folder, f'[{section}]\n{key} = "${{NOT_SET}}"\n{more}\n', {})

    assert loaded.problems[f"{section}.{key}"].code == "config-variable"


@pytest.mark.parametrize(("section", "key", "more"), SECRETS)
def test_a_secret_of_the_wrong_kind_is_told_without_its_digits(folder: Path, section: str, key: str, more: str) -> None:
    error = told(folder, f"[{section}]\n{key} = 12345678901234567890\n{more}\n")

    assert error.what == f"syncengine.toml:2: `{section}.{key}` must be a text in quotes\n2 | {key} = ***"


def test_secrets_of_the_environment_beat_the_file_and_are_shown_nowhere(folder: Path) -> None:
    environment = {"SYNCENGINE_ACCOUNT_KEY": "key-of-env", "SYNCENGINE_SMARTERSENDS_KEY": "bearer-of-env"}

    loaded = load(folder, '[account]\nkey = "in-file-key"\nsecret = "in-file-secret"\n', environment)

    config = loaded.config
    assert (config.account.key, config.account.secret, config.smartersends.key) == (
        "key-of-env",
        "in-file-secret",
        "bearer-of-env",
    )
    assert not any(secret in repr(loaded) for secret in ("key-of-env", "in-file-secret", "bearer-of-env"))


# Addresses of the service ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://partner.sndmart.com", "https://partner.sndmart.com"),
        ("https://partner.sndmart.com/", "https://partner.sndmart.com"),
        ("https://example.com:8443/base/", "https://example.com:8443/base"),
        ("http://localhost:8025", "http://localhost:8025"),
        ("http://127.0.0.1", "http://127.0.0.1"),
        ("http://127.1.2.3:1", "http://127.1.2.3:1"),
        ("http://[::1]:8025/", "http://[::1]:8025"),
    ],
)
def test_https_anywhere_and_http_on_loopback_are_fine(url: str, origin: str) -> None:
    assert safe_url(url) == origin


@pytest.mark.parametrize(
    "url",
    [
        "http://partner.sndmart.com",
        "http://10.0.0.1",
        "http://0.0.0.0",
        "http://localhost.example.com",
        "http://127.0.0.1.example.com",
        "http://[::2]",
        "http://2130706433",
    ],
)
def test_http_elsewhere_would_show_the_token_to_everybody(url: str) -> None:
    with pytest.raises(ValueError, match="must be https: over http the token would travel readable"):
        safe_url(url)


@pytest.mark.parametrize(
    "url", ["", "partner.sndmart.com", "//partner.sndmart.com", "ftp://x", "file:///x", "https://"]
)
def test_what_is_no_address_is_told(url: str) -> None:
    with pytest.raises(ValueError, match=r"must be an address such as https://partner\.sndmart\.com"):
        safe_url(url)


@pytest.mark.parametrize(
    "url", ["https://user@example.com", "https://u:p@example.com", "https://example.com/?a=b", "https://example.com/#a"]
)
def test_an_address_holds_nothing_else(url: str) -> None:
    with pytest.raises(ValueError, match="must hold no user, query or fragment"):
        safe_url(url)


# Bounds ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "bound", "shown"),
    [
        ("5%", Bound(share=0.05), "5%"),
        (" 12.5 % ", Bound(share=0.125), "12.5%"),
        ("0%", Bound(share=0.0), "0%"),
        ("100%", Bound(share=1.0), "100%"),
        (0, Bound(count=0), "0"),
        (250, Bound(count=250), "250"),
        ("250", Bound(count=250), "250"),
    ],
)
def test_a_bound_is_a_share_or_a_count(written: str | int, bound: Bound, shown: str) -> None:
    assert read_bound(written) == bound
    assert str(bound) == shown


@pytest.mark.parametrize(
    "written", ["100.1%", "101%", "-5%", "-1", -1, "5 percent", "%", "", "1e2%", 0.05, True, None, []]
)
def test_anything_else_is_no_bound(written: object) -> None:
    with pytest.raises(ValueError, match="must"):
        read_bound(written)


@settings(deadline=None)
@given(st.integers(0, 100), st.integers(0, 10**9))
@example(29, 100)
@example(58, 100)
def test_a_share_allows_exactly_its_part(percent: int, total: int) -> None:
    bound = Bound(share=percent / 100)
    most = percent * total // 100

    assert bound.allows(most, total)
    assert not bound.allows(most + 1, total)


@settings(deadline=None)
@given(st.integers(0, 1000), st.integers(0, 1000), st.integers(0, 1000))
def test_a_count_allows_as_many_whatever_the_total(count: int, number: int, total: int) -> None:
    assert Bound(count=count).allows(number, total) is (number <= count)


# Robustness -----------------------------------------------------------------------------------------------------------

JUNK = st.recursive(
    st.one_of(st.booleans(), st.integers(-5, 5), st.sampled_from(["", "x", "keep", "5%", "${X:-y}"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.dictionaries(st.sampled_from(["column", "path", "x", "is", "Y"]), inner, max_size=2),
    ),
    max_leaves=4,
)
KEYS = (
    "source",
    "mode",
    "consent",
    "key",
    "duplicates",
    "columns",
    "variables",
    "mirror",
    "guard",
    "hold",
    "list",
    "odd",
)


def toml(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return f'"{value}"'
        case list():
            return f"[{', '.join(map(toml, value))}]"
        case dict():
            return f"{{ {', '.join(f'{key} = {toml(inner)}' for key, inner in value.items())} }}"
        case _:
            return str(value)


@settings(deadline=None, max_examples=200)
@given(st.dictionaries(st.sampled_from(KEYS), JUNK, max_size=4))
def test_any_junk_is_a_config_error_that_points_into_the_file(
    tmp_path_factory: pytest.TempPathFactory, junk: dict[str, object]
) -> None:
    text = "[[job]]\n" + "\n".join(f"{key} = {toml(value)}" for key, value in junk.items())
    tomllib.loads(text)

    error = told(tmp_path_factory.mktemp("config"), text)

    assert error.what.startswith("syncengine.toml:")
    assert all(line.startswith("syncengine.toml:") for line in error.why.splitlines())


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("SYNCENGINE_ACCOUNT_RAET", "RATE"),
        ("SYNCENGINE_ACCOUNT__CONCURENCY", "CONCURRENCY"),
        ("SYNCENGINE_ACCOUNT_X", ""),
    ],
)
def test_a_variable_that_nothing_reads_is_told(folder: Path, name: str, meant: str) -> None:
    error = told(folder, SMALL, ENVIRONMENT | {name: "3"})

    assert error.code == "config-environment"
    assert name in error.what
    assert (f"did you mean SYNCENGINE_ACCOUNT_{meant}?" in error.what) == bool(meant)
    assert error.fix == f"unset {name}"


def test_flags_of_verbs_in_the_environment_are_not_taken_for_settings(folder: Path) -> None:
    flags = {"SYNCENGINE_STATE_SHOW_JSON": "1", "SYNCENGINE_SYNC_YES": "1", "SYNCENGINE_CONFIG": "x.toml"}

    load(folder, SMALL, ENVIRONMENT | flags)


SECOND = SMALL.partition("\n\n")[2].replace('"newsletter"', '"shop"')


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("on_missing", ["unsubscribe", "remove"])
def test_a_mirror_shares_its_list_with_nobody(tmp_path: Path, on_missing: str, *, first: bool) -> None:
    mirror = f'mode = "mirror"\nmirror = {{ on_missing = "{on_missing}" }}\n\n[job.columns]'
    jobs = (
        (SMALL.replace("[job.columns]", mirror), SECOND) if first else (SMALL, SECOND.replace("[job.columns]", mirror))
    )
    path = tmp_path / "syncengine.toml"
    path.write_text("\n".join(jobs))

    with pytest.raises(ConfigError) as refused:
        load_config(path, ENVIRONMENT)

    mirrors, other = ("newsletter", "shop") if first else ("shop", "newsletter")
    assert (refused.value.code, refused.value.exit_code) == ("mirror-shared", 2)
    assert f'"{mirrors}" mirrors it' in refused.value.what
    assert f'whoever only "{other}" has' in refused.value.why
    assert 'pick = "all"' in refused.value.fix


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"5537ab2a08d241dc69326b19"', '"6637ab2a08d241dc69326b19"'),
        ('"5537ab2a08d241dc69326b19"', '"PUT-THE-LIST-ID-HERE"'),
        ('mode = "mirror"', 'mode = "upsert"'),
        ('mode = "mirror"', 'mode = "mirror"\nmirror = { on_missing = "keep" }'),
    ],
)
def test_jobs_share_a_list_where_nobody_is_taken_off_it(tmp_path: Path, old: str, new: str) -> None:
    first = SMALL.replace("[job.columns]", 'mode = "mirror"\n\n[job.columns]').replace(old, new)
    second = SECOND.replace(old, new) if "PUT" in new else SECOND
    path = tmp_path / "syncengine.toml"
    path.write_text(f"{first}\n{second}")

    assert [job.name for job in load_config(path, ENVIRONMENT).jobs([])] == ["newsletter", "shop"]


@pytest.mark.parametrize(
    ("jobs", "written", "found"),
    [
        ((), '[[job]]\nname = "a"\nsource = "a.csv"\n[[job]]\nname = "b"\nsource = "b.csv"', "a.csv"),
        (("b", "a"), '[[job]]\nname = "a"\nsource = "a.csv"\n[[job]]\nname = "b"\nsource = "b.csv"', "b.csv"),
        ((), '[[job]]\nsource = { path = "c.csv" }', "c.csv"),
        ((), '\ufeff[[job]]\nsource = "c.csv"', "c.csv"),
        (("c",), '[[job]]\nname = "a"\nsource = "a.csv"', None),
        ((), '[[job]]\nsource = "${FOLDER}/a.csv"', None),
        ((), "[[job]]\nsource = 7", None),
        ((), '[job]\nsource = "a.csv"', None),
        ((), "job = [1, 2]", None),
        ((), "job = ", None),
        ((), "", None),
    ],
)
def test_a_first_look_at_the_config_tells_the_source_or_nothing(
    folder: Path, jobs: tuple[str, ...], written: str, found: str | None
) -> None:
    (folder / "syncengine.toml").write_text(written, encoding="utf-8")

    assert likely_source(folder / "syncengine.toml", jobs) == found
    assert likely_source(folder / "none.toml", jobs) is None
