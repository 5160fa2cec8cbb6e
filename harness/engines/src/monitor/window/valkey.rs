//! Valkey's counters at one end of the measured window, and how much its append-only file grew between two.

use qbench_backends::ServerUrl;
use redis::aio::MultiplexedConnection;
use redis::{RedisError, Value, from_redis_value};

use super::super::notes::Notes;
use super::super::valkey::{Info, connect};
use super::ServerCounters;

/// Asks for them.
pub(super) struct ValkeyCounters {
    url: ServerUrl,
    keys: Vec<String>,
    connection: Option<MultiplexedConnection>,
}

/// Size of the append-only file at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AofSize {
    at_us: u64,
    bytes: u64,
    /// Its size when it was rewritten last, which therefore changes at the end of every rewrite.
    rewritten_bytes: u64,
}

impl AofSize {
    /// What INFO said at `at_us`; `None` while the append-only file is off.
    pub(in crate::monitor) fn of(info: &Info, at_us: u64) -> Option<Self> {
        (info.count("aof_enabled") == 1).then(|| AofSize {
            at_us,
            bytes: info.count("aof_current_size"),
            rewritten_bytes: info.count("aof_base_size"),
        })
    }
}

impl ValkeyCounters {
    /// `keys` are the backend's.
    pub(super) fn new(url: ServerUrl, keys: Vec<String>) -> Self {
        ValkeyCounters { url, keys, connection: None }
    }

    /// Connects, unless it is connected.
    pub(super) async fn connect(&mut self) -> Result<(), String> {
        if self.connection.is_none() {
            self.connection = Some(connect(&self.url).await.map_err(|error| error.to_string())?);
        }
        Ok(())
    }

    pub(super) async fn read(&mut self, at_us: u64) -> Result<ServerCounters, String> {
        let Some(mut connection) = self.connection.take() else { return Err("not connected".to_owned()) };
        // After an error the connection is given up.
        let (info, keys_bytes) = ask(&mut connection, &self.keys).await.map_err(|error| error.to_string())?;
        self.connection = Some(connection);
        Ok(ServerCounters {
            at_us,
            keys_bytes: Some(keys_bytes),
            aof: AofSize::of(&info, at_us),
            ..ServerCounters::default()
        })
    }
}

/// INFO, and the memory of all keys together. A key that is not there yet takes none.
async fn ask(connection: &mut MultiplexedConnection, keys: &[String]) -> Result<(Info, u64), RedisError> {
    let mut pipeline = redis::pipe();
    pipeline.cmd("INFO").arg("persistence");
    for key in keys {
        // With the default number of samples this costs microseconds, however long the stream.
        pipeline.cmd("MEMORY").arg("USAGE").arg(key);
    }
    let mut replies: Vec<Value> = pipeline.query_async(connection).await?;
    let bytes: Vec<Option<u64>> = replies.drain(1..).map(from_redis_value).collect::<Result<_, _>>()?;
    let info: String = from_redis_value(replies.remove(0))?;
    Ok((Info::parse(&info), bytes.into_iter().flatten().sum()))
}

/// Growth of the append-only file from `start` to `end`, with `between` in the order of time. The end of a rewrite replaces
/// what was written by what is left of it, so the growth is summed up over the pieces of time without such an end. The other
/// pieces (a second each) are taken to have grown at the same rate, and a note says so; `None` when there are only such.
pub(super) fn aof_growth(start: AofSize, between: &[AofSize], end: AofSize, notes: &Notes) -> Option<u64> {
    let inside = between.iter().filter(|size| (start.at_us + 1..end.at_us).contains(&size.at_us));
    let sizes: Vec<&AofSize> = std::iter::once(&start).chain(inside).chain([&end]).collect();
    let (mut grown_bytes, mut covered_us) = (0, 0);
    for pair in sizes.windows(2) {
        if pair[0].rewritten_bytes == pair[1].rewritten_bytes
            && let Some(bytes) = pair[1].bytes.checked_sub(pair[0].bytes)
        {
            grown_bytes += bytes;
            covered_us += pair[1].at_us - pair[0].at_us;
        }
    }
    let window_us = end.at_us.saturating_sub(start.at_us);
    if covered_us == 0 {
        notes.add("the growth of the append-only file is not known", "it was rewritten all the time");
        return None;
    }
    if covered_us < window_us {
        notes.add(
            "the growth of the append-only file is counted in part",
            format!(
                "{:.1} of {:.1} s are counted, rewrites of the file ended in the others, which are taken to be alike",
                covered_us as f64 / 1e6,
                window_us as f64 / 1e6
            ),
        );
    }
    Some((grown_bytes as f64 * window_us as f64 / covered_us as f64).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(at_s: u64, bytes: u64, rewritten_bytes: u64) -> AofSize {
        AofSize { at_us: at_s * 1_000_000, bytes, rewritten_bytes }
    }

    #[test]
    fn a_rewrite_of_the_append_only_file_hides_no_growth() {
        let notes = Notes::default();
        let samples = [size(1, 7_777, 0), size(3, 1_100, 0), size(4, 1_200, 0), size(5, 90, 50), size(99, 7_777, 50)];
        let grown = aof_growth(size(2, 1_000, 0), &samples, size(6, 190, 50), &notes);
        assert_eq!(grown, Some(400), "100 bytes in each of three seconds, and the one with the rewrite like them");
        assert!(notes.sentences()[0].contains("3.0 of 4.0 s are counted"), "{:?}", notes.sentences());
    }

    #[test]
    fn without_a_rewrite_the_growth_is_the_difference() {
        let notes = Notes::default();
        assert_eq!(aof_growth(size(2, 1_000, 64), &[], size(6, 9_000, 64), &notes), Some(8_000));
        assert_eq!(notes.sentences(), Vec::<String>::new());
        assert_eq!(aof_growth(size(2, 1_000, 64), &[], size(6, 9_000, 65), &notes), None, "nothing can be said");
    }
}
