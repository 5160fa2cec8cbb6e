//! The server's account of itself: the JSON documents of its monitoring endpoint, over HTTP.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::address::Address;

/// Largest answer that is read: a server with thousands of streams has megabytes to tell.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// Reads one document, for instance `/varz` or `/jsz?streams=true`, within `limit`.
///
/// HTTP/1.0 closes the connection after one answer and knows no chunks, so nothing more than this is needed of it.
///
/// # Errors
/// Why there is no such document: no monitoring port in the URL, nobody there, or another answer.
pub async fn read(address: &Address, path: &str, limit: Duration) -> Result<Value, String> {
    let Some((host, port)) = address.monitor() else {
        return Err("the URL names no monitoring port (?monitor=8222)".to_owned());
    };
    let exchange = async {
        let mut stream = TcpStream::connect((host.trim_matches(['[', ']']), port)).await?;
        stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {host}:{port}\r\n\r\n").as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    let answer = match timeout(limit, exchange).await {
        Ok(answer) => answer.map_err(|error| format!("http://{host}:{port}{path}: {error}"))?,
        Err(_) => return Err(format!("http://{host}:{port}{path}: no answer within {limit:?}")),
    };
    body(&answer).ok_or_else(|| format!("http://{host}:{port}{path} is not what a NATS server answers"))
}

/// The document in an answer; `None` when it says anything else.
fn body(answer: &[u8]) -> Option<Value> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let (head, body) = (&answer[..end], &answer[end + 4..]);
    let status = std::str::from_utf8(head).ok()?.lines().next()?;
    match status.split(' ').nth(1) {
        Some("200") => serde_json::from_slice(body).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_document_is_one() {
        let document = body(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{\"cores\": 2}").unwrap();
        assert_eq!(document["cores"], 2);
        for answer in ["HTTP/1.0 404 Not Found\r\n\r\n{}", "HTTP/1.0 200 OK\r\n\r\n{\"cores\": ", "HTTP/1.0 200 OK"] {
            assert_eq!(body(answer.as_bytes()), None, "{answer}");
        }
    }

    #[tokio::test]
    async fn without_a_port_it_says_how_to_name_one() {
        let address = Address::parse(&crate::url::ServerUrl::new("nats://127.0.0.1")).unwrap();
        assert!(read(&address, "/varz", Duration::from_secs(1)).await.unwrap_err().contains("?monitor=8222"));
    }
}
