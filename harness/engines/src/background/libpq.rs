//! The address of a server as libpq's environment, so that pgbench reaches the very server that our own driver reaches,
//! and so that nothing of it, least of all the password, stands in a process list.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use percent_encoding::percent_decode_str;
use qbench_backends::ServerUrl;
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;

use crate::postgres::session::BACKGROUND_NAME;
use crate::services::ChildSpec;

/// Name under which pgbench's connections show in `pg_stat_activity`.
pub const APPLICATION_NAME: &str = BACKGROUND_NAME;

/// The schema that these connections find and make their tables in.
pub const SCHEMA: &str = "qbench_background";

/// Environment of a libpq program.
pub struct Libpq(Vec<(&'static str, OsString)>);

impl Libpq {
    /// Environment for the server at `url`, everything that the URL leaves open resolved as our own driver does it
    /// (PGPASSWORD, the password file, defaults). Tables are found and made in [`SCHEMA`] only.
    ///
    /// # Errors
    /// When the URL is none.
    pub fn of(url: &ServerUrl) -> Result<Self, sqlx::Error> {
        let options: PgConnectOptions = url.expose().parse()?;
        let mut environment: Vec<(&'static str, OsString)> = vec![
            ("PGHOST", options.get_socket().map_or_else(|| options.get_host().into(), |socket| socket.into())),
            ("PGPORT", options.get_port().to_string().into()),
            ("PGUSER", options.get_username().into()),
            ("PGDATABASE", options.get_database().unwrap_or(options.get_username()).into()),
            ("PGAPPNAME", APPLICATION_NAME.into()),
            ("PGOPTIONS", format!("{} -c search_path={SCHEMA}", options.get_options().unwrap_or("")).into()),
        ];
        // The only way by which the driver gives back its password and certificates.
        let resolved = options.to_url_lossy();
        if let Some(password) = resolved.password() {
            environment.push(("PGPASSWORD", OsString::from_vec(percent_decode_str(password).collect())));
        }
        for (key, value) in resolved.query_pairs() {
            let variable = match &*key {
                "sslmode" => "PGSSLMODE",
                "sslrootcert" => "PGSSLROOTCERT",
                "sslcert" => "PGSSLCERT",
                "sslkey" => "PGSSLKEY",
                _ => continue,
            };
            environment.push((variable, value.into_owned().into()));
        }
        Ok(Libpq(environment))
    }

    /// The variables with their values, of which one may be a password.
    pub fn variables(&self) -> impl Iterator<Item = (&'static str, &OsString)> {
        self.0.iter().map(|(variable, value)| (*variable, value))
    }

    /// `spec` with this environment.
    pub(super) fn apply(&self, spec: ChildSpec) -> ChildSpec {
        self.0.iter().fold(spec, |spec, (variable, value)| spec.env(variable, value))
    }
}

impl std::fmt::Debug for Libpq {
    /// Names only: a value may be the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(variable, _)| variable)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(url: &str, name: &str) -> Option<String> {
        let libpq = Libpq::of(&ServerUrl::new(url)).unwrap();
        libpq.0.into_iter().find(|(variable, _)| *variable == name).map(|(_, value)| value.into_string().unwrap())
    }

    #[test]
    fn pgbench_gets_the_same_server_as_the_driver() {
        let url = "postgres://ann:p%40ss%2Fw%25rd@db.example:6000/jobs?sslmode=require";
        for (name, value) in [
            ("PGHOST", "db.example"),
            ("PGPORT", "6000"),
            ("PGUSER", "ann"),
            ("PGDATABASE", "jobs"),
            ("PGPASSWORD", "p@ss/w%rd"),
            ("PGSSLMODE", "require"),
        ] {
            assert_eq!(variable(url, name).as_deref(), Some(value), "{name}");
        }
        assert_eq!(variable("postgres://ann@h/d?host=/run/pg", "PGHOST").as_deref(), Some("/run/pg"));
        assert_eq!(variable("postgres://ann@h?password=a%20b", "PGPASSWORD").as_deref(), Some("a b"));
    }

    #[test]
    fn a_password_does_not_show_itself() {
        let libpq = Libpq::of(&ServerUrl::new("postgres://ann:s3cret@db/jobs")).unwrap();
        let shown = format!("{libpq:?}");
        assert!(shown.contains("PGPASSWORD") && !shown.contains("s3cret"), "{shown}");
    }

    #[test]
    fn the_servers_options_are_kept_beside_our_search_path() {
        let options = variable("postgres://ann@h/d?options=-c%20jit%3Doff", "PGOPTIONS").unwrap();
        assert!(options.contains("-c jit=off") && options.ends_with("-c search_path=qbench_background"), "{options}");
    }
}
