-- sqlite: one table with a status column, claimed with UPDATE ... RETURNING. skip_locked without the locks to skip: SQLite
-- has one writer at a time, so a claim never meets another one.
--
-- Every hot statement stands alone: as a write statement outside a transaction it takes the write lock when it begins, just
-- as BEGIN IMMEDIATE does. A transaction that reads first and writes later could be refused in the middle (SQLITE_BUSY_SNAPSHOT),
-- and waiting does not help against that.
--
-- Life of a row: ready (0) -> in_flight (1) -> done (2). nack and nothing else takes it from in_flight back to ready. Done
-- rows stay in the table. lease_until is in seconds of the system's clock, and there only while a row is in flight.
--
-- A line `-- name: X` opens statement X; comments stand on lines of their own. SQLite has no arrays: lists of ids are JSON.
-- Names in braces: {rows} is `(?, ?)` once per job, {application_id} the number by which we know our files, {bound} how many
-- index entries depth may read.

-- name: create
-- AUTOINCREMENT, so that an id is never given out twice: after a reset an old lease must not name a new job.
BEGIN IMMEDIATE;
PRAGMA application_id = {application_id};
CREATE TABLE IF NOT EXISTS jobs (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    job         INTEGER NOT NULL,
    lease_until REAL,
    attempt     INTEGER NOT NULL DEFAULT 0,
    worker      INTEGER,
    status      INTEGER NOT NULL DEFAULT 0 CHECK (status BETWEEN 0 AND 2),
    payload     BLOB NOT NULL
) STRICT;
-- Both partial: their size follows the backlog. SQLite appends the row id to every index entry, so jobs_ready is in the order
-- of ids, and a query for the ids of ready rows needs nothing else.
CREATE INDEX IF NOT EXISTS jobs_ready ON jobs (status) WHERE status = 0;
CREATE INDEX IF NOT EXISTS jobs_in_flight ON jobs (lease_until) WHERE status = 1;
DELETE FROM jobs;
COMMIT;

-- name: enqueue
INSERT INTO jobs (job, payload) VALUES {rows};

-- name: claim
-- ?1 limit, ?2 worker, ?3 lease in seconds. RETURNING promises no order.
UPDATE jobs
SET status = 1, attempt = attempt + 1, worker = ?2, lease_until = unixepoch('subsec') + ?3
WHERE id IN (SELECT id FROM jobs INDEXED BY jobs_ready WHERE status = 0 ORDER BY id LIMIT ?1)
RETURNING id, attempt, job, payload;

-- name: reclaim
-- ?1 limit, ?2 worker, ?3 lease in seconds. The higher attempt makes the former holder's ack stale.
UPDATE jobs
SET attempt = attempt + 1, worker = ?2, lease_until = unixepoch('subsec') + ?3
WHERE id IN (SELECT id FROM jobs INDEXED BY jobs_in_flight
             WHERE status = 1 AND lease_until < unixepoch('subsec')
             ORDER BY lease_until LIMIT ?1)
RETURNING id, attempt, job, payload;

-- name: ack
-- ?1 the leases, [[id, attempt], ...]. "In flight" is said as lease_until IS NOT NULL, which offers no index: each row is
-- found by its id.
UPDATE jobs
SET status = 2, lease_until = NULL
WHERE (id, attempt) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?1)) AND lease_until IS NOT NULL
RETURNING id, attempt;

-- name: nack
-- ?1 as in ack. The row keeps its id, and with it its place at the front.
UPDATE jobs
SET status = 0, lease_until = NULL, worker = NULL
WHERE (id, attempt) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?1)) AND lease_until IS NOT NULL;

-- name: depth
-- Waiting jobs are counted up to {bound}. Beyond, the ids tell: claims take the smallest ones first, so whatever came after
-- the last one counted waits too.
SELECT front.jobs + CASE WHEN front.jobs < {bound} THEN 0 ELSE (SELECT max(id) FROM jobs) - front.newest END AS ready,
       (SELECT count(*) FROM jobs INDEXED BY jobs_in_flight WHERE status = 1) AS in_flight
FROM (SELECT count(*) AS jobs, max(id) AS newest
      FROM (SELECT id FROM jobs INDEXED BY jobs_ready WHERE status = 0 ORDER BY id LIMIT {bound})) AS front;

-- name: census
SELECT count(*) AS enqueued,
       count(*) FILTER (WHERE status = 0) AS ready,
       count(*) FILTER (WHERE status = 1) AS in_flight,
       count(*) FILTER (WHERE status = 2) AS done
FROM jobs;

-- name: reset
DELETE FROM jobs;

-- name: retire
-- Before the files are removed: a connection that still has them open would otherwise go on writing to a file without a name.
ALTER TABLE jobs RENAME TO removed;
