//! Notifications that no statement carries: at most one per interval, for all producers and workers of an opened backend together.
//!
//! The first job after a pause is told of at once. What comes within the interval after it is told of together at its end, so that
//! nothing stays untold when the load stops. River limits its notifications likewise (its package `notifylimiter`), but drops
//! those in between. Here no transaction of a job has the lock that NOTIFY takes: this session's have nothing to flush.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::{ConnectOptions, SqlStr};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::listener::ChannelSession;
use crate::claimer::Shares;
use crate::counters::ClientCounters;
use crate::sync::lock;

/// Pause after a notification that could not be sent.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// A notification alone. Takes channel and payload.
pub(super) const NOTIFY: SqlStr = SqlStr::from_static("SELECT pg_notify($1, $2)");

/// Who tells waiting consumers of new jobs.
pub(super) enum Notifying {
    /// Nobody: they look by themselves.
    Nobody,
    /// The statement that makes them, which is counted.
    EachStatement(ClientCounters),
    /// Somebody else, now and then.
    Limited(Box<Notifier>),
}

/// The notifier of one opened backend. Its connection is opened for the first job, and closed when this is dropped.
pub(super) struct Notifier {
    limit: Duration,
    owed: Arc<Owed>,
    sender: ChannelSession,
    counters: ClientCounters,
    running: Mutex<JoinSet<()>>,
}

/// Jobs that nobody was told of yet.
#[derive(Default)]
struct Owed {
    shares: Mutex<Shares>,
    more: Notify,
}

impl Notifier {
    /// At most one notification per `limit`, sent by `sender` and counted in `counters`.
    pub(super) fn new(limit: Duration, sender: ChannelSession, counters: ClientCounters) -> Self {
        Notifier { limit, owed: Arc::default(), sender, counters, running: Mutex::default() }
    }

    /// These jobs are ready: waiting consumers will be told.
    pub(super) fn owe(&self, shares: Shares) {
        lock(&self.owed.shares).add_all(shares);
        self.owed.more.notify_one();
        let mut running = lock(&self.running);
        // One that ended, for whatever reason, is replaced.
        while running.try_join_next().is_some() {}
        if running.is_empty() {
            let line = Session { sender: self.sender.clone(), connection: None, counters: self.counters.clone() };
            running.spawn(tell(Arc::clone(&self.owed), self.limit, line));
        }
    }
}

/// Where notifications go.
trait Line: Send {
    /// Sends one; false when it may not have arrived.
    fn send(&mut self, payload: &str) -> impl Future<Output = bool> + Send;
}

/// Tells of what is owed, for ever.
async fn tell(owed: Arc<Owed>, limit: Duration, mut line: impl Line) {
    loop {
        owed.more.notified().await;
        let shares = std::mem::take(&mut *lock(&owed.shares));
        if shares.is_empty() {
            continue;
        }
        if line.send(&shares.payload()).await {
            sleep(limit).await;
        } else {
            // Told twice is better than never: a consumer that looks in vain finds that out.
            lock(&owed.shares).add_all(shares);
            owed.more.notify_one();
            sleep(RETRY_PAUSE).await;
        }
    }
}

/// The connection on which they are sent.
struct Session {
    sender: ChannelSession,
    connection: Option<PgConnection>,
    counters: ClientCounters,
}

impl Line for Session {
    async fn send(&mut self, payload: &str) -> bool {
        let sending = async {
            let mut connection = match self.connection.take() {
                Some(connection) => connection,
                None => self.sender.session.connect().await?,
            };
            sqlx::query(NOTIFY).bind(&self.sender.channel).bind(payload).execute(&mut connection).await?;
            Ok::<_, sqlx::Error>(connection)
        };
        match timeout(self.sender.limit, sending).await {
            Ok(Ok(connection)) => {
                self.connection = Some(connection);
                self.counters.notification_sent();
                return true;
            }
            Ok(Err(error)) => {
                tracing::debug!(server = self.sender.place, %error, "a notification could not be sent yet")
            }
            Err(_) => tracing::debug!(server = self.sender.place, "a notification got no answer"),
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::claimer::ANYWHERE;

    /// Writes down what was sent when, and fails as often as it is told.
    struct Written {
        begin: Instant,
        failures: usize,
        sent: Arc<Mutex<Vec<(u128, String)>>>,
    }

    impl Line for Written {
        async fn send(&mut self, payload: &str) -> bool {
            if self.failures > 0 {
                self.failures -= 1;
                return false;
            }
            lock(&self.sent).push((self.begin.elapsed().as_millis(), payload.to_owned()));
            true
        }
    }

    /// What is sent when a job becomes ready at each of these milliseconds, with a limit of 100 ms.
    async fn sent(failures: usize, at_ms: &[u64]) -> Vec<(u128, String)> {
        let (owed, sent) = (Arc::<Owed>::default(), Arc::default());
        let begin = Instant::now();
        let line = Written { begin, failures, sent: Arc::clone(&sent) };
        let task = tokio::spawn(tell(Arc::clone(&owed), Duration::from_millis(100), line));
        for at_ms in at_ms {
            tokio::time::sleep_until(begin + Duration::from_millis(*at_ms)).await;
            lock(&owed.shares).add_all(Shares::at(ANYWHERE, 1));
            owed.more.notify_one();
        }
        sleep(Duration::from_secs(10)).await;
        task.abort();
        std::mem::take(&mut *lock(&sent))
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_job_is_told_of_at_once_and_the_rest_of_the_interval_together() {
        let sent = sent(0, &[0, 10, 20, 90, 150, 500]).await;
        let expected = [(0, "1"), (100, "3"), (200, "1"), (500, "1")].map(|(at_ms, told)| (at_ms, told.to_owned()));
        assert_eq!(sent, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn what_could_not_be_sent_is_still_owed() {
        let sent = sent(2, &[0, 10]).await;
        assert_eq!(sent, [(400, "2".to_owned())]);
    }
}
