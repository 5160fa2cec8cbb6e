//! What an error of the server means to the harness.

use redis::ServerError;

use crate::error::{Error, ErrorKind};

/// The server's refusal of one command as our error.
pub(super) fn server_error(context: String, error: &ServerError) -> Error {
    refusal(context, error.code(), error.details().unwrap_or_default())
}

fn refusal(context: String, code: &str, detail: &str) -> Error {
    let (kind, hint) = match code {
        "LOADING" | "BUSY" | "TRYAGAIN" | "MASTERDOWN" | "CLUSTERDOWN" => (ErrorKind::Rejected, ""),
        "OOM" => (ErrorKind::Rejected, "; the server is at its maxmemory"),
        "MISCONF" => (ErrorKind::Rejected, "; the server cannot write its snapshot"),
        "NOAUTH" | "WRONGPASS" | "NOPERM" | "DENIED" => (ErrorKind::Connect, "; check user, password and permissions"),
        "NOGROUP" => (ErrorKind::Server, "; the queue is not set up, or was removed meanwhile"),
        "READONLY" => (ErrorKind::Server, "; this is a replica: use the address of the primary"),
        "MOVED" | "ASK" | "CROSSSLOT" => (ErrorKind::Server, "; clusters are not supported: use a single server"),
        _ => (ErrorKind::Server, ""),
    };
    Error::new(kind, context, format!("the server answered: {detail}{hint}")).with_code(code)
}
