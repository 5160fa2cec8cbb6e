//! Replies in RESP2, the protocol that a server speaks until it is asked for another one
//! (<https://valkey.io/topics/protocol/>).

use std::str::from_utf8;

use redis::{RedisError, Value, parse_redis_value};

/// Deepest nesting that is read; XREADGROUP nests five arrays.
const MAX_DEPTH: u32 = 16;

/// Bytes of the first reply in `bytes`; `None` while it is not whole.
///
/// Looks only at headers, so a large reply that arrives in many pieces may be asked about after each of them.
///
/// # Errors
/// What is wrong with bytes that cannot be, or become, a reply.
pub(super) fn length(bytes: &[u8]) -> Result<Option<usize>, String> {
    let mut end = 0;
    Ok(skip(bytes, &mut end, MAX_DEPTH)?.map(|()| end))
}

/// The reply that `bytes` are, of which [`length`] said that it is whole.
///
/// # Errors
/// [`RedisError`] when a line is no text.
pub(super) fn reply(bytes: &[u8]) -> Result<Value, RedisError> {
    let mut at = 0;
    read(bytes, &mut at)
}

/// Moves `at` behind the reply that starts there.
fn skip(bytes: &[u8], at: &mut usize, depth: u32) -> Result<Option<()>, String> {
    let Some((kind, line)) = line(bytes, at) else { return Ok(None) };
    match kind {
        b'+' | b'-' | b':' => {}
        b'$' => {
            // Minus one stands for no string at all, which has no bytes and no end of line either.
            if let Ok(size) = usize::try_from(number(line)?) {
                *at += size + 2;
            }
        }
        b'*' => {
            if depth == 0 {
                return Err(format!("arrays more than {MAX_DEPTH} deep"));
            }
            for _ in 0..number(line)?.max(0) {
                if skip(bytes, at, depth - 1)?.is_none() {
                    return Ok(None);
                }
            }
        }
        other => return Err(format!("a reply that begins with {:?}", char::from(other))),
    }
    Ok((*at <= bytes.len()).then_some(()))
}

fn read(bytes: &[u8], at: &mut usize) -> Result<Value, RedisError> {
    let start = *at;
    let cut_short = || RedisError::from((redis::ErrorKind::Parse, "a reply that is not whole"));
    let (kind, text) = line(bytes, at).ok_or_else(cut_short)?;
    let length = || usize::try_from(number(text).unwrap_or(-1)).ok();
    match (kind, text) {
        (b'+', b"OK") => Ok(Value::Okay),
        (b':', _) => Ok(Value::Int(number(text).map_err(|_| cut_short())?)),
        (b'$', _) => {
            let Some(size) = length() else { return Ok(Value::Nil) };
            let content = bytes.get(*at..*at + size).ok_or_else(cut_short)?;
            *at += size + 2;
            Ok(Value::BulkString(content.to_vec()))
        }
        (b'*', _) => {
            let Some(count) = length() else { return Ok(Value::Nil) };
            (0..count).map(|_| read(bytes, at)).collect::<Result<_, _>>().map(Value::Array)
        }
        // Other words and errors are rare, and the library knows how to take an error apart.
        _ => parse_redis_value(&bytes[start..*at]),
    }
}

/// The first byte and the rest of the line at `at`, which moves behind the line.
fn line<'a>(bytes: &'a [u8], at: &mut usize) -> Option<(u8, &'a [u8])> {
    let rest = bytes.get(*at..)?;
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    *at += end + 1;
    let (kind, line) = rest[..end].split_first()?;
    Some((*kind, line.strip_suffix(b"\r").unwrap_or(line)))
}

fn number(line: &[u8]) -> Result<i64, String> {
    let text = from_utf8(line).unwrap_or_default();
    text.parse().map_err(|_| format!("{:?} in place of a number", String::from_utf8_lossy(line)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPLIES: [&str; 12] = [
        "+OK\r\n",
        "+QUEUED\r\n",
        "-NOGROUP no such key\r\n",
        "-ERR\r\n",
        ":-42\r\n",
        "$-1\r\n",
        "$0\r\n\r\n",
        "$6\r\na\r\nb\r\n\r\n",
        "*-1\r\n",
        "*0\r\n",
        "*3\r\n:1\r\n$-1\r\n-ERR inside\r\n",
        "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*4\r\n$1\r\nj\r\n$1\r\n5\r\n$1\r\np\r\n$2\r\n\r\n\r\n",
    ];

    #[test]
    fn replies_are_what_the_library_reads() {
        for bytes in REPLIES {
            let bytes = bytes.as_bytes();
            assert_eq!(length(bytes), Ok(Some(bytes.len())), "{}", bytes.escape_ascii());
            let ours = reply(bytes).expect("a reply");
            assert_eq!(ours, parse_redis_value(bytes).expect("a reply"), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_reply_is_not_whole_before_its_last_byte_and_ends_there() {
        for bytes in REPLIES {
            let followed = [bytes, "+OK\r\n"].concat();
            for cut in 0..bytes.len() {
                assert_eq!(length(&followed.as_bytes()[..cut]), Ok(None), "{} at {cut}", bytes.escape_debug());
            }
            assert_eq!(length(followed.as_bytes()), Ok(Some(bytes.len())), "{}", bytes.escape_debug());
        }
    }

    #[test]
    fn what_is_no_reply_is_said() {
        for bytes in ["HTTP/1.1 400 Bad Request\r\n", "$x\r\n", "*\r\n", "%1\r\n"] {
            length(bytes.as_bytes()).expect_err(bytes);
        }
        length("*1\r\n".repeat(1_000).as_bytes()).expect_err("too deep");
    }
}
