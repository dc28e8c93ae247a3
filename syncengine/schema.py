"""The tables of a state's database: as the first version made them, and what each later one changed.

What was released stays as it is, for there are states that it made: a change is another migration.
"""

from typing import Final

APPLICATION_ID: Final = 0x53594E43  # "SYNC"
SCHEMA_VERSION: Final = 6

FIRST_SCHEMA: Final = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE lists (
    list TEXT PRIMARY KEY,
    account TEXT NOT NULL,              -- URL of the account the state is bound to
    generation INTEGER NOT NULL,        -- number of the state in force; 0: none yet
    scheme INTEGER NOT NULL,            -- fingerprint scheme of that snapshot
    contacts INTEGER NOT NULL,
    digest TEXT NOT NULL,               -- of the snapshot files in force
    updated_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE sources (                  -- what a job's last finished run saw; for the guards and the digest gate
    job TEXT PRIMARY KEY,
    list TEXT NOT NULL,
    digest TEXT NOT NULL,
    rules TEXT NOT NULL,                -- digest of mapping, mode, consent
    mapping TEXT NOT NULL,              -- the mapping as JSON, to say what changed
    generation INTEGER NOT NULL,
    clean INTEGER NOT NULL,             -- 1: nothing was left to send
    rows INTEGER NOT NULL, held INTEGER NOT NULL, same INTEGER NOT NULL,
    run TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE variables (
    list TEXT NOT NULL, name TEXT NOT NULL, type TEXT NOT NULL, created_at TEXT NOT NULL, origin TEXT NOT NULL,
    PRIMARY KEY (list, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE names (                    -- the variable a column was given; never derived again
    job TEXT NOT NULL, column TEXT NOT NULL, variable TEXT NOT NULL,
    PRIMARY KEY (job, column)
) STRICT, WITHOUT ROWID;

CREATE TABLE runs (
    run TEXT PRIMARY KEY,
    job TEXT NOT NULL,
    list TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('planned', 'sending', 'finished', 'discarded')),
    result TEXT NOT NULL,
    started_at TEXT NOT NULL,
    ended_at TEXT,
    facts TEXT NOT NULL                 -- counts and paths, JSON
) STRICT, WITHOUT ROWID;
CREATE INDEX runs_by_job ON runs (job, started_at);

CREATE TABLE batches (
    run TEXT NOT NULL, batch INTEGER NOT NULL,
    intended_at REAL NOT NULL,          -- Unix seconds; before the first byte
    settled_at REAL,
    confirmed INTEGER NOT NULL DEFAULT 0,
    in_doubt INTEGER NOT NULL DEFAULT 0, -- 1: an attempt got no answer; it may still be applied late
    PRIMARY KEY (run, batch)
) STRICT, WITHOUT ROWID;

CREATE TABLE verdicts (                 -- contacts that are not plainly confirmed
    run TEXT NOT NULL, batch INTEGER NOT NULL, position INTEGER NOT NULL,
    outcome TEXT NOT NULL, code TEXT NOT NULL, text TEXT NOT NULL,
    PRIMARY KEY (run, batch, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE refusals (                 -- content not to send again until it changes
    list TEXT NOT NULL, key TEXT NOT NULL, fingerprint INTEGER NOT NULL,
    outcome TEXT NOT NULL, code TEXT NOT NULL, text TEXT NOT NULL, run TEXT NOT NULL, at TEXT NOT NULL,
    PRIMARY KEY (list, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE suppressions (             -- who must not get mail, by the service's own word
    list TEXT NOT NULL, address TEXT NOT NULL, kind TEXT NOT NULL, origin TEXT NOT NULL, at TEXT NOT NULL,
    PRIMARY KEY (list, address)
) STRICT, WITHOUT ROWID;

CREATE TABLE forgotten (                -- keyed hashes of people who asked to be erased
    tombstone TEXT PRIMARY KEY, at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE doubts (                   -- contacts an abandoned request may still change, and until when
    list TEXT NOT NULL, key TEXT NOT NULL, fingerprint INTEGER NOT NULL, until REAL NOT NULL,
    PRIMARY KEY (list, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE inbox (                    -- never used; schema 2 drops it
    id INTEGER PRIMARY KEY,
    received_at TEXT NOT NULL, list TEXT NOT NULL, event TEXT NOT NULL, address TEXT NOT NULL,
    happened_at INTEGER NOT NULL, digest TEXT NOT NULL UNIQUE, folded_at TEXT
) STRICT;
"""

_SCHEMA_2: Final = """
DROP TABLE inbox;                       -- events are kept in a file of the receiver's own (webhooks/inbox.sqlite)

ALTER TABLE suppressions ADD COLUMN recorded_at TEXT NOT NULL DEFAULT '';

CREATE TABLE inboxes (                  -- how far an inbox has been taken up for a list: ids of events
    list TEXT NOT NULL, inbox TEXT NOT NULL,
    recorded INTEGER NOT NULL,          -- up to here who left is in `suppressions`
    known INTEGER NOT NULL,             -- up to here the snapshot knows
    PRIMARY KEY (list, inbox)
) STRICT, WITHOUT ROWID;

CREATE TABLE corrections (              -- who left while sent as subscribed, and is to be sent as unsubscribed
    list TEXT NOT NULL, email TEXT NOT NULL, due REAL NOT NULL,
    name TEXT, variables TEXT NOT NULL, -- with `email` the whole of what is sent
    key TEXT NOT NULL, run TEXT NOT NULL,
    paid_at REAL, outcome TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (list, email, due)
) STRICT, WITHOUT ROWID;
"""

_SCHEMA_3: Final = """
ALTER TABLE refusals ADD COLUMN rules TEXT NOT NULL DEFAULT ''; -- under which it was refused, '' if under any
"""

_SCHEMA_4: Final = """
CREATE TABLE IF NOT EXISTS mailings (   -- one template for one crowd (version 3 made these two when first needed)
    mailing TEXT PRIMARY KEY,
    account TEXT NOT NULL, list TEXT NOT NULL, template TEXT NOT NULL,
    crowd TEXT NOT NULL,                -- digest of the recipients
    again INTEGER NOT NULL,             -- 1: also to whoever got the template before
    tags TEXT NOT NULL,                 -- JSON
    started_at TEXT NOT NULL, ended_at TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS mailed (     -- who is sent what, from just before the request leaves
    mailing TEXT NOT NULL, key TEXT NOT NULL, email TEXT NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('intended', 'sent', 'rejected', 'unknown')),
    message TEXT NOT NULL,              -- id of the message, empty where none was told
    text TEXT NOT NULL,                 -- the service's words, or why there is no answer
    at TEXT NOT NULL,
    PRIMARY KEY (mailing, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS mailed_by_key ON mailed (key);
"""

_SCHEMA_5: Final = """
CREATE TABLE departed (                 -- who was not subscribed when we removed them, where the list decides on that
    list TEXT NOT NULL, address TEXT NOT NULL, at TEXT NOT NULL,
    PRIMARY KEY (list, address)
) STRICT, WITHOUT ROWID;
"""

_SCHEMA_6: Final = """
ALTER TABLE lists ADD COLUMN base INTEGER NOT NULL DEFAULT 0; -- number of the snapshot that `digest` is of
UPDATE lists SET base = generation;

CREATE TABLE changes (                  -- files of what changed since that snapshot, in force with it
    list TEXT NOT NULL, generation INTEGER NOT NULL, rows INTEGER NOT NULL, digest TEXT NOT NULL,
    PRIMARY KEY (list, generation)
) STRICT, WITHOUT ROWID;
"""

MIGRATIONS: Final[dict[int, str]] = {
    1: _SCHEMA_2,
    2: _SCHEMA_3,
    3: _SCHEMA_4,
    4: _SCHEMA_5,
    5: _SCHEMA_6,
}  #: from version n to n + 1
