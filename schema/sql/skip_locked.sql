-- skip_locked: one table, a status column, SELECT ... FOR UPDATE SKIP LOCKED.
--
-- {schema} is the quoted schema. A line `-- name: X` opens statement X; comments stand on lines of their own.
--
-- Life of a row: ready (0) -> in_flight (1) -> done (2). nack and nothing else takes it from in_flight back to ready.
-- dead (3) is kept for jobs that were given up for good; nothing here gives up yet. Done rows stay in the table.
--
-- Two things shape every hot statement:
--   * They must keep a good plan when they were first planned on an empty table, because a worker prepares them before
--     the first job exists. So rows are addressed by `id = ANY (...)`, which has one sensible plan (a probe of the primary
--     key per id) whatever the statistics say; a join with unnest() can be turned round and then reads the whole index.
--   * The rows to take are picked in a MATERIALIZED CTE, so that LIMIT is evaluated once. As a plain IN (SELECT ... LIMIT)
--     the planner may execute it more than once and claim more rows than the limit.

-- name: create
-- status is smallint and not an enum: two bytes instead of four, no type of ours in the catalogue, and partial indexes
-- compare it with a constant just the same. Columns run from wide to narrow, so that no row carries padding.
CREATE TABLE {schema}.jobs (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job         bigint NOT NULL,
    lease_until timestamptz,
    attempt     integer NOT NULL DEFAULT 0,
    worker      integer,
    status      smallint NOT NULL DEFAULT 0 CHECK (status BETWEEN 0 AND 3),
    payload     bytea NOT NULL
);
-- Claims read ready rows in arrival order and stop at the limit. Partial, so that done rows, soon nearly the whole
-- table, are not in it and its size follows the backlog.
CREATE INDEX jobs_ready ON {schema}.jobs (id) WHERE status = 0;
-- Reclaim reads leases from the oldest expiry on. Partial for the same reason; it never holds more than what is in flight.
CREATE INDEX jobs_in_flight ON {schema}.jobs (lease_until) WHERE status = 1;
-- Every change of status moves the row between partial indexes, so no update of this table is ever HOT. That is the
-- price of the design; a lower fillfactor would not buy it back.

-- name: unlogged
ALTER TABLE {schema}.jobs SET UNLOGGED;

-- name: enqueue
-- $1 job numbers, $2 payloads. One statement for one job and for ten thousand: all or nothing, one round trip.
INSERT INTO {schema}.jobs (job, payload)
SELECT job, payload FROM unnest($1::bigint[], $2::bytea[]) AS new (job, payload);

-- name: claim
-- $1 limit, $2 worker, $3 lease in seconds.
WITH picked AS MATERIALIZED (
    SELECT id FROM {schema}.jobs
    WHERE status = 0
    ORDER BY id
    LIMIT $1::bigint
    FOR UPDATE SKIP LOCKED
), taken AS (
    UPDATE {schema}.jobs
    SET status = 1, attempt = attempt + 1, worker = $2::integer, lease_until = now() + make_interval(secs => $3::float8)
    WHERE id = ANY (ARRAY(SELECT id FROM picked))
    RETURNING id, attempt, job, payload
)
SELECT id, attempt, job, payload FROM taken ORDER BY id;

-- name: ack
-- $1 ids, $2 the attempt that they all have: the usual batch, where nothing was redelivered.
-- "In flight" is said as lease_until IS NOT NULL and not as status = 1: the latter would offer jobs_in_flight to the
-- planner, which then may scan that index and everything dead in it instead of probing the primary key.
UPDATE {schema}.jobs
SET status = 2, lease_until = NULL
WHERE id = ANY ($1::bigint[]) AND attempt = $2::integer AND lease_until IS NOT NULL
RETURNING id;

-- name: ack_mixed
-- $1 ids, $2 their attempts: a batch with redelivered jobs among others. The ids stand in it twice, as a search
-- condition and in the join, so that the join can only be done on rows found by the primary key.
UPDATE {schema}.jobs AS jobs
SET status = 2, lease_until = NULL
FROM unnest($1::bigint[], $2::integer[]) AS lease (id, attempt)
WHERE jobs.id = ANY ($1::bigint[]) AND jobs.id = lease.id AND jobs.attempt = lease.attempt AND jobs.lease_until IS NOT NULL
RETURNING jobs.id;

-- name: nack
-- $1 ids, $2 their attempts. The row keeps its id, and with it its place at the front.
UPDATE {schema}.jobs AS jobs
SET status = 0, lease_until = NULL, worker = NULL
FROM unnest($1::bigint[], $2::integer[]) AS lease (id, attempt)
WHERE jobs.id = ANY ($1::bigint[]) AND jobs.id = lease.id AND jobs.attempt = lease.attempt AND jobs.lease_until IS NOT NULL;

-- name: reclaim
-- $1 limit, $2 worker, $3 lease in seconds. The higher attempt makes the former holder's ack stale.
WITH expired AS MATERIALIZED (
    SELECT id FROM {schema}.jobs
    WHERE status = 1 AND lease_until < now()
    ORDER BY lease_until
    LIMIT $1::bigint
    FOR UPDATE SKIP LOCKED
), taken AS (
    UPDATE {schema}.jobs
    SET attempt = attempt + 1, worker = $2::integer, lease_until = now() + make_interval(secs => $3::float8)
    WHERE id = ANY (ARRAY(SELECT id FROM expired))
    RETURNING id, attempt, job, payload
)
SELECT id, attempt, job, payload FROM taken ORDER BY id;

-- name: reset
-- Ids go on from where they were: a lease from before the reset must not name a job from after it.
TRUNCATE {schema}.jobs;

-- name: depth
-- Counts the two partial indexes, never the table.
SELECT (SELECT count(*) FROM {schema}.jobs WHERE status = 0) AS ready,
       (SELECT count(*) FROM {schema}.jobs WHERE status = 1) AS in_flight;

-- name: census
SELECT count(*) AS enqueued,
       count(*) FILTER (WHERE status = 0) AS ready,
       count(*) FILTER (WHERE status = 1) AS in_flight,
       count(*) FILTER (WHERE status = 2) AS done,
       count(*) FILTER (WHERE status = 3) AS dead
FROM {schema}.jobs;
