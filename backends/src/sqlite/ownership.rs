//! Whose the file is.

use std::io;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

use super::failure::{NOTADB, of_opening, result_code};
use super::settings::Settings;
use crate::error::{Error, ErrorKind, Result};

/// By this number in its header we know a file of ours (`PRAGMA application_id`): "qbch".
pub(super) const APPLICATION_ID: u32 = 0x7162_6368;

/// Whose the file is.
pub(super) enum Ownership {
    /// It carries our number.
    Ours,
    /// There is none, or an empty one.
    Nobody,
}

/// Looks whose the file is, without a change to it.
///
/// # Errors
/// [`ErrorKind::Foreign`] when it is neither ours nor empty.
pub(super) async fn of(settings: &Settings) -> Result<Ownership> {
    let path = &settings.path;
    match std::fs::metadata(path) {
        Ok(file) if file.len() > 0 => {}
        Ok(_) => return Ok(Ownership::Nobody),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Ownership::Nobody),
        Err(error) => return Err(of_opening(&settings.place(), &error.into())),
    }
    let look = async {
        let mut connection = SqliteConnectOptions::new().filename(path).read_only(true).connect().await?;
        let id = sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut connection).await;
        connection.close().await?;
        id
    };
    match look.await {
        Ok(APPLICATION_ID) => return Ok(Ownership::Ours),
        Ok(_) => {}
        Err(error) if result_code(&error) == Some(NOTADB) => {}
        Err(error) => return Err(of_opening(&settings.place(), &error)),
    }
    let message =
        "the file exists and is not ours; nothing was touched. Choose another directory, or remove it yourself";
    Err(Error::new(ErrorKind::Foreign, format!("set up in {}", settings.place()), message))
}
