-- skip_locked: one table, a status column, SELECT ... FOR UPDATE SKIP LOCKED. What runs on it is in leased.sql.
--
-- {schema} is the quoted schema; {unlogged} is UNLOGGED in durability class D0 and nothing in the others.

-- name: create
-- status is smallint and not an enum: two bytes instead of four, no type of ours in the catalogue, and partial indexes
-- compare it with a constant just the same. Columns run from wide to narrow, so that no row carries padding.
-- The sequence behind the identity column is as persistent as the table.
CREATE {unlogged} TABLE {schema}.jobs (
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
