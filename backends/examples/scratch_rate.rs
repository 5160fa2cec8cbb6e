//! scratch
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use bytes::Bytes;
use qbench_backends::*;
use qbench_schema::result::Durability;
#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    let (id, batch, pairs, total): (&str, u32, u32, u64) = (&args[1], args[2].parse().unwrap(), args[3].parse().unwrap(), args[4].parse().unwrap());
    let options = args.get(6).map(|kv| { let (k, v) = kv.split_once('=').unwrap(); BackendOptions::new([(k.to_owned(), v.to_owned())]) }).unwrap_or_default();
    let config = BackendConfig { url: args.get(5).map(|u| ServerUrl::new(u.clone())), namespace: "scratch".into(), durability: Durability::D0, lease: Duration::from_secs(30), wake: Wake::Block, poll_interval: Duration::from_millis(10), workers: pairs, timeout: Duration::from_secs(10), options };
    let backend = (registry::find(id).unwrap().open)(&config).unwrap();
    backend.admin().await.unwrap().setup().await.unwrap();
    let done = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let mut set = tokio::task::JoinSet::new();
    let share = total / u64::from(pairs);
    for n in 0..pairs {
        let mut p = backend.producer(ProducerId(n)).await.unwrap();
        let mut c = backend.consumer(WorkerId(n)).await.unwrap();
        let payload = Bytes::from(vec![7; 512]);
        set.spawn(async move {
            let mut next = 0;
            while next < share {
                let jobs: Vec<NewJob> = (next..(next + u64::from(batch)).min(share)).map(|j| NewJob { job: JobId(j), payload: payload.clone() }).collect();
                next += jobs.len() as u64;
                p.enqueue(&jobs).await.unwrap();
            }
        });
        let done = done.clone();
        set.spawn(async move {
            let mut leases = Vec::new(); let mut st = Vec::new();
            while done.load(Ordering::Relaxed) < share * u64::from(pairs) {
                leases.clear(); st.clear();
                c.claimer.claim(batch, Duration::from_millis(100), &mut leases).await.unwrap();
                if leases.is_empty() { continue; }
                c.acker.ack(&leases, &mut st).await.unwrap();
                assert!(st.iter().all(|s| *s == AckStatus::Acked));
                done.fetch_add(leases.len() as u64, Ordering::Relaxed);
            }
        });
    }
    while let Some(r) = set.join_next().await { r.unwrap(); }
    let s = start.elapsed().as_secs_f64();
    println!("{id} batch {batch} pairs {pairs}: {} jobs in {s:.2} s = {:.0} jobs/s; {:?}", done.load(Ordering::Relaxed), done.load(Ordering::Relaxed) as f64 / s, backend.admin().await.unwrap().census().await.unwrap());
    backend.admin().await.unwrap().teardown().await.unwrap();
}
