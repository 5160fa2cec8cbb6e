//! `<run>_nats_stats.csv`: a NATS server about itself, a row per tick, from its monitoring endpoint.

use async_trait::async_trait;
use qbench_schema::server_stats::NatsStatsRow;
use serde_json::Value;

use super::jsz::{self, count, use_of};
use crate::monitor::rows::two_digits;
use crate::monitor::server::{Sampler, SamplerContext, ServerFindings};
use crate::monitor::totals::Totals;

/// Samples a NATS server.
pub(super) struct NatsSampler {
    context: SamplerContext,
    totals: Totals,
}

impl NatsSampler {
    pub(super) fn new(context: SamplerContext) -> Self {
        NatsSampler { context, totals: Totals::default() }
    }

    fn row(&mut self, at_us: u64, varz: &Value, jsz: &Value) -> NatsStatsRow {
        let streams = use_of(jsz, &self.context.objects);
        let mut total = |name: &'static str, now: u64| self.totals.total(name, now);
        NatsStatsRow {
            at_us,
            messages: streams.map(|streams| streams.messages),
            stream_bytes: streams.map(|streams| streams.bytes),
            ready: streams.map(|streams| streams.ready),
            ack_pending: streams.map(|streams| streams.in_flight),
            redelivered: streams.map(|streams| streams.redelivered),
            waiting_pulls: streams.map(|streams| streams.waiting_pulls),
            connections: count(varz, "/connections"),
            rss_bytes: count(varz, "/mem"),
            cpu_pct: varz["cpu"].as_f64().map(two_digits),
            memory_store_bytes: count(jsz, "/memory"),
            file_store_bytes: count(jsz, "/storage"),
            in_messages_total: total("in_messages", count(varz, "/in_msgs")),
            out_messages_total: total("out_messages", count(varz, "/out_msgs")),
            in_bytes_total: total("in_bytes", count(varz, "/in_bytes")),
            out_bytes_total: total("out_bytes", count(varz, "/out_bytes")),
            slow_consumers_total: total("slow_consumers", count(varz, "/slow_consumers")),
            api_requests_total: total("api_requests", count(jsz, "/api/total")),
            api_errors_total: total("api_errors", count(jsz, "/api/errors")),
        }
    }
}

#[async_trait]
impl Sampler for NatsSampler {
    async fn sample(&mut self) {
        let at_us = self.context.clock.now_us();
        let url = &self.context.url;
        let answers = async { Ok::<_, String>((jsz::document(url, "/varz").await?, jsz::read(url).await?)) };
        match answers.await {
            Ok((varz, jsz)) => {
                let row = self.row(at_us, &varz, &jsz);
                self.context.file.append(&row);
            }
            Err(error) => self.context.notes.add("sample the statistics of NATS, the row is left out", error),
        }
    }

    fn findings(&mut self) -> ServerFindings {
        ServerFindings::default()
    }
}
