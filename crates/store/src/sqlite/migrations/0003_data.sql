-- What jobs hand to later jobs, and secrets.
--
-- A scope is a project and a trust tier: `untrusted` is 1 for what pipelines of untrusted triggers
-- made. Bytes lie in the blob store; here stands what they are, whose they are, and until when.

-- AUTOINCREMENT: the name of an object has its row in it, and is never used again.
CREATE TABLE blob (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    project    INTEGER NOT NULL REFERENCES project,
    untrusted  INTEGER NOT NULL,
    hash       BLOB NOT NULL,              -- BLAKE3
    size       INTEGER NOT NULL,
    stored_at  INTEGER,                    -- none: announced, and perhaps on its way
    uses       INTEGER NOT NULL DEFAULT 0, -- how many rows of blob_use there are; triggers count
    created_at INTEGER NOT NULL,
    UNIQUE (project, untrusted, hash)
);

CREATE INDEX blob_unused ON blob (id) WHERE uses = 0;

-- Why a blob is kept. An attempt keeps what it announced or found until it ends.
CREATE TABLE blob_use (
    kind  INTEGER NOT NULL, -- 0 attempt, 1 cache, 2 layer, 3 artifact, 4 test results
    owner BLOB NOT NULL,    -- the attempt's id, else the row as 8 bytes
    blob  INTEGER NOT NULL REFERENCES blob,
    PRIMARY KEY (kind, owner, blob)
) WITHOUT ROWID;

CREATE INDEX use_of_blob ON blob_use (blob, kind);

CREATE TRIGGER blob_used AFTER INSERT ON blob_use BEGIN
    UPDATE blob SET uses = uses + 1 WHERE id = new.blob;
END;

CREATE TRIGGER blob_let_go AFTER DELETE ON blob_use BEGIN
    UPDATE blob SET uses = uses - 1 WHERE id = old.blob;
END;

-- Objects whose rows are gone, until they are gone too.
CREATE TABLE blob_garbage (
    id        INTEGER PRIMARY KEY, -- as it was in blob
    project   INTEGER NOT NULL,
    untrusted INTEGER NOT NULL,
    hash      BLOB NOT NULL
);

CREATE TABLE chunk (
    project   INTEGER NOT NULL REFERENCES project,
    untrusted INTEGER NOT NULL,
    hash      BLOB NOT NULL,
    pack      INTEGER NOT NULL REFERENCES blob,
    offset    INTEGER NOT NULL,
    stored    INTEGER NOT NULL,
    length    INTEGER NOT NULL,
    PRIMARY KEY (project, untrusted, hash)
) WITHOUT ROWID;

CREATE INDEX chunk_of_pack ON chunk (pack);

-- The newer one has the greater id.
CREATE TABLE cache (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    project      INTEGER NOT NULL REFERENCES project,
    untrusted    INTEGER NOT NULL,
    key          TEXT NOT NULL,
    manifest     INTEGER NOT NULL REFERENCES blob,
    entries      INTEGER NOT NULL,
    size         INTEGER NOT NULL, -- bytes of its files
    job          BLOB NOT NULL REFERENCES job,
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    UNIQUE (project, untrusted, key)
);

CREATE INDEX cache_expiry ON cache (expires_at);
CREATE INDEX cache_age ON cache (untrusted DESC, last_used_at);

-- What one persist_to_workspace step of one task adds to a workspace.
CREATE TABLE layer (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    attempt    BLOB NOT NULL REFERENCES attempt,
    step       INTEGER NOT NULL,
    job        BLOB NOT NULL REFERENCES job,
    manifest   INTEGER NOT NULL REFERENCES blob,
    entries    INTEGER NOT NULL,
    size       INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    UNIQUE (attempt, step)
);

CREATE INDEX layer_of_job ON layer (job);
CREATE INDEX layer_expiry ON layer (expires_at);

CREATE TABLE artifact (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    attempt    BLOB NOT NULL REFERENCES attempt,
    path       TEXT NOT NULL,
    size       INTEGER NOT NULL,
    parts      BLOB NOT NULL, -- ids in blob, 8 bytes each, in order
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    UNIQUE (attempt, path)
);

CREATE INDEX artifact_expiry ON artifact (expires_at);

-- Whose results they are stands here once more, so that the newest of a name are found.
CREATE TABLE test_results (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    project    INTEGER NOT NULL REFERENCES project,
    untrusted  INTEGER NOT NULL,
    job_name   TEXT NOT NULL,
    attempt    BLOB NOT NULL REFERENCES attempt,
    step       INTEGER NOT NULL,
    job        BLOB NOT NULL REFERENCES job,
    blob       INTEGER NOT NULL REFERENCES blob,
    tests      INTEGER NOT NULL,
    failed     INTEGER NOT NULL, -- errors included
    skipped    INTEGER NOT NULL,
    millis     INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    UNIQUE (attempt, step)
);

CREATE INDEX test_results_of_job ON test_results (job);
CREATE INDEX test_results_by_name ON test_results (project, untrusted, job_name, job);
CREATE INDEX test_results_expiry ON test_results (expires_at);

-- From which earlier job all tasks of a job take their timings: the first that asks decides, so
-- that all of them split the same tests the same way.
CREATE TABLE timing_basis (
    job   BLOB PRIMARY KEY REFERENCES job,
    basis BLOB REFERENCES job -- none: no earlier job of the name has test results
) WITHOUT ROWID;

CREATE INDEX timing_basis_of ON timing_basis (basis);

-- To find what a job came after.
CREATE INDEX requirement_of_job ON requirement (dependent);

-- Secrets of projects and contexts. The key that sealed them is outside of the database.
CREATE TABLE context (
    id         INTEGER PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
);

CREATE TABLE secret (
    id         INTEGER PRIMARY KEY,
    project    INTEGER REFERENCES project, -- one of project and context
    context    INTEGER REFERENCES context,
    kind       INTEGER NOT NULL,           -- 0 variable, 1 SSH key
    name       TEXT NOT NULL,              -- of an SSH key: its SHA-256 fingerprint
    facts      TEXT,                       -- JSON: what is no secret about an SSH key
    key_id     TEXT NOT NULL,              -- which key sealed it
    sealed     BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);

CREATE UNIQUE INDEX secret_of_project ON secret (project, kind, name) WHERE project IS NOT NULL;
CREATE UNIQUE INDEX secret_of_context ON secret (context, kind, name) WHERE context IS NOT NULL;
CREATE INDEX secret_by_key ON secret (key_id);

ALTER TABLE job ADD COLUMN contexts TEXT; -- JSON list of names; none: it has none
