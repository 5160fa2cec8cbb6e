-- queue: what the designs on PostgreSQL have in common.
--
-- {schema} is the quoted schema. A line `-- name: X` opens statement X; comments stand on lines of their own.
-- {table} is a table that holds jobs: `jobs`, or one partition of it. The other braces are explained where they stand.
--
-- Every design keeps waiting jobs in {schema}.jobs (id, job, attempt, payload, …), with ids from the sequence jobs_id_seq
-- in the order of arrival, and claims the smallest ids first.

-- name: tuned
-- With --tuning tuned, for every table that holds rows, by its quoted {table}. Rows of a queue live for seconds: a share of the
-- table, which also holds the done jobs of hours, says nothing about how many are dead in front of the next claim. Source: PostgreSQL
-- manual, "Automatic Vacuuming".
ALTER TABLE {table} SET (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 5000
);

-- name: analyze
-- Statistics of {table}, once it has more than a few pages. Plans made with the statistics of a nearly empty table read all of it, and are
-- kept while it grows; without any, the planner assumes ten pages, and takes the index.
DO $$ BEGIN
    IF pg_relation_size('{table}') >= 32 * current_setting('block_size')::bigint THEN ANALYZE {table}; END IF;
END $$;

-- name: enqueue
-- $1 job numbers, $2 payloads. One statement for one job and for ten thousand: all or nothing, one round trip.
INSERT INTO {schema}.jobs (job, payload)
SELECT job, payload FROM unnest($1::bigint[], $2::bytea[]) AS new (job, payload);

-- name: announce
-- {change}, which makes jobs ready (an INSERT or an UPDATE without RETURNING), and in the same statement what is to be told of it: how
-- many jobs there are, `12`, or by partition `3@0,9@7`. Returns their number and {tell}; nothing when there are none.
WITH ready AS (
{change}
RETURNING tableoid AS place
), by_place AS (
    SELECT count(*) AS jobs, '@' || substring(place::regclass::text FROM '_p([0-9]+)$') AS at_partition
    FROM ready GROUP BY place
), told AS (
    SELECT sum(jobs)::bigint AS jobs, string_agg(jobs || coalesce(at_partition, ''), ',') AS shares
    FROM by_place
    HAVING sum(jobs) > 0
)
SELECT jobs, {tell} FROM told;

-- name: tell_now
-- {tell} of announce: one notification on {channel}, in the transaction of the change.
pg_notify('{channel}', shares)

-- name: tell_later
-- {tell} of announce: what somebody else will notify of.
shares

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
