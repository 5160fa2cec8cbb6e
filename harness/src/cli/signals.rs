//! Ctrl-C: the first one stops gracefully, the second one at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Listens for SIGINT and SIGTERM for as long as a command runs.
pub struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
    /// Set by the first signal.
    pub flag: Arc<AtomicBool>,
}

impl Interrupts {
    /// Starts listening.
    ///
    /// # Errors
    /// When the system refuses a signal handler.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Interrupts {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            flag: Arc::new(AtomicBool::new(false)),
        })
    }

    /// Returns at the first signal.
    pub async fn first(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// Sets the flag at the first signal; returns at the second.
    pub async fn second(&mut self, first: impl FnOnce()) {
        self.first().await;
        self.flag.store(true, Ordering::Release);
        first();
        self.first().await;
    }
}
