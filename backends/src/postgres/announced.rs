//! Statements that make jobs ready, and tell waiting consumers so by LISTEN / NOTIFY.
//!
//! Such a statement says in its own transaction how many jobs there are ([`AnnouncedStatement`]). One listener per opened
//! backend hears it on a connection of its own ([`super::listener`]) and wakes as many sleeping consumers as the jobs need
//! ([`crate::claimer::Announcements`]).
//!
//! NOTIFY takes a lock on the whole database when its transaction commits, and holds it over the flush of the WAL: commits
//! that notify stand in line. So there is one notification per batch, and none where nobody asked for them. With a limit the
//! statements do not notify at all, and somebody else tells of many of them at once ([`super::notifier`]).

use qbench_schema::sql::{self, SqlFile};
use sqlx::SqlStr;

use crate::claimer::{ANYWHERE, Shares};
use crate::error::Result;
use crate::postgres::arguments::Arguments;
use crate::postgres::connection::Link;
use crate::postgres::notifier::{NOTIFY, Notifying};
use crate::postgres::settings::Settings;
use crate::postgres::sql_texts::{SqlTexts, prepared};

/// Tells waiting consumers, where they wait to be told, of one job that no statement made ready: a rollback did.
pub(super) struct NotifyOne;

impl NotifyOne {
    /// Tells them. A notification that fails is no failure of what made the job ready: the fallback finds it.
    pub(super) async fn run(link: &mut Link) {
        let settings = link.settings();
        let one = Shares::at(ANYWHERE, 1);
        match &settings.notifying {
            Notifying::Nobody => {}
            Notifying::Limited(notifier) => notifier.owe(one),
            Notifying::EachStatement(counters) => {
                let payload = one.payload();
                if link.run("notify", &NOTIFY, (settings.channel(), payload.as_str()), |_| Ok(())).await.is_ok() {
                    counters.notification_sent();
                }
            }
        }
    }
}

/// A statement that makes jobs ready, and says so where consumers wait to be told.
pub(super) struct AnnouncedStatement {
    statement: SqlStr,
    /// Whether it returns what there is to be told.
    is_told: bool,
}

impl AnnouncedStatement {
    /// Statement `name` of `file`, one INSERT or UPDATE without RETURNING that makes jobs ready.
    pub(super) fn named(texts: &SqlTexts<'_>, file: SqlFile, name: &str) -> Self {
        AnnouncedStatement::new(texts.settings(), &texts.get(file, name))
    }

    /// `change` is one INSERT or UPDATE without RETURNING.
    pub(super) fn new(settings: &Settings, change: &SqlStr) -> Self {
        let tell = match &settings.notifying {
            Notifying::Nobody => return AnnouncedStatement { statement: change.clone(), is_told: false },
            Notifying::EachStatement(_) => "tell_now",
            Notifying::Limited(_) => "tell_later",
        };
        let texts = SqlTexts::new(settings);
        let tell = texts.filled(sql::QUEUE, tell, &[("{channel}", settings.channel())]);
        let change = change.as_str().trim_end().trim_end_matches(';');
        let statement = prepared(texts.filled(sql::QUEUE, "announce", &[("{change}", change), ("{tell}", &tell)]));
        AnnouncedStatement { statement, is_told: true }
    }

    /// Runs it and returns how many jobs it made ready.
    pub(super) async fn run(
        &self,
        link: &mut Link,
        what: &'static str,
        arguments: impl Arguments + Send,
    ) -> Result<u64> {
        if !self.is_told {
            return link.run(what, &self.statement, arguments, |_| Ok(())).await;
        }
        let settings = link.settings();
        let (mut jobs, mut told) = (0, String::new());
        let is_owed = matches!(settings.notifying, Notifying::Limited(_));
        link.run(what, &self.statement, arguments, |row| {
            jobs = row.get::<i64>(0)?.unsigned_abs();
            if is_owed {
                told = row.get(1)?;
            }
            Ok(())
        })
        .await?;
        if jobs > 0 {
            match &settings.notifying {
                Notifying::Nobody => {}
                Notifying::EachStatement(counters) => counters.notification_sent(),
                // It was written by our own statement, so it can be read.
                Notifying::Limited(notifier) => notifier.owe(Shares::of_payload(&told).unwrap_or_default()),
            }
        }
        Ok(jobs)
    }
}
