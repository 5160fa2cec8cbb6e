//! Statements that make jobs ready, and tell waiting consumers so by LISTEN / NOTIFY.
//!
//! Such a statement says in its own transaction how many jobs there are ([`AnnouncedStatement`]). One listener per opened
//! backend hears it on a connection of its own ([`super::listener`]) and wakes as many sleeping consumers as the jobs need
//! ([`crate::claimer::Announcements`]).
//!
//! NOTIFY takes a lock on the whole database when its transaction commits, and holds it over the flush of the WAL: commits
//! that notify stand in line. So there is one notification per batch, and none where nobody asked for them.

use qbench_schema::sql::{self, SqlFile};
use sqlx::SqlStr;

use crate::counters::ClientCounters;
use crate::error::Result;
use crate::postgres::arguments::Arguments;
use crate::postgres::connection::Link;
use crate::postgres::settings::Settings;
use crate::postgres::sql_texts::{SqlTexts, prepared};

/// Tells waiting consumers, where they wait to be told, of one job that no statement made ready: a rollback did.
pub(super) struct NotifyOne(Option<(SqlStr, ClientCounters)>);

impl NotifyOne {
    pub(super) fn new(settings: &Settings) -> Self {
        let text = || SqlTexts::new(settings).filled(sql::QUEUE, "ring", &[("{channel}", settings.channel())]);
        NotifyOne(settings.notifying().map(|counters| (prepared(text()), counters)))
    }

    /// Tells them. A notification that fails is no failure of what made the job ready: the fallback finds it.
    pub(super) async fn run(&self, link: &mut Link) {
        if let Some((statement, counters)) = &self.0
            && link.run("notify", statement, (), |_| Ok(())).await.is_ok()
        {
            counters.notification_sent();
        }
    }
}

/// A statement that makes jobs ready, and says so in the same transaction where consumers wait to be told.
pub(super) struct AnnouncedStatement {
    statement: SqlStr,
    /// Where the notification is counted; `None` where there is none.
    notifying: Option<ClientCounters>,
}

impl AnnouncedStatement {
    /// Statement `name` of `file`, one INSERT or UPDATE without RETURNING that makes jobs ready.
    pub(super) fn named(texts: &SqlTexts<'_>, file: SqlFile, name: &str) -> Self {
        AnnouncedStatement::new(texts.settings(), &texts.get(file, name))
    }

    /// `change` is one INSERT or UPDATE without RETURNING.
    pub(super) fn new(settings: &Settings, change: &SqlStr) -> Self {
        let Some(counters) = settings.notifying() else {
            return AnnouncedStatement { statement: change.clone(), notifying: None };
        };
        let change = change.as_str().trim_end().trim_end_matches(';');
        let braces = [("{change}", change), ("{channel}", settings.channel())];
        let text = SqlTexts::new(settings).filled(sql::QUEUE, "announce", &braces);
        AnnouncedStatement { statement: prepared(text), notifying: Some(counters) }
    }

    /// Runs it and returns how many jobs it made ready.
    pub(super) async fn run(
        &self,
        link: &mut Link,
        what: &'static str,
        arguments: impl Arguments + Send,
    ) -> Result<u64> {
        let Some(counters) = &self.notifying else {
            return link.run(what, &self.statement, arguments, |_| Ok(())).await;
        };
        let mut jobs = 0;
        link.run(what, &self.statement, arguments, |row| {
            jobs = row.get::<i64>(0)?.unsigned_abs();
            Ok(())
        })
        .await?;
        if jobs > 0 {
            counters.notification_sent();
        }
        Ok(jobs)
    }
}
