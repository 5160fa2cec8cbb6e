//! temporary
#![allow(clippy::unwrap_used)]
#[path = "../tests/common/mod.rs"]
mod common;
use common::*;
use qbench_schema::result::*;
use std::path::PathBuf;
fn case(name: &str, f: impl FnOnce(&std::path::Path), after: impl FnOnce(&std::path::Path)) {
    let root = PathBuf::from("/tmp/look").join(name);
    let _ = std::fs::remove_dir_all(&root);
    let dir = root.join("in");
    std::fs::create_dir_all(&dir).unwrap();
    f(&dir);
    let t = std::time::Instant::now();
    let a = qbench_analysis::analyze(&[dir], &root.join("out")).unwrap();
    let ta = t.elapsed();
    after(&root.join("out"));
    let t = std::time::Instant::now();
    qbench_analysis::graph(&root.join("out/summary.csv"), &root.join("graphs")).unwrap();
    println!("== {name}: analyze {ta:?} graph {:?}\n{}", t.elapsed(), a.table);
    for p in &a.problems { println!("PROBLEM {p}"); }
}
fn main() {
    {
        let d = PathBuf::from("/tmp/look/big"); std::fs::create_dir_all(&d).unwrap();
        let run = Run::new("skip_locked", "warm").with(|r| { r.offered_jobs_s = 5000.0; r.measured_s = 300.0; });
        run.write(&d);
        let t = std::time::Instant::now();
        let m = qbench_analysis::metrics::read(&d.join("skip_locked_warm_metrics.jsonl")).unwrap();
        println!("big: {} jobs in {:?}, {} bytes", m.jobs(), t.elapsed(), std::fs::metadata(d.join("skip_locked_warm_metrics.jsonl")).unwrap().len());
        std::fs::remove_dir_all(&d).unwrap();
    }
    case("redis", |d| for (s, _) in SCENARIOS { Run::new("valkey_streams", s).with(|r| r.engine = "redis".into()).write(d); Run::new("delete_returning", s).write(d) }, |_| {});
    case("allfail", |d| Run::new("skip_locked", "warm").failed("no server").write(d), |_| {});
    case("matrix", |d| write_matrix(d), |_| {});
    case("one_scenario", |d| for (b, ..) in QUICK { Run::new(b, "warm").write(d) }, |_| {});
    case("one_backend", |d| for (s, _) in SCENARIOS { Run::new("skip_locked", s).write(d) }, |_| {});
    case("one_cell", |d| Run::new("skip_locked", "warm").write(d), |_| {});
    case("troubled", |d| {
        write_matrix(d);
        Run::new("partitioned", "load").invalid("schedule_lag p99 is 14.2 ms (limit 5 ms)").write(d);
        Run::new("delete_returning", "cold").failed("connect to 127.0.0.1:5433: connection refused; is the server running?").write(d);
        let _ = std::fs::remove_file(d.join("delete_returning_cold_metrics.jsonl"));
        Run::new("skip_locked", "load").overloaded().write(d);
        Run::new("valkey_streams", "warm").with(|r| r.durability = Durability::D1).write(d);
        Run::new("valkey_streams", "cold").with(|r| r.cpu_pct.server = None).write(d);
        std::fs::remove_file(d.join("partitioned_warm_result.json")).unwrap();
    }, |_| {});
    case("repeats", |d| for block in 1..=3 { for (b, ..) in QUICK { for (s, _) in SCENARIOS {
        let r = Run::new(b, s).block(block);
        let r = if b == "partitioned" && s == "warm" && block == 2 { r.failed("server went away (57P01)") } else { r };
        r.write(&d.join(format!("rep-{block:02}"))) } } }, |_| {});
    case("eight", |d| for (i, b) in ["skip_locked","delete_returning","partitioned","batch_sql","advisory_lock","valkey_streams","external:pgqueuer-with-a-long-name","memory"].iter().enumerate() { for (s, _) in SCENARIOS {
        let mut r = Run::new(b, s).with(|r| { r.offered_jobs_s = 5000.0; r.throughput_jobs_s = 4985.0 - 3.0 * i as f64; if *b == "memory" { r.engine = "in_process".into(); r.durability = Durability::D0; } });
        if *b == "advisory_lock" { r.wait_ms *= 40.0; }
        r.write(d) } }, |_| {});
    case("nodist", |d| write_matrix(d), |o| std::fs::remove_file(o.join("distribution.csv")).unwrap());
    case("pg_only_nometrics", |d| for (b, ..) in &QUICK[..3] { for (s, _) in SCENARIOS { Run::new(b, s).without_metrics().with(|r| if *b == "skip_locked" { r.cpu_pct = CpuPct::default() }).write(d) } }, |_| {});
}
