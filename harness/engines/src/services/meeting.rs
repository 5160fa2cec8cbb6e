//! Where the shards of one run meet: on the server that all of them use. It keeps strangers out as a lock does ([`super::lock`]), lets the shards of
//! one run in together, says how far each of them is, and has a clock that all of them can ask. How a product does that stands in its room.

use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;
use qbench_backends::ServerUrl;
use qbench_schema::shard::ShardNumber;

use super::error::Error;
use super::lock::ANSWER_LIMIT;

/// Who comes to a meeting.
#[derive(Debug, Clone)]
pub struct Party {
    /// What the shards of this run have in common, and no others.
    pub run_key: String,
    /// Which of them this one is.
    pub shard: ShardNumber,
}

/// How far a shard is. Each stage comes after the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// It is there.
    Joined,
    /// The queue that all shards work on stands; of the first shard, which makes it.
    QueueStands,
    /// Everything is open, and nothing has been sent.
    Ready,
    /// Every job of the warm-up was sent and answered.
    WarmedUp,
    /// Every job was sent and answered.
    Sent,
    /// It has no more business with the queue.
    Left,
}

impl Stage {
    const ALL: [Stage; 6] =
        [Stage::Joined, Stage::QueueStands, Stage::Ready, Stage::WarmedUp, Stage::Sent, Stage::Left];

    fn word(self) -> &'static str {
        match self {
            Stage::Joined => "joined",
            Stage::QueueStands => "queue_stands",
            Stage::Ready => "ready",
            Stage::WarmedUp => "warmed_up",
            Stage::Sent => "sent",
            Stage::Left => "left",
        }
    }
}

/// The word that the server keeps.
impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Stage {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Stage::ALL
            .into_iter()
            .find(|stage| stage.word() == word)
            .ok_or_else(|| format!("`{word}` is no stage of a shard"))
    }
}

/// A shard's seat at a meeting. Dropping it leaves sooner or later; [`Meeting::leave`] does it at once.
#[async_trait]
pub trait Meeting: Send + Sync {
    /// Tells the others how far this shard is.
    ///
    /// # Errors
    /// What the server or its driver said.
    async fn announce(&mut self, stage: Stage) -> Result<(), String>;

    /// How far each of them is, by its number; `None` for one that is not there, or not any more.
    ///
    /// # Errors
    /// As [`Meeting::announce`].
    async fn stages(&mut self) -> Result<Vec<Option<Stage>>, String>;

    /// What the server's clock shows, in microseconds since 1970.
    ///
    /// # Errors
    /// As [`Meeting::announce`].
    async fn server_us(&mut self) -> Result<i64, String>;

    /// Leaves.
    async fn leave(self: Box<Self>);
}

/// What came of trying to join.
pub enum Joined {
    /// A seat.
    Seat(Box<dyn Meeting>),
    /// Somebody else works on the server, or is this very shard: who that is.
    Other(String),
}

/// Takes this shard's seat on the server at `url`.
///
/// # Errors
/// [`Error::Busy`] when another run works there, or this very shard, [`Error::Refused`] when the server does not answer: without the others there is
/// no run.
pub(crate) async fn join(
    url: &ServerUrl,
    party: &Party,
    attempt: impl Future<Output = Result<Joined, String>>,
) -> Result<Box<dyn Meeting>, Error> {
    let trouble = match tokio::time::timeout(ANSWER_LIMIT, attempt).await {
        Ok(Ok(Joined::Seat(seat))) => return Ok(seat),
        Ok(Ok(Joined::Other(holder))) => {
            return Err(Error::Busy(format!(
                "shard {} cannot join its run on {url}, where somebody works already ({holder}): give all shards of a run the same settings, seed and \
                 --start-at, start each of them once, and leave the server to them",
                party.shard
            )));
        }
        Ok(Err(error)) => error,
        Err(_) => format!("no answer within {} s", ANSWER_LIMIT.as_secs()),
    };
    Err(Error::Refused { attempted: format!("meet the other shards on {url}"), message: trouble })
}

/// The stages in `told` (number of a shard, counted from 1, and its word) by number.
///
/// # Errors
/// For a word that is none.
pub(crate) fn by_number(of: u32, told: impl IntoIterator<Item = (u32, String)>) -> Result<Vec<Option<Stage>>, String> {
    let mut stages = vec![None; of as usize];
    for (number, word) in told {
        if let Some(place) = (number as usize).checked_sub(1).and_then(|place| stages.get_mut(place)) {
            *place = Some(word.parse()?);
        }
    }
    Ok(stages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_read_as_it_is_written_and_each_comes_after_the_one_before() {
        for stage in Stage::ALL {
            assert_eq!(stage.to_string().parse::<Stage>(), Ok(stage));
        }
        assert!(Stage::ALL.is_sorted());
        assert!("reddy".parse::<Stage>().is_err());
    }

    #[test]
    fn who_is_not_there_has_no_stage() {
        let told = [(3, "sent".to_owned()), (1, "ready".to_owned()), (9, "ready".to_owned())];
        assert_eq!(by_number(3, told), Ok(vec![Some(Stage::Ready), None, Some(Stage::Sent)]));
        assert!(by_number(1, [(1, "asleep".to_owned())]).is_err());
    }
}
