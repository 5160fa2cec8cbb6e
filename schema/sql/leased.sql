-- leased: jobs that stay in their table from ready to done and are held by a lease in between. The statements of
-- skip_locked, and of partitioned, which is skip_locked on several tables: that is the only difference between the two.
--
-- {schema} is the quoted schema. A line `-- name: X` opens statement X; comments stand on lines of their own.
-- {table} is `jobs`, which of a partitioned table means all of it, or one partition, `jobs_pN`; {partition} is N.
--
-- Life of a row: ready (0) -> in_flight (1) -> done (2), or dead (3) when its work failed. nack and nothing else takes it
-- from in_flight back to ready. Done and dead rows stay in the table.
--
-- Three things shape every hot statement:
--   * They must keep a good plan when they were first planned on an empty table, because a worker prepares them before
--     the first job exists. So rows are addressed by `id = ANY (...)`, which has one sensible plan (a probe of the primary
--     key per id) whatever the statistics say; a join with unnest() can be turned round and then reads the whole index.
--   * The rows to take are picked in a MATERIALIZED CTE, so that LIMIT is evaluated once. As a plain IN (SELECT ... LIMIT)
--     the planner may execute it more than once and claim more rows than the limit.
--   * Lengths of arrays and limits stand in subqueries. A planner that sees them expects another number of rows at every call, finds
--     no plan for all of them as cheap as one for this call, and plans every call anew.

-- name: claim
-- $1 limit, $2 worker, $3 lease in seconds.
WITH picked AS MATERIALIZED (
    SELECT id FROM {schema}.{table}
    WHERE status = 0
    ORDER BY id
    LIMIT (SELECT $1::bigint)
    FOR UPDATE SKIP LOCKED
), taken AS (
    UPDATE {schema}.{table}
    SET status = 1, attempt = attempt + 1, worker = $2::integer, lease_until = now() + make_interval(secs => $3::float8)
    WHERE id = ANY (ARRAY(SELECT id FROM picked))
    RETURNING id, attempt, job, payload
)
SELECT id, attempt, job, payload FROM taken ORDER BY id;

-- name: ack
-- $1 ids, $2 the attempt that they all have: the usual batch, where nothing was redelivered.
-- "In flight" is said as lease_until IS NOT NULL and not as status = 1: the latter would offer jobs_in_flight to the
-- planner, which then may scan that index and everything dead in it instead of probing the primary key.
UPDATE {schema}.{table}
SET status = 2, lease_until = NULL
WHERE id = ANY (ARRAY(SELECT unnest($1::bigint[]))) AND attempt = $2::integer AND lease_until IS NOT NULL
RETURNING id;

-- name: ack_mixed
-- $1 ids, $2 their attempts, $3 the status of each, done or dead: a batch with redelivered or failed jobs among others. The
-- ids stand in it twice, as a search condition and in the join, so that the join can only be done on rows found by the
-- primary key.
UPDATE {schema}.jobs AS jobs
SET status = lease.status, lease_until = NULL
FROM unnest($1::bigint[], $2::integer[], $3::smallint[]) AS lease (id, attempt, status)
WHERE jobs.id = ANY (ARRAY(SELECT unnest($1::bigint[]))) AND jobs.id = lease.id AND jobs.attempt = lease.attempt AND jobs.lease_until IS NOT NULL
RETURNING jobs.id;

-- name: nack
-- $1 ids, $2 their attempts. The row keeps its id, and with it its place at the front.
UPDATE {schema}.jobs AS jobs
SET status = 0, lease_until = NULL, worker = NULL
FROM unnest($1::bigint[], $2::integer[]) AS lease (id, attempt)
WHERE jobs.id = ANY (ARRAY(SELECT unnest($1::bigint[]))) AND jobs.id = lease.id AND jobs.attempt = lease.attempt AND jobs.lease_until IS NOT NULL;

-- name: reclaim
-- $1 limit, $2 worker, $3 lease in seconds. The higher attempt makes the former holder's ack stale.
-- Over all partitions, whoever asks: the worker that vanished may have been the only one bound to its partition.
WITH expired AS MATERIALIZED (
    SELECT id FROM {schema}.jobs
    WHERE status = 1 AND lease_until < now()
    ORDER BY lease_until
    LIMIT (SELECT $1::bigint)
    FOR UPDATE SKIP LOCKED
), taken AS (
    UPDATE {schema}.jobs
    SET attempt = attempt + 1, worker = $2::integer, lease_until = now() + make_interval(secs => $3::float8)
    WHERE id = ANY (ARRAY(SELECT id FROM expired))
    RETURNING id, attempt, job, payload
)
SELECT id, attempt, job, payload FROM taken ORDER BY id;

-- name: in_flight
-- What depth counts as claimed: never more than the workers hold, and all of it in the partial index.
SELECT count(*) FROM {schema}.jobs WHERE status = 1

-- name: census
-- Of one table; of several, these branches are joined by UNION ALL.
SELECT {partition}::integer AS partition,
       count(*) AS enqueued,
       count(*) FILTER (WHERE status = 0) AS ready,
       count(*) FILTER (WHERE status = 1) AS in_flight,
       count(*) FILTER (WHERE status = 2) AS done,
       count(*) FILTER (WHERE status = 3) AS dead
FROM {schema}.{table}
