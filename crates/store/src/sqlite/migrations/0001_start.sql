-- Ids are 16-byte blobs. Times are milliseconds since 1970. JSON is written only where nothing
-- but people or runners read it.
--
-- Ids of pipelines, jobs and attempts grow strictly (see ids.rs), so tables keyed by them fill at
-- the end. The id of a task is the id of its job plus its index plus one: the tasks of a job are a
-- range, and need neither a column nor an index to be found.

CREATE TABLE counter (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;

INSERT INTO counter VALUES ('sequence', 0), ('ready', 0);

CREATE TABLE project (
    id        INTEGER PRIMARY KEY,
    name      TEXT NOT NULL UNIQUE,
    pipelines INTEGER NOT NULL, -- the number of its newest pipeline
    jobs      INTEGER NOT NULL  -- the number of its newest job
);

CREATE TABLE class (
    id           INTEGER PRIMARY KEY,
    name         TEXT NOT NULL UNIQUE,
    queued       INTEGER NOT NULL DEFAULT 0, -- tasks; kept in step, so that nothing counts rows
    running      INTEGER NOT NULL DEFAULT 0,
    last_contact INTEGER                     -- of runners that have left the inventory
);

-- Texts that many rows share are stored once.
CREATE TABLE body (
    id   INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE, -- the first half of BLAKE3
    text TEXT NOT NULL
);

CREATE TABLE pipeline (
    id          BLOB PRIMARY KEY,
    project     INTEGER NOT NULL REFERENCES project,
    number      INTEGER NOT NULL,
    trigger     TEXT NOT NULL,    -- JSON
    config      INTEGER NOT NULL REFERENCES body,
    key         TEXT,             -- idempotency key
    first_job   BLOB NOT NULL,    -- its jobs are a range
    last_job    BLOB NOT NULL,
    tallies     BLOB NOT NULL,    -- one per workflow, in order
    created_at  INTEGER NOT NULL,
    finished_at INTEGER
) WITHOUT ROWID;

CREATE INDEX pipeline_of_project ON pipeline (project, id);
CREATE UNIQUE INDEX pipeline_by_key ON pipeline (key) WHERE key IS NOT NULL;

CREATE TABLE workflow (
    pipeline BLOB NOT NULL REFERENCES pipeline,
    ix       INTEGER NOT NULL,
    id       BLOB NOT NULL,
    name     TEXT NOT NULL,
    PRIMARY KEY (pipeline, ix)
) WITHOUT ROWID;

CREATE TABLE job (
    id          BLOB PRIMARY KEY,
    pipeline    BLOB NOT NULL REFERENCES pipeline,
    workflow    INTEGER NOT NULL,
    number      INTEGER NOT NULL,
    name        TEXT NOT NULL,
    class       INTEGER NOT NULL REFERENCES class,
    parallelism INTEGER NOT NULL,
    spec        INTEGER NOT NULL REFERENCES body,
    retry       INTEGER NOT NULL, -- whether a task is tried again when its runner is lost
    requires    TEXT,             -- JSON list of names
    waits       INTEGER NOT NULL, -- how many requirements are not satisfied yet
    required    INTEGER NOT NULL, -- whether any job requires it
    tally       BLOB NOT NULL,    -- of its tasks
    queued_at   INTEGER,
    started_at  INTEGER,
    finished_at INTEGER,
    reason      TEXT              -- JSON: of the first task that did not pass
) WITHOUT ROWID;

CREATE TABLE requirement (
    required  BLOB NOT NULL REFERENCES job,
    dependent BLOB NOT NULL REFERENCES job,
    accepts   INTEGER NOT NULL, -- a bit for each status code
    PRIMARY KEY (required, dependent)
) WITHOUT ROWID;

CREATE TABLE task (
    id      BLOB PRIMARY KEY,
    class   INTEGER NOT NULL REFERENCES class,
    state   INTEGER NOT NULL,
    seq     INTEGER,                    -- its place in the queue; kept when it is queued again
    silent  INTEGER NOT NULL DEFAULT 0, -- how often a claim ran out before the first step
    attempt BLOB,                       -- the newest
    reason  TEXT                        -- JSON: why it ended, or who wants it to end
) WITHOUT ROWID;

CREATE INDEX queue ON task (class, seq) WHERE state = 1;

CREATE TABLE attempt (
    id          BLOB PRIMARY KEY,
    task        BLOB NOT NULL REFERENCES task,
    previous    BLOB,          -- the attempt before it
    runner      BLOB NOT NULL,
    runner_name TEXT NOT NULL,
    lease       BLOB NOT NULL, -- the first half of the SHA-256 of its token
    lease_until INTEGER NOT NULL,
    claimed_at  INTEGER NOT NULL,
    started_at  INTEGER,
    ended_at    INTEGER,
    outcome     INTEGER,       -- a status code
    reason      TEXT,          -- JSON
    log_length  INTEGER NOT NULL DEFAULT 0,
    file_length INTEGER NOT NULL DEFAULT 0,
    mark        TEXT,
    steps       TEXT,          -- JSON list
    spans       BLOB
) WITHOUT ROWID;

CREATE INDEX held ON attempt (lease_until, runner) WHERE ended_at IS NULL;

CREATE TABLE log (
    attempt BLOB NOT NULL REFERENCES attempt,
    offset  INTEGER NOT NULL,
    bytes   BLOB NOT NULL,
    PRIMARY KEY (attempt, offset)
) WITHOUT ROWID;

-- What one transaction changed in one pipeline is one row.
CREATE TABLE event (
    pipeline BLOB NOT NULL REFERENCES pipeline,
    seq      INTEGER NOT NULL, -- of the last item
    at       INTEGER NOT NULL,
    items    BLOB NOT NULL,
    PRIMARY KEY (pipeline, seq)
) WITHOUT ROWID;

-- Bodies are made when a message is read: what has ended does not change any more.
CREATE TABLE outbox (
    id         INTEGER PRIMARY KEY,
    created_at INTEGER NOT NULL,
    topic      INTEGER NOT NULL,
    subject    BLOB NOT NULL
);

CREATE TABLE token (
    id         BLOB PRIMARY KEY,
    hash       BLOB NOT NULL UNIQUE, -- SHA-256
    class      INTEGER REFERENCES class, -- none: admin
    nickname   TEXT NOT NULL,
    hint       TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
) WITHOUT ROWID;

CREATE TABLE runner (
    id            BLOB PRIMARY KEY,
    class         INTEGER NOT NULL REFERENCES class,
    name          TEXT NOT NULL,
    hostname      TEXT NOT NULL,
    version       TEXT NOT NULL,
    slots         INTEGER NOT NULL,
    first_contact INTEGER NOT NULL,
    last_contact  INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX runner_of_class ON runner (class);
