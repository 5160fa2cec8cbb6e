//! One line of `<run>_metrics.jsonl`: a completed delivery of the measured phase.

use serde::{Deserialize, Serialize};

/// Which part of the run a job was intended for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Before the measured window; never part of a reported figure.
    Warmup,
    /// Put into the queue before the measured window, for its workers to find; audited, and in no latency.
    Prefill,
    /// The measured window. A job belongs to the phase of its *intended* instant, however late it completes.
    Measured,
}

/// How a delivery ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The backend confirmed the ack: the lease still held.
    Acked,
    /// The work returned an error, and the backend confirmed that the job is settled as failed.
    Failed,
    /// The work panicked, and the backend confirmed that the job is settled as failed.
    Panicked,
    /// The work ended, but the lease had passed to somebody else before the ack arrived.
    Stale,
    /// The work ended, and the ack never got an answer: it may have happened or not. `acked_us` is when that was given up.
    Unknown,
}

/// A job's way through the system, as one line of `<run>_metrics.jsonl`.
///
/// The eight instants are microseconds since the start of the run on the harness's monotonic clock (METHODOLOGY M1) and
/// never decrease from left to right, so the seven stages between them add up to `acked_us - intended_us`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRecord {
    /// Dense sequence number of the job within the run, counted from 0 over all phases.
    pub job: u64,
    /// Worker that completed this delivery, counted from 0.
    pub worker: u32,
    /// Delivery count as the backend tells it; 1 is the first delivery, more is a redelivery.
    pub attempt: u32,
    /// When the schedule wanted the job sent.
    pub intended_us: u64,
    /// When the pacer released the job to the producers; when it was sent, where there is no schedule. 0 in files of writers that
    /// did not know it.
    #[serde(default)]
    pub released_us: u64,
    /// When a producer handed the job to the backend.
    pub sent_us: u64,
    /// When the backend confirmed the enqueue, or when a worker claimed the job if that was seen first: a job that
    /// was claimed had been enqueued, even where the confirmation was still on its way to the producer.
    pub enqueued_us: u64,
    /// When the claim that contained the job returned to the worker.
    pub claimed_us: u64,
    /// When the work began.
    pub started_us: u64,
    /// When the work ended.
    pub finished_us: u64,
    /// When the backend confirmed the ack.
    pub acked_us: u64,
    /// Phase that the job belongs to.
    pub phase: Phase,
    /// How the delivery ended.
    pub outcome: Outcome,
}

/// The latency stages of a job, in the order in which they add up, after the two that are sums of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// `acked - intended`: the headline latency, and the sum of all the others.
    EndToEnd,
    /// `sent - intended`: the sum of the two that follow.
    ScheduleLag,
    /// `released - intended`: how late pacer and machine were (METHODOLOGY L9).
    ReleaseLag,
    /// `sent - released`: the wait for a free producer, which is the queue's back-pressure or too few producers.
    ProducerWait,
    /// `enqueued - sent`.
    EnqueueTime,
    /// `claimed - enqueued`.
    QueueWait,
    /// `started - claimed`.
    LocalWait,
    /// `finished - started`.
    WorkTime,
    /// `acked - finished`.
    AckTime,
}

impl Stage {
    /// Every stage, the sums first.
    pub const ALL: [Stage; 9] = [
        Stage::EndToEnd,
        Stage::ScheduleLag,
        Stage::ReleaseLag,
        Stage::ProducerWait,
        Stage::EnqueueTime,
        Stage::QueueWait,
        Stage::LocalWait,
        Stage::WorkTime,
        Stage::AckTime,
    ];

    /// The stage's name as in `result.json`, without its unit.
    pub fn name(self) -> &'static str {
        match self {
            Stage::EndToEnd => "end_to_end",
            Stage::ScheduleLag => "schedule_lag",
            Stage::ReleaseLag => "release_lag",
            Stage::ProducerWait => "producer_wait",
            Stage::EnqueueTime => "enqueue_time",
            Stage::QueueWait => "queue_wait",
            Stage::LocalWait => "local_wait",
            Stage::WorkTime => "work_time",
            Stage::AckTime => "ack_time",
        }
    }
}

impl JobRecord {
    /// Reads one line. What this program writes has its keys in one order, and is read several times as fast as any JSON; everything else is
    /// read as JSON.
    ///
    /// # Errors
    /// When it is not a record.
    pub fn parse(line: &[u8]) -> Result<Self, serde_json::Error> {
        Self::parse_as_written(line).map_or_else(|| serde_json::from_slice(line), Ok)
    }

    /// `None` for whatever is not, to the letter, a line of this program.
    fn parse_as_written(line: &[u8]) -> Option<Self> {
        let rest = &mut &*line;
        let record = JobRecord {
            job: number_after(rest, b"{\"job\":")?,
            worker: number_after(rest, b",\"worker\":")?.try_into().ok()?,
            attempt: number_after(rest, b",\"attempt\":")?.try_into().ok()?,
            intended_us: number_after(rest, b",\"intended_us\":")?,
            released_us: number_after(rest, b",\"released_us\":")?,
            sent_us: number_after(rest, b",\"sent_us\":")?,
            enqueued_us: number_after(rest, b",\"enqueued_us\":")?,
            claimed_us: number_after(rest, b",\"claimed_us\":")?,
            started_us: number_after(rest, b",\"started_us\":")?,
            finished_us: number_after(rest, b",\"finished_us\":")?,
            acked_us: number_after(rest, b",\"acked_us\":")?,
            phase: match word_after(rest, b",\"phase\":\"")? {
                b"measured" => Phase::Measured,
                b"warmup" => Phase::Warmup,
                b"prefill" => Phase::Prefill,
                _ => return None,
            },
            outcome: match word_after(rest, b",\"outcome\":\"")? {
                b"acked" => Outcome::Acked,
                b"failed" => Outcome::Failed,
                b"panicked" => Outcome::Panicked,
                b"stale" => Outcome::Stale,
                b"unknown" => Outcome::Unknown,
                _ => return None,
            },
        };
        matches!(*rest, b"}" | b"}\n").then_some(record)
    }

    /// Length of one stage in microseconds; zero where a damaged record would make it negative.
    pub fn stage_us(&self, stage: Stage) -> u64 {
        let (from, to) = match stage {
            Stage::EndToEnd => (self.intended_us, self.acked_us),
            Stage::ScheduleLag => (self.intended_us, self.sent_us),
            Stage::ReleaseLag => (self.intended_us, self.released_or_sent_us()),
            Stage::ProducerWait => (self.released_or_sent_us(), self.sent_us),
            Stage::EnqueueTime => (self.sent_us, self.enqueued_us),
            Stage::QueueWait => (self.enqueued_us, self.claimed_us),
            Stage::LocalWait => (self.claimed_us, self.started_us),
            Stage::WorkTime => (self.started_us, self.finished_us),
            Stage::AckTime => (self.finished_us, self.acked_us),
        };
        to.saturating_sub(from)
    }

    /// An older writer did not tell the two apart: then all of the lag was called the generator's.
    fn released_or_sent_us(&self) -> u64 {
        if self.released_us == 0 { self.sent_us } else { self.released_us }
    }
}

/// The digits behind `key`, as a number. `None` where there is another key, no digit, or a number as JSON does not write it.
fn number_after(rest: &mut &[u8], key: &[u8]) -> Option<u64> {
    let text = rest.strip_prefix(key)?;
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 || (digits > 1 && text[0] == b'0') {
        return None;
    }
    let add = |number: u64, digit: &u8| number.checked_mul(10)?.checked_add(u64::from(digit - b'0'));
    let number = text[..digits].iter().try_fold(0, add)?;
    *rest = &text[digits..];
    Some(number)
}

/// What stands between `key`, which ends with a quotation mark, and the next one.
fn word_after<'a>(rest: &mut &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let text = rest.strip_prefix(key)?;
    let end = text.iter().position(|byte| *byte == b'"')?;
    *rest = &text[end + 1..];
    Some(&text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> JobRecord {
        JobRecord {
            job: 0,
            worker: u32::MAX,
            attempt: 1,
            intended_us: u64::MAX,
            released_us: 0,
            sent_us: 12,
            enqueued_us: 345,
            claimed_us: 6_789,
            started_us: 10_000,
            finished_us: 20_000,
            acked_us: 20_001,
            phase: Phase::Measured,
            outcome: Outcome::Acked,
        }
    }

    #[test]
    fn a_line_reads_the_same_with_and_without_a_parser() {
        for phase in [Phase::Warmup, Phase::Prefill, Phase::Measured] {
            for outcome in [Outcome::Acked, Outcome::Failed, Outcome::Panicked, Outcome::Stale, Outcome::Unknown] {
                let record = JobRecord { phase, outcome, ..record() };
                let mut line = serde_json::to_vec(&record).unwrap();
                assert_eq!(JobRecord::parse_as_written(&line), Some(record), "without a newline");
                line.push(b'\n');
                assert_eq!(JobRecord::parse_as_written(&line), Some(record));
                assert_eq!(serde_json::from_slice::<JobRecord>(&line).unwrap(), record);
            }
        }
    }

    #[test]
    fn what_others_wrote_is_read_as_json_and_what_is_no_record_is_refused() {
        let line = serde_json::to_string(&record()).unwrap();
        let older = line.replace("\"released_us\":0,", "");
        let spaced = line.replace(',', ", ");
        for other in [&older, &spaced] {
            assert_eq!(JobRecord::parse_as_written(other.as_bytes()), None);
            assert_eq!(JobRecord::parse(other.as_bytes()).unwrap(), record());
        }
        let longer = line.replace("18446744073709551615", "184467440737095516150");
        let leading = line.replace("\"sent_us\":12", "\"sent_us\":012");
        let behind = format!("{line}x");
        for wrong in
            [&longer, &leading, &behind, &line[..line.len() - 1].to_owned(), &line.replace("acked\"", "done\"")]
        {
            assert!(JobRecord::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
