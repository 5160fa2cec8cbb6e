//! `<run>_valkey_stats.csv`: Valkey (or Redis) about itself, a row per tick, in one round trip over a connection of its own.

use std::collections::HashMap;

use async_trait::async_trait;
use qbench_schema::server_stats::ValkeyStatsRow;
use redis::aio::MultiplexedConnection;
use redis::{RedisError, Value, from_redis_value};

use super::info::{Info, connect};
use crate::monitor::rows::two_digits;
use crate::monitor::server::{LogSize, Sampler, SamplerContext, ServerFindings};
use crate::monitor::totals::Totals;

/// Shortest time over which the main thread's CPU is worth a percentage.
const SHORTEST_SPAN_US: u64 = 50_000;

/// Sections of INFO that a row is made of.
const SECTIONS: [&str; 6] = ["clients", "memory", "persistence", "stats", "cpu", "commandstats"];

/// Samples a Valkey server. Of the backend's keys, those that are streams are watched. The server has one main thread; whatever
/// blocks it blocks our question as well.
pub(super) struct ValkeySampler {
    context: SamplerContext,
    connection: Option<MultiplexedConnection>,
    totals: Totals,
    /// Instant and main-thread CPU of the previous sample.
    last_cpu: Option<(u64, f64)>,
    log: Vec<LogSize>,
}

#[async_trait]
impl Sampler for ValkeySampler {
    async fn sample(&mut self) {
        if self.connection.is_none() {
            match connect(&self.context.url).await {
                Ok(connection) => self.connection = Some(connection),
                Err(error) => {
                    self.context.notes.add("connect the Valkey monitor", format!("{}: {error}", self.context.url));
                    return;
                }
            }
        }
        let Some(connection) = &mut self.connection else { return };
        let at_us = self.context.clock.now_us();
        match ask(connection, &self.context.objects).await {
            Ok(answer) => {
                self.log.extend(answer.info.log_size(at_us));
                let row = self.row(at_us, &answer);
                self.context.file.append(&row);
            }
            Err(error) => {
                self.context.notes.add("sample Valkey's statistics, the row is left out", error);
                self.connection = None;
            }
        }
    }

    fn findings(&mut self) -> ServerFindings {
        ServerFindings { deadlocks: None, log: std::mem::take(&mut self.log) }
    }
}

impl ValkeySampler {
    /// The first sample connects.
    pub(super) fn new(context: SamplerContext) -> Self {
        ValkeySampler { context, connection: None, totals: Totals::default(), last_cpu: None, log: Vec::new() }
    }

    fn row(&mut self, at_us: u64, answer: &Answer) -> ValkeyStatsRow {
        let info = &answer.info;
        let mut calls = |name: &'static str, command: &str| self.totals.total(name, info.command(command, "calls"));
        let [xadd_calls_total, xreadgroup_calls_total, xack_calls_total, xdel_calls_total, xautoclaim_calls_total] = [
            calls("xadd_calls", "xadd"),
            calls("xreadgroup_calls", "xreadgroup"),
            calls("xack_calls", "xack"),
            calls("xdel_calls", "xdel"),
            calls("xautoclaim_calls", "xautoclaim"),
        ];
        let mut used_us = |name: &'static str, command: &str| self.totals.total(name, info.command(command, "usec"));
        let [xadd_us_total, xreadgroup_us_total, xack_us_total, xdel_us_total] = [
            used_us("xadd_us", "xadd"),
            used_us("xreadgroup_us", "xreadgroup"),
            used_us("xack_us", "xack"),
            used_us("xdel_us", "xdel"),
        ];
        ValkeyStatsRow {
            at_us,
            stream_length: answer.stream.map(|stream| stream.length),
            pending: answer.stream.map(|stream| stream.pending),
            used_memory_bytes: info.count("used_memory"),
            rss_bytes: info.count("used_memory_rss"),
            stream_bytes: answer.stream.map(|stream| stream.bytes),
            ops_s: info.count("instantaneous_ops_per_sec"),
            commands_total: self.totals.total("commands", info.count("total_commands_processed")),
            clients: info.count("connected_clients"),
            blocked_clients: info.count("blocked_clients"),
            cpu_main_thread_pct: self.main_thread_pct(at_us, info),
            aof_bytes: (info.count("aof_enabled") == 1).then(|| info.count("aof_current_size")),
            xadd_calls_total,
            xadd_us_total,
            xreadgroup_calls_total,
            xreadgroup_us_total,
            xack_calls_total,
            xack_us_total,
            xdel_calls_total,
            xdel_us_total,
            xautoclaim_calls_total,
        }
    }

    /// CPU of the main thread since the previous sample; empty for the first one, for one that follows so soon that it
    /// would mostly show the cost of being asked (the last one of a run), and where the server does not tell.
    fn main_thread_pct(&mut self, at_us: u64, info: &Info) -> Option<f64> {
        let cpu_s = info.get::<f64>("used_cpu_sys_main_thread")? + info.get::<f64>("used_cpu_user_main_thread")?;
        let Some((last_us, last_s)) = self.last_cpu else {
            self.last_cpu = Some((at_us, cpu_s));
            return None;
        };
        let elapsed_us = at_us.saturating_sub(last_us);
        if elapsed_us < SHORTEST_SPAN_US {
            return None;
        }
        self.last_cpu = Some((at_us, cpu_s));
        // A restarted server starts again at zero; that one sample tells nothing.
        (cpu_s >= last_s).then(|| two_digits(100.0 * (cpu_s - last_s) * 1e6 / elapsed_us as f64))
    }
}

/// What the server said to one sample.
struct Answer {
    info: Info,
    /// Empty when none of the keys is a stream.
    stream: Option<StreamUse>,
}

/// The streams among the keys, added up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct StreamUse {
    length: u64,
    pending: u64,
    bytes: u64,
}

/// One pipeline: INFO, and length, groups and memory of every key. A key that is no stream, or not there yet, answers
/// with an error of its own, which says just that.
async fn ask(connection: &mut MultiplexedConnection, keys: &[String]) -> Result<Answer, RedisError> {
    let mut pipeline = redis::pipe();
    pipeline.ignore_errors();
    pipeline.cmd("INFO").arg(&SECTIONS[..]);
    for key in keys {
        pipeline.cmd("XLEN").arg(key);
        pipeline.cmd("XINFO").arg("GROUPS").arg(key);
        // With the default number of samples this costs microseconds, however long the stream.
        pipeline.cmd("MEMORY").arg("USAGE").arg(key);
    }
    let replies: Vec<Result<Value, RedisError>> = pipeline.query_async(connection).await?;
    let mut replies = replies.into_iter();
    let info: String = from_redis_value(replies.next().unwrap_or(Ok(Value::Nil))?)?;
    let mut stream = None;
    while let (Some(length), Some(groups), Some(bytes)) = (replies.next(), replies.next(), replies.next()) {
        let (Ok(length), Ok(groups), Ok(bytes)) = (length, groups, bytes) else { continue };
        let sum: &mut StreamUse = stream.get_or_insert_default();
        sum.length += from_redis_value::<u64>(length)?;
        sum.bytes += from_redis_value::<Option<u64>>(bytes)?.unwrap_or(0);
        for group in from_redis_value::<Vec<HashMap<String, Value>>>(groups)? {
            if let Some(pending) = group.get("pending") {
                sum.pending += from_redis_value::<u64>(pending.clone())?;
            }
        }
    }
    Ok(Answer { info: Info::parse(&info), stream })
}
