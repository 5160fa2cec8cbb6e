-- advisory_lock: what batch SQL replaced in pgqueue-go: one statement per job, completions behind advisory locks.
--
-- {schema} is the quoted schema; {unlogged} is UNLOGGED in durability class D0 and nothing in the others.
-- {entrypoints} is how many kinds of jobs there are; {key} is the key of the statistics, or nothing where they are appended.
-- A line `-- name: X` opens statement X; comments stand on lines of their own.
--
-- Life of a row: queued (0) -> picked (1) -> gone, counted in the statistics. A nack, and nothing else, takes it from picked
-- back to queued; reclaim picks it again. Every job is a row of jobs or counted in jobs_statistics, at any instant.
--
-- The replaced loop ran lock, complete and count for one job after the other. Its report does not say where the transaction
-- began and ended, and deadlocks need one that holds several locks; so both readings are there: each job in a transaction
-- of its own (lock = session), and the loop of one ack as one transaction (lock = transaction). Ids are taken in the order in
-- which the jobs finished, as there: sorting them is part of what the successor does.
-- Left out: priority and the status of a completion, which are the same for all jobs of a run.

-- name: create
-- updated is when the job was picked, and null while it is queued.
-- vacuum_truncate is off: an empty table that vacuum has cut to no pages looks so cheap to read as a whole that every claim planned then
-- does, and goes on to do so when the table has grown.
CREATE {unlogged} TABLE {schema}.jobs (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job        bigint NOT NULL,
    created    timestamptz NOT NULL DEFAULT now(),
    updated    timestamptz,
    attempt    integer NOT NULL DEFAULT 0,
    entrypoint integer NOT NULL GENERATED ALWAYS AS (abs(job % {entrypoints})) STORED,
    status     smallint NOT NULL DEFAULT 0 CHECK (status BETWEEN 0 AND 1),
    payload    bytea NOT NULL
) WITH (vacuum_truncate = off);
CREATE INDEX jobs_queued ON {schema}.jobs (id) WHERE status = 0;
CREATE INDEX jobs_picked ON {schema}.jobs (updated) WHERE status = 1;
-- A row per kind of job, second of arrival and whole seconds in the queue: what all workers that complete jobs of one moment
-- count up. That is where they wait for each other.
CREATE {unlogged} TABLE {schema}.jobs_statistics (
    entrypoint      integer NOT NULL,
    time_in_queue_s bigint NOT NULL,
    created_s       bigint NOT NULL,
    count           bigint NOT NULL{key}
);

-- name: statistics_key
-- With statistics = upsert.
,
    PRIMARY KEY (entrypoint, time_in_queue_s, created_s)

-- name: claim
-- One job; a batch is a loop over this.
WITH next AS MATERIALIZED (
    SELECT id FROM {schema}.jobs
    WHERE status = 0
    ORDER BY id
    LIMIT 1
    FOR UPDATE SKIP LOCKED
)
UPDATE {schema}.jobs
SET status = 1, attempt = attempt + 1, updated = now()
WHERE id = ANY (ARRAY(SELECT id FROM next))
RETURNING id, attempt, job, payload;

-- name: reclaim
-- $1 lease in seconds. One job that was picked longer ago than that. The higher attempt makes the former holder's ack stale.
WITH next AS MATERIALIZED (
    SELECT id FROM {schema}.jobs
    WHERE status = 1 AND updated < now() - make_interval(secs => $1::float8)
    ORDER BY updated
    LIMIT 1
    FOR UPDATE SKIP LOCKED
)
UPDATE {schema}.jobs
SET attempt = attempt + 1, updated = now()
WHERE id = ANY (ARRAY(SELECT id FROM next))
RETURNING id, attempt, job, payload;

-- name: lock
-- lock = transaction. $1 id. Held until the ack's transaction ends. Locks are of the whole database, so the schema is part
-- of the key; of the id it takes the lower half, and two jobs that share it wait for each other.
SELECT pg_advisory_xact_lock(hashtext('{schema}'), ($1::bigint & 2147483647)::integer);

-- name: complete
-- $1 id, $2 attempt. "Picked" is said as updated IS NOT NULL and not as status = 1, so that there is one
-- sensible plan, a probe of the primary key, whatever the statistics of the table say.
DELETE FROM {schema}.jobs
WHERE id = $1::bigint AND attempt = $2::integer AND updated IS NOT NULL
RETURNING entrypoint, floor(extract(epoch FROM updated - created))::bigint AS time_in_queue_s,
          floor(extract(epoch FROM created))::bigint AS created_s;

-- name: count
-- statistics = upsert. $1 entrypoint, $2 seconds in the queue, $3 second of arrival.
INSERT INTO {schema}.jobs_statistics AS statistics (entrypoint, time_in_queue_s, created_s, count)
VALUES ($1::integer, $2::bigint, $3::bigint, 1)
ON CONFLICT (entrypoint, time_in_queue_s, created_s) DO UPDATE SET count = statistics.count + 1;

-- name: append
-- statistics = append: the same in a row of its own.
INSERT INTO {schema}.jobs_statistics (entrypoint, time_in_queue_s, created_s, count)
VALUES ($1::integer, $2::bigint, $3::bigint, 1);

-- name: lock_session
-- lock = session. $1 id. Held until it is unlocked or the connection ends.
SELECT pg_advisory_lock(hashtext('{schema}'), ($1::bigint & 2147483647)::integer);

-- name: unlock_session
-- lock = session. $1 id.
SELECT pg_advisory_unlock(hashtext('{schema}'), ($1::bigint & 2147483647)::integer);

-- name: nack
-- $1 ids, $2 their attempts. The row keeps its id, and with it its place at the front. The replaced loop has no such thing: a
-- handler that fails completes its job there.
UPDATE {schema}.jobs AS jobs
SET status = 0, updated = NULL
FROM unnest($1::bigint[], $2::integer[]) AS lease (id, attempt)
WHERE jobs.id = ANY (ARRAY(SELECT unnest($1::bigint[]))) AND jobs.id = lease.id AND jobs.attempt = lease.attempt AND jobs.updated IS NOT NULL;

-- name: in_flight
SELECT count(*) FROM {schema}.jobs WHERE status = 1

-- name: census
SELECT 0 AS partition, ready + in_flight + done AS enqueued, ready, in_flight, done, 0::bigint AS dead
FROM (SELECT count(*) FILTER (WHERE status = 0) AS ready, count(*) FILTER (WHERE status = 1) AS in_flight
      FROM {schema}.jobs) AS queue,
     (SELECT coalesce(sum(count), 0)::bigint AS done FROM {schema}.jobs_statistics) AS statistics
