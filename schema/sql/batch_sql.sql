-- batch_sql: the design of PgQueuer and pgqueue-go. Jobs have a priority and an entrypoint, and a status of two values: queued
-- or picked. A claim takes a batch by priority and, in the same statement, jobs that were picked too long ago. A finished job
-- leaves the table, and a statistics table counts it, by one statement for the whole batch.
--
-- {schema} is the quoted schema; {unlogged} is UNLOGGED in durability class D0 and nothing in the others; {mark} is the comment
-- by which we know our own types. {priorities} and {entrypoints} are how many of each the jobs are spread over.
-- A line `-- name: X` opens statement X; comments stand on lines of their own.
--
-- Life of a row: queued -> picked -> deleted, and counted as successful or as exception. nack takes it from picked back to
-- queued. The seam's words: queued is ready, picked is in_flight, successful is done, exception is dead.
--
-- As in leased.sql, hot statements address rows by `id = ANY (...)` and pick them in a MATERIALIZED CTE: a plan made on the
-- empty table stays good, and LIMIT is evaluated once.
--
-- Why nothing here deadlocks. Claims never wait: SKIP LOCKED. Statements that settle several jobs are given their ids sorted, and
-- find them by one and the same plan, so two of them with jobs in common take these in the same order; and they take rows of the
-- statistics only when they hold all of their jobs, again in one order: that of the key.

-- name: create
-- Enums, as in the original: four bytes each, and a value that nobody foresaw cannot get in.
CREATE TYPE {schema}.job_status AS ENUM ('queued', 'picked');
COMMENT ON TYPE {schema}.job_status IS '{mark}';
CREATE TYPE {schema}.job_result AS ENUM ('successful', 'exception');
COMMENT ON TYPE {schema}.job_result IS '{mark}';
-- attempt counts the deliveries so far; a lease is an id and an attempt. updated is when the status last changed: a picked job
-- whose updated is older than the retry timer has lost its worker.
-- vacuum_truncate is off: an empty table that vacuum has cut to no pages looks so cheap to read as a whole that every claim planned then
-- does, and goes on to do so when the table has grown.
CREATE {unlogged} TABLE {schema}.jobs (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job        bigint NOT NULL,
    created    timestamptz NOT NULL DEFAULT now(),
    updated    timestamptz NOT NULL DEFAULT now(),
    priority   integer NOT NULL,
    attempt    integer NOT NULL DEFAULT 0,
    status     {schema}.job_status NOT NULL DEFAULT 'queued',
    entrypoint text NOT NULL,
    payload    bytea NOT NULL
) WITH (vacuum_truncate = off);
-- The primary key finds the jobs of a completion.
-- This one is the order of claims: the highest priority first, within it the order of arrival. Negated, so that both columns
-- ascend and a place in the order is one comparison of rows. Partial, so that it holds the backlog and nothing else, but for
-- what was claimed since the last vacuum. The entrypoint is not in it: workers serve all of them, and a
-- condition that holds for every row is cheaper to check on the row than to carry in the index.
CREATE INDEX jobs_queued ON {schema}.jobs ((-priority), id) WHERE status = 'queued';
-- And this one finds jobs whose worker vanished, from the oldest on. Never more than what is in flight.
CREATE INDEX jobs_picked ON {schema}.jobs (updated) WHERE status = 'picked';
-- Every change of status moves the row between partial indexes, so no update of this table is ever HOT.
--
-- How many jobs of a kind ended how, in each second. The original has a row for all workers together, keyed by the second of
-- creation and the seconds in the queue. At full speed every worker then updates the same few rows and holds them until its
-- commit is on the disk: completions run one after the other, and two batches that need the same two rows in different
-- orders deadlock. So the worker stands first in our key: nobody waits for anybody. The second is that of the completion,
-- because a batch then is one row for each priority, entrypoint and result in it, however long its jobs waited. Sums over all
-- rows are what they would be.
-- Insert-only rows would not be contended either, but there would be one for every batch, and without batches one for every
-- job: an archive, and not statistics.
CREATE {unlogged} TABLE {schema}.statistics (
    second     timestamptz NOT NULL,
    jobs       bigint NOT NULL,
    worker     integer NOT NULL,
    priority   integer NOT NULL,
    result     {schema}.job_result NOT NULL,
    entrypoint text NOT NULL,
    PRIMARY KEY (worker, second, priority, entrypoint, result)
) WITH (fillfactor = 50);
-- No index holds the count, so counting up is a HOT update as long as the page has room: hence the fill factor.

-- name: enqueue
-- $1 job numbers, $2 payloads. A real caller names priority and entrypoint; here the job's number spreads them evenly.
INSERT INTO {schema}.jobs (job, priority, entrypoint, payload)
SELECT job, abs(job % {priorities})::integer, 'entrypoint_' || abs(job / {priorities} % {entrypoints}), payload
FROM unnest($1::bigint[], $2::bytea[]) AS new (job, payload);

-- name: claim
-- $1 limit, $2 entrypoints that this worker serves, $3 retry timer in seconds, or null when this claim shall not look for
-- jobs that were picked too long ago. Those come first, because under a backlog they would otherwise never come; together
-- the two are never more than the limit. (The original may return twice the limit.)
-- $4 negated priority, $5 id: the place in the order of claims from which on this claim looks. From the very front it would
-- step over every entry that was claimed since the last vacuum: behind 150,000 of them, a claim of ten jobs took 1.2 ms and 620
-- pages from the very front, and 0.3 ms and 46 pages from its place. So a worker begins where its last claim ended, and looks at
-- the very front a few times a second, and whenever it finds nothing. With several priorities it always looks at the very front,
-- because that is where new jobs of a higher one are.
WITH stale AS MATERIALIZED (
    SELECT id FROM {schema}.jobs
    WHERE (SELECT $3::float8) IS NOT NULL
      AND status = 'picked' AND updated < now() - make_interval(secs => $3::float8) AND entrypoint = ANY ($2::text[])
    ORDER BY updated
    LIMIT (SELECT $1::bigint)
    FOR UPDATE SKIP LOCKED
), queued AS MATERIALIZED (
    SELECT id FROM {schema}.jobs
    WHERE status = 'queued' AND (-priority, id) >= ($4::integer, $5::bigint) AND entrypoint = ANY ($2::text[])
    ORDER BY -priority, id
    LIMIT (SELECT $1::bigint) - (SELECT count(*) FROM stale)
    FOR UPDATE SKIP LOCKED
), taken AS (
    UPDATE {schema}.jobs
    SET status = 'picked', attempt = attempt + 1, updated = now()
    WHERE id = ANY (ARRAY(SELECT id FROM stale UNION ALL SELECT id FROM queued))
    RETURNING id, attempt, job, payload, -priority AS rank
)
SELECT id, attempt, job, payload, rank FROM taken ORDER BY rank, id;

-- name: reclaim
-- The first half of a claim. $1 limit, $2 entrypoints, $3 retry timer in seconds. The higher attempt makes the former
-- holder's ack stale.
WITH stale AS MATERIALIZED (
    SELECT id FROM {schema}.jobs
    WHERE status = 'picked' AND updated < now() - make_interval(secs => $3::float8) AND entrypoint = ANY ($2::text[])
    ORDER BY updated
    LIMIT (SELECT $1::bigint)
    FOR UPDATE SKIP LOCKED
), taken AS (
    UPDATE {schema}.jobs
    SET attempt = attempt + 1, updated = now()
    WHERE id = ANY (ARRAY(SELECT id FROM stale))
    RETURNING id, attempt, job, payload, priority
)
SELECT id, attempt, job, payload FROM taken ORDER BY priority DESC, id;

-- name: complete
-- $1 ids, ascending, $2 their attempts, $3 how the work of each ended, $4 worker. Returns the ids whose lease held; the others
-- were settled by somebody else.
-- The ids stand in it twice, as a search condition and in the join, so that the join can only be done on rows found by the
-- primary key. "Picked" is said as "not queued": the former would offer jobs_picked to the planner, which then may scan that
-- index and everything dead in it.
WITH settled AS (
    DELETE FROM {schema}.jobs AS jobs
    USING unnest((SELECT $1::bigint[]), (SELECT $2::integer[]), (SELECT $3::text[])) AS lease (id, attempt, result)
    WHERE jobs.id = ANY (ARRAY(SELECT unnest($1::bigint[]))) AND jobs.id = lease.id AND jobs.attempt = lease.attempt AND jobs.status <> 'queued'
    RETURNING jobs.id, jobs.priority, jobs.entrypoint, lease.result::{schema}.job_result AS result
), counted AS (
    INSERT INTO {schema}.statistics AS statistics (second, jobs, worker, priority, result, entrypoint)
    SELECT date_trunc('second', now()), count(*), $4::integer, priority, result, entrypoint
    FROM settled
    GROUP BY priority, entrypoint, result
    ORDER BY priority, entrypoint, result
    ON CONFLICT (worker, second, priority, entrypoint, result) DO UPDATE SET jobs = statistics.jobs + excluded.jobs
)
SELECT id FROM settled;

-- name: nack
-- $1 ids, ascending, $2 their attempts. The row keeps its id, and with it its place at the front of its priority.
UPDATE {schema}.jobs AS jobs
SET status = 'queued', updated = now()
FROM unnest($1::bigint[], $2::integer[]) AS lease (id, attempt)
WHERE jobs.id = ANY (ARRAY(SELECT unnest($1::bigint[]))) AND jobs.id = lease.id AND jobs.attempt = lease.attempt AND jobs.status <> 'queued';

-- name: in_flight
-- What depth counts as claimed: never more than the workers hold, and all of it in the partial index.
SELECT count(*) FROM {schema}.jobs WHERE status = 'picked'

-- name: census
-- A job is in exactly one of the two tables at any instant, and one statement sees one instant.
SELECT 0 AS partition, ready + in_flight + done + dead AS enqueued, ready, in_flight, done, dead
FROM (SELECT count(*) FILTER (WHERE status = 'queued') AS ready, count(*) FILTER (WHERE status = 'picked') AS in_flight
      FROM {schema}.jobs) AS unfinished,
     (SELECT coalesce(sum(jobs) FILTER (WHERE result = 'successful'), 0)::bigint AS done,
             coalesce(sum(jobs) FILTER (WHERE result = 'exception'), 0)::bigint AS dead
      FROM {schema}.statistics) AS finished
