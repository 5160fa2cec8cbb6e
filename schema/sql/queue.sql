-- queue: what the designs on PostgreSQL have in common.
--
-- {schema} is the quoted schema. A line `-- name: X` opens statement X; comments stand on lines of their own.
-- {table} is a table that holds jobs: `jobs`, or one partition of it. The other braces are explained where they stand.
--
-- Every design keeps waiting jobs in {schema}.jobs (id, job, attempt, payload, …), with ids from the sequence jobs_id_seq
-- in the order of arrival, and claims the smallest ids first.

-- name: enqueue
-- $1 job numbers, $2 payloads. One statement for one job and for ten thousand: all or nothing, one round trip.
INSERT INTO {schema}.jobs (job, payload)
SELECT job, payload FROM unnest($1::bigint[], $2::bytea[]) AS new (job, payload);

-- name: announce
-- {change}, which makes jobs ready (an INSERT or an UPDATE without RETURNING), and in the same statement one notification on
-- {channel} that says how many there are: `12`, or by partition `3@0,9@7`. Returns their number; nothing, and notifies
-- nobody, when there are none.
WITH ready AS (
{change}
RETURNING tableoid AS place
), shares AS (
    SELECT count(*) AS jobs, '@' || substring(place::regclass::text FROM '_p([0-9]+)$') AS at_partition
    FROM ready GROUP BY place
)
SELECT sum(jobs)::bigint AS jobs, pg_notify('{channel}', string_agg(jobs || coalesce(at_partition, ''), ','))
FROM shares
HAVING sum(jobs) > 0;

-- name: ring
-- The same notification alone, for one job that becomes ready by no statement that could carry it: by a rollback.
SELECT pg_notify('{channel}', '1');

-- name: ready
-- How many jobs wait in {table}, where {waits} is what a waiting row is known by. Reads {bound} rows at most, so that its
-- price does not grow with the backlog. Fewer rows than that are counted, none above all. Beyond, the ids tell: claims take the
-- smallest ones first, so whatever came after the {bound}-th waiting job waits too, and of {partitions} tables each has
-- its share of the ids. (A share may also be a part of one table, of a priority for instance.)
SELECT counted.jobs + CASE WHEN counted.jobs < {bound} THEN 0 ELSE (ids.last_value - counted.newest) / {partitions} END AS ready
FROM (SELECT count(*) AS jobs, max(id) AS newest
      FROM (SELECT id FROM {schema}.{table} WHERE {waits} ORDER BY id LIMIT {bound}) AS front) AS counted,
     {schema}.jobs_id_seq AS ids

-- name: depth
-- {ready} are the branches of all tables, joined by UNION ALL; {in_flight} counts what is claimed. One statement, one
-- snapshot: a job that is being claimed is in one of the two figures.
SELECT (SELECT sum(branch.ready)::bigint FROM ({ready}) AS branch) AS ready, ({in_flight}) AS in_flight;
