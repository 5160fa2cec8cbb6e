-- partitioned: skip_locked spread over hash partitions, each served by the workers that are bound to it.
--
-- {schema} is the quoted schema. A line `-- name: X` opens statement X; comments stand on lines of their own.
-- {partition} and {partitions} are a partition's number and their count; {table} is `jobs` or one partition, `jobs_pN`.
--
-- Rows, their life, and the two rules behind every hot statement are those of skip_locked.sql: the difference between the
-- two backends is partitioning and nothing else. What partitioning can win is less contention: neither the front of the
-- ready index nor the pages behind it are shared between workers of different partitions.

-- name: create
-- The partition key is the job number: known to the producer, spread evenly by the hash, and never changed. Enqueue goes
-- through this parent, so that a batch is one statement as everywhere else, and the server routes each row; sending rows
-- to partitions directly would need the server's hash function in the client and a statement per partition.
-- The sequence is one for all partitions, so that an id alone names a job. It is spelled out because partitioned tables
-- have no identity columns before PostgreSQL 17.
CREATE SEQUENCE {schema}.jobs_id_seq AS bigint;
CREATE TABLE {schema}.jobs (
    id          bigint NOT NULL DEFAULT nextval('{schema}.jobs_id_seq'),
    job         bigint NOT NULL,
    lease_until timestamptz,
    attempt     integer NOT NULL DEFAULT 0,
    worker      integer,
    status      smallint NOT NULL DEFAULT 0 CHECK (status BETWEEN 0 AND 3),
    payload     bytea NOT NULL,
    PRIMARY KEY (id, job)
) PARTITION BY HASH (job);
ALTER SEQUENCE {schema}.jobs_id_seq OWNED BY {schema}.jobs.id;
-- A key of a partitioned table must hold the partition key; id stands first in it because that is what we search by.
-- The two partial indexes serve claim and reclaim as in skip_locked.sql; each partition gets its own pair.
CREATE INDEX jobs_ready ON {schema}.jobs (id) WHERE status = 0;
CREATE INDEX jobs_in_flight ON {schema}.jobs (lease_until) WHERE status = 1;

-- name: create_partition
CREATE TABLE {schema}.jobs_p{partition} PARTITION OF {schema}.jobs FOR VALUES WITH (MODULUS {partitions}, REMAINDER {partition});

-- name: create_partition_unlogged
-- Not ALTER TABLE ... SET UNLOGGED afterwards, which would rewrite and sync every file of every partition once more.
CREATE UNLOGGED TABLE {schema}.jobs_p{partition} PARTITION OF {schema}.jobs FOR VALUES WITH (MODULUS {partitions}, REMAINDER {partition});

-- name: enqueue
-- $1 job numbers, $2 payloads. One statement for one job and for ten thousand: all or nothing, one round trip.
INSERT INTO {schema}.jobs (job, payload)
SELECT job, payload FROM unnest($1::bigint[], $2::bytea[]) AS new (job, payload);

-- name: claim
-- On one partition. $1 limit, $2 worker, $3 lease in seconds.
WITH picked AS MATERIALIZED (
    SELECT id FROM {schema}.{table}
    WHERE status = 0
    ORDER BY id
    LIMIT $1::bigint
    FOR UPDATE SKIP LOCKED
), taken AS (
    UPDATE {schema}.{table}
    SET status = 1, attempt = attempt + 1, worker = $2::integer, lease_until = now() + make_interval(secs => $3::float8)
    WHERE id = ANY (ARRAY(SELECT id FROM picked))
    RETURNING id, attempt, job, payload
)
SELECT id, attempt, job, payload FROM taken ORDER BY id;

-- name: probe
-- Whether one partition has work. A worker with several partitions asks them all in one statement, these branches joined
-- by UNION ALL, and then claims from those that answered: an idle poll is one statement however many partitions it covers.
SELECT {partition} AS partition WHERE EXISTS (SELECT FROM {schema}.jobs_p{partition} WHERE status = 0)

-- name: ack
-- On one partition, or on all where the leases come from several. $1 ids, $2 the attempt that they all have.
UPDATE {schema}.{table}
SET status = 2, lease_until = NULL
WHERE id = ANY ($1::bigint[]) AND attempt = $2::integer AND lease_until IS NOT NULL
RETURNING id;

-- name: ack_mixed
-- On all partitions. $1 ids, $2 their attempts.
UPDATE {schema}.jobs AS jobs
SET status = 2, lease_until = NULL
FROM unnest($1::bigint[], $2::integer[]) AS lease (id, attempt)
WHERE jobs.id = ANY ($1::bigint[]) AND jobs.id = lease.id AND jobs.attempt = lease.attempt AND jobs.lease_until IS NOT NULL
RETURNING jobs.id;

-- name: nack
-- On all partitions. $1 ids, $2 their attempts.
UPDATE {schema}.jobs AS jobs
SET status = 0, lease_until = NULL, worker = NULL
FROM unnest($1::bigint[], $2::integer[]) AS lease (id, attempt)
WHERE jobs.id = ANY ($1::bigint[]) AND jobs.id = lease.id AND jobs.attempt = lease.attempt AND jobs.lease_until IS NOT NULL;

-- name: reclaim
-- On all partitions, whoever asks: the worker that vanished may have been the only one bound to its partition.
-- $1 limit, $2 worker, $3 lease in seconds.
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
-- Counts the two partial indexes of every partition, never the tables.
SELECT (SELECT count(*) FROM {schema}.jobs WHERE status = 0) AS ready,
       (SELECT count(*) FROM {schema}.jobs WHERE status = 1) AS in_flight;

-- name: census
SELECT count(*) AS enqueued,
       count(*) FILTER (WHERE status = 0) AS ready,
       count(*) FILTER (WHERE status = 1) AS in_flight,
       count(*) FILTER (WHERE status = 2) AS done,
       count(*) FILTER (WHERE status = 3) AS dead
FROM {schema}.jobs;
