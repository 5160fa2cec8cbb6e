//! The SQL of each PostgreSQL backend, one readable file each, compiled in.
