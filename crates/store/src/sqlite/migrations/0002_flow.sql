-- Jobs that no runner has to do with, lines for groups, tasks that are tried again when they have
-- failed, and pipelines that are continued.
--
-- A job that no runner has to do with has no class and no spec. Tallies count what is on hold.

CREATE TABLE new_job (
    id          BLOB PRIMARY KEY,
    pipeline    BLOB NOT NULL REFERENCES pipeline,
    workflow    INTEGER NOT NULL,
    number      INTEGER NOT NULL,
    name        TEXT NOT NULL,
    type        INTEGER NOT NULL,
    class       INTEGER REFERENCES class, -- none: nothing of it runs
    parallelism INTEGER NOT NULL,
    spec        INTEGER REFERENCES body,  -- none: nothing of it runs
    retry       INTEGER NOT NULL, -- whether a task is tried again when its runner is lost
    reruns      INTEGER NOT NULL, -- how often a task is tried again when it has failed
    requires    TEXT,             -- JSON list of names
    waits       INTEGER NOT NULL, -- how many requirements are not satisfied yet
    required    INTEGER NOT NULL, -- whether any job requires it
    serial_group TEXT,            -- in which it takes its turn; of an unlock job: whose lock it ends
    tally       BLOB NOT NULL,    -- of its tasks
    queued_at   INTEGER,
    started_at  INTEGER,
    finished_at INTEGER,
    reason      TEXT,             -- JSON: of the first task that did not pass
    approved_by TEXT
) WITHOUT ROWID;

-- A tally that counts nothing on hold ends with one more zero.
INSERT INTO new_job
    SELECT id, pipeline, workflow, number, name, 0, class, parallelism, spec, retry, 0, requires,
           waits, required, NULL, CAST(tally || x'00' AS BLOB), queued_at, started_at, finished_at,
           reason, NULL
    FROM job;
DROP TABLE job;
ALTER TABLE new_job RENAME TO job;

CREATE TABLE new_task (
    id      BLOB PRIMARY KEY,
    class   INTEGER REFERENCES class,   -- none: nothing of it runs
    state   INTEGER NOT NULL,
    seq     INTEGER,                    -- its place in the queue; kept when it is queued again
    silent  INTEGER NOT NULL DEFAULT 0, -- how often a claim ran out before the first step
    reruns  INTEGER NOT NULL DEFAULT 0, -- how often it was tried again after it had failed
    attempt BLOB,                       -- the newest
    reason  TEXT                        -- JSON: why it ended, or who wants it to end
) WITHOUT ROWID;
INSERT INTO new_task SELECT id, class, state, seq, silent, 0, attempt, reason FROM task;
DROP TABLE task;
ALTER TABLE new_task RENAME TO task;
CREATE INDEX queue ON task (class, seq) WHERE state = 1;

-- Nine numbers made a tally, and ten do now: a zero goes behind each ninth. A number ends with the
-- byte whose highest bit is not set.
UPDATE pipeline SET tallies = (
    WITH RECURSIVE walk (at, numbers, wide) AS (
        SELECT 1, 0, ''
        UNION ALL
        SELECT at + 1,
               numbers + (hex(substr(tallies, at, 1)) < '80'),
               wide || hex(substr(tallies, at, 1))
                    || iif(hex(substr(tallies, at, 1)) < '80' AND numbers % 9 = 8, '00', '')
        FROM walk WHERE at <= length(tallies)
    )
    SELECT unhex(wide) FROM walk ORDER BY at DESC LIMIT 1
);

ALTER TABLE pipeline ADD COLUMN locks INTEGER NOT NULL DEFAULT 0; -- whether a job of it takes a lock

-- Lines for groups that admit one job at a time. The first of a line has its turn.
CREATE TABLE turn (
    serial_group TEXT NOT NULL,
    seq          INTEGER NOT NULL, -- of the common sequence
    job          BLOB NOT NULL UNIQUE REFERENCES job,
    until        INTEGER,          -- when it gives up; none: it has its turn
    PRIMARY KEY (serial_group, seq)
) WITHOUT ROWID;

CREATE INDEX turn_overdue ON turn (until) WHERE until IS NOT NULL;

-- A pipeline with a setup config may be continued, once.
ALTER TABLE pipeline ADD COLUMN setup TEXT;               -- JSON: what it was triggered with
ALTER TABLE pipeline ADD COLUMN continued_config INTEGER REFERENCES body;
ALTER TABLE pipeline ADD COLUMN continued_first_job BLOB; -- the jobs of its continuation
ALTER TABLE pipeline ADD COLUMN continued_last_job BLOB;

-- SHA-256 of the key by which the attempt may continue its pipeline.
ALTER TABLE attempt ADD COLUMN continuation BLOB;
CREATE UNIQUE INDEX attempt_by_continuation ON attempt (continuation)
    WHERE continuation IS NOT NULL;
