-- partitioned: skip_locked spread over hash partitions, each served by the workers that are bound to it. What runs on them
-- is in leased.sql.
--
-- {schema} is the quoted schema; {unlogged} is UNLOGGED in durability class D0 and nothing in the others.
-- {partition} and {partitions} are a partition's number and their count.
--
-- What partitioning can win is less contention: neither the front of the ready index nor the pages behind it are shared
-- between workers of different partitions.

-- name: create
-- The partition key is the job number: known to the producer, spread evenly by the hash, and never changed. Enqueue goes
-- through this parent, so that a batch is one statement as everywhere else, and the server routes each row; sending rows
-- to partitions directly would need the server's hash function in the client and a statement per partition.
-- The sequence is one for all partitions, so that an id alone names a job. It is spelled out because partitioned tables
-- have no identity columns before PostgreSQL 17. The parent holds no rows, and its persistence means nothing.
CREATE {unlogged} SEQUENCE {schema}.jobs_id_seq AS bigint;
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
CREATE {unlogged} TABLE {schema}.jobs_p{partition} PARTITION OF {schema}.jobs FOR VALUES WITH (MODULUS {partitions}, REMAINDER {partition});

-- name: probe
-- Whether one partition has work. A worker with several partitions asks them all in one statement, these branches joined
-- by UNION ALL, and then claims from those that answered: an idle poll is one statement however many partitions it covers.
SELECT {partition} AS partition WHERE EXISTS (SELECT FROM {schema}.jobs_p{partition} WHERE status = 0)
