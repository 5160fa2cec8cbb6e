//! `skip_locked`: one table with a status column, claimed with `SELECT … FOR UPDATE SKIP LOCKED`.

use std::sync::Arc;

use qbench_schema::sql;

use crate::claimer::{ANYWHERE, Look};
use crate::config::BackendConfig;
use crate::entry::Entry;
use crate::error::Result;
use crate::job::{Lease, WorkerId};
use crate::postgres::admin::Design;
use crate::postgres::backend::{Consumers, PgBackend};
use crate::postgres::depth;
use crate::postgres::leased::{self, Session, Statements};
use crate::postgres::session_options::{self, SessionOptions};
use crate::postgres::settings::Settings;
use crate::postgres::sql_texts::{SqlTexts, prepared};
use crate::seam::Consumer;

/// The registry's line.
pub(crate) const ENTRY: Entry = Entry {
    id: "skip_locked",
    engine: crate::postgres::ENGINE,
    summary: "one table with a status column; SELECT … FOR UPDATE SKIP LOCKED; done jobs stay in it",
    colour: Some([0, 114, 178]),
    options: &[session_options::CLIENT, session_options::PLANS, session_options::CLAIM_COMMIT],
    variants: &[&[("claim_commit", "async"), ("pg_client", "sqlx"), ("plans", "pinned")]],
    contract: &|options| SessionOptions::of(options).map(|_| leased::CONTRACT),
    opener: &|config| Ok(Arc::new(open(config)?)),
};

fn open(config: &BackendConfig) -> Result<PgBackend<OneTable>> {
    let settings = Settings::new(ENTRY.id, config)?;
    let sql = SqlTexts::new(&settings);
    let tables = vec![settings.namespace.table("jobs")];
    let design = Design {
        queue_type: ENTRY.id,
        create: sql.text(sql::SKIP_LOCKED, "create"),
        storage: tables.clone(),
        tables,
        release: None,
        depth: depth::statement(&sql, &["jobs".to_owned()], "status = 0", &sql.text(sql::LEASED, "in_flight")),
        census: prepared(sql.filled(sql::LEASED, "census", &[("{table}", "jobs"), ("{partition}", "0")])),
        binding: None,
    };
    Ok(PgBackend {
        id: ENTRY.id,
        enqueue: sql.get(sql::QUEUE, "enqueue"),
        consumers: OneTable(Arc::new(Statements::new(&sql, &[]))),
        design: Arc::new(design),
        settings: Arc::new(settings),
    })
}

/// Consumers that all look into the same table.
struct OneTable(Arc<Statements>);

impl Consumers for OneTable {
    async fn open(&self, settings: &Arc<Settings>, id: WorkerId) -> Result<Consumer> {
        let (session, acker) = Session::open(settings, &self.0, id).await?;
        Ok(Consumer { claimer: settings.claimer(Table(session)), acker: Box::new(acker) })
    }
}

/// The table as one worker claims from it.
struct Table(Session);

impl Look for Table {
    async fn take(&mut self, limit: u32, out: &mut Vec<Lease>) -> Result<()> {
        self.0.claim(ANYWHERE, limit, out).await
    }

    async fn take_expired(&mut self, limit: u32, out: &mut Vec<Lease>) -> Result<()> {
        self.0.reclaim(limit, out).await
    }
}
