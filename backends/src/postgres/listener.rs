//! The connection on which notifications arrive.

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::claimer::{Announcements, Shares};
use crate::counters::ClientCounters;
use crate::error::Result;
use crate::postgres::failure;
use crate::postgres::trouble::Trouble;
use crate::sync::lock;

/// Pause between two attempts to connect anew.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// The listener of one opened backend: there while a consumer is there.
#[derive(Default)]
pub(super) struct Listening {
    announcements: Arc<Announcements>,
    current: Mutex<Weak<Listener>>,
    /// Held while one is being opened, so that there is one.
    opening: tokio::sync::Mutex<()>,
}

impl Listening {
    /// What the listener tells of announced jobs.
    pub(super) fn announcements(&self) -> &Arc<Announcements> {
        &self.announcements
    }

    /// The listener that is there.
    pub(super) fn current(&self) -> Option<Arc<Listener>> {
        lock(&self.current).upgrade()
    }

    /// The listener that is there, or a new one: when this returns, no later notification is missed.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Connect`].
    pub(super) async fn listener(&self, session: ChannelSession, counts: ClientCounters) -> Result<Arc<Listener>> {
        let _alone = self.opening.lock().await;
        if let Some(listener) = self.current() {
            return Ok(listener);
        }
        let connection = session.connect().await?;
        // Whatever was announced while nobody listened.
        self.announcements.doubt();
        let attending = attend(session, connection, Arc::clone(&self.announcements), counts);
        let mut listener = Listener::new();
        listener.spawn(attending);
        let listener = Arc::new(listener);
        *lock(&self.current) = Arc::downgrade(&listener);
        Ok(listener)
    }
}

/// A task that listens until this is dropped.
pub(super) type Listener = JoinSet<()>;

/// What it takes to listen on a channel, or to notify there.
#[derive(Clone)]
pub(super) struct ChannelSession {
    pub(super) session: PgConnectOptions,
    pub(super) channel: String,
    pub(super) limit: Duration,
    /// The server for people.
    pub(super) place: String,
}

impl ChannelSession {
    /// Connects and listens.
    async fn connect(&self) -> Result<PgListener> {
        let listening = async {
            // The driver listens on connections of a pool only; this pool has one, and gives it to nobody else.
            let pool = PgPoolOptions::new()
                .max_connections(1)
                .acquire_timeout(self.limit)
                .idle_timeout(None)
                .max_lifetime(None)
                .connect_lazy_with(self.session.clone());
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.ignore_pool_close_event(true);
            // A lost connection is told at once, and replaced here: meanwhile notifications are missed.
            listener.eager_reconnect(false);
            listener.listen(&self.channel).await?;
            Ok::<_, sqlx::Error>(listener)
        };
        match timeout(self.limit, listening).await {
            Ok(Ok(listener)) => Ok(listener),
            Ok(Err(error)) => Err(failure::of_connecting(&self.place, &Trouble::from(error))),
            Err(_) => Err(failure::of_connecting_timeout(&self.place, self.limit)),
        }
    }
}

/// Hands on what `connection` hears, and replaces it whenever it is lost.
async fn attend(
    session: ChannelSession,
    mut connection: PgListener,
    announcements: Arc<Announcements>,
    counts: ClientCounters,
) {
    loop {
        hear(&mut connection, &announcements, &counts).await;
        tracing::warn!(
            server = session.place,
            "the listener's connection was lost; until it is back, workers look by the poll interval"
        );
        connection = loop {
            match session.connect().await {
                Ok(connection) => break connection,
                Err(error) => tracing::debug!(%error, "the listener cannot connect yet"),
            }
            sleep(RETRY_PAUSE).await;
        };
        counts.listener_reconnect();
        // What was announced in between was not heard, and whatever was committed before now a look will find.
        announcements.doubt();
    }
}

/// Returns when the connection is lost.
async fn hear(connection: &mut PgListener, announcements: &Arc<Announcements>, counts: &ClientCounters) {
    while let Ok(Some(notification)) = connection.try_recv().await {
        counts.notification_received();
        match Shares::of_payload(notification.payload()) {
            Some(shares) => announcements.announce(shares),
            // Somebody else's: there may be work or not.
            None => announcements.doubt(),
        }
    }
}
