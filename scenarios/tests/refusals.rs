//! What is refused, and that the sentence says where, what and what to do.
#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected should stop there")]

use qbench_scenarios::{Error, Origin, Overrides, Profile, RunPlan, Scenario, resolve};

const GOOD: &str = r#"
id = "mine"
question = "What does it cost?"
limitations = ["Nothing is known."]

[server]
state = "warm"

[warmup]
rate = 1000
duration = "60s"

[background.pgbench]
clients = 10
scale = 10
"#;

fn scenario(text: &str) -> Result<Scenario, Error> {
    Scenario::parse(text, "mine.toml")
}

/// `flags` over the quick profile and the warm scenario.
fn resolved(flags: &[(&str, &str)]) -> Result<RunPlan, Error> {
    let mut overrides = Overrides::new(Origin::Flag);
    for (key, value) in flags {
        overrides.set(key, value)?;
    }
    resolve(&Profile::load("quick")?, &Scenario::load("warm")?, &[overrides])
}

fn refused(flags: &[(&str, &str)]) -> String {
    resolved(flags).err().unwrap_or_else(|| panic!("{flags:?} was taken")).to_string()
}

fn taken(flags: &[(&str, &str)]) {
    if let Err(error) = resolved(flags) {
        panic!("{flags:?} was refused: {error}");
    }
}

fn file(text: &str) -> String {
    Overrides::from_toml(text, "qbench.toml", &["pg-url"]).map(|_| ()).unwrap_err().to_string()
}

fn variable(name: &str, value: &str) -> String {
    let variables = [(name.to_owned(), value.to_owned())];
    Overrides::from_env(variables, &["pg-url", "tmpdir"]).map(|_| ()).unwrap_err().to_string()
}

#[test]
fn a_good_scenario_is_taken() {
    scenario(GOOD).unwrap();
}

#[test]
fn an_impossible_scenario_is_refused() {
    let changes = [
        ("question =", "qestion ="),
        ("[warmup]", "[warm-up]"),
        ("rate = 1000", "rat = 1000"),
        ("rate = 1000", "rate = 0"),
        ("duration = \"60s\"", "duration = 60"),
        ("duration = \"60s\"", "duration = \"0s\""),
        ("state = \"warm\"", "state = \"wram\""),
        ("state = \"warm\"", "state = \"fresh\""),
        ("scale = 10", "scale = 9"),
        ("clients = 10", "clients = 0"),
        ("clients = 10", "clients = 1001"),
        ("pgbench", "pgbnech"),
        ("id = \"mine\"", "id = \"My scenario\""),
        ("\"Nothing is known.\"", "\" \""),
        ("[server]", "[workload]\nrtae = 5\n[server]"),
        ("[server]", "[workload]\nrate = -5\n[server]"),
        ("[server]", "[workload]\nrate = [5]\n[server]"),
        ("[server]", "[workload]\nwarmup = \"5s\"\n[server]"),
        ("[server]\nstate = \"warm\"", ""),
        ("id = ", "id "),
    ];
    let refusals: Vec<String> = changes
        .iter()
        .map(|(from, to)| {
            assert!(GOOD.contains(from));
            match scenario(&GOOD.replace(from, to)) {
                Ok(_) => panic!("{to} was taken"),
                Err(error) => format!("{to:?}\n    {error}",),
            }
        })
        .collect();
    insta::assert_snapshot!(refusals.join("\n"));
}

#[test]
fn an_unknown_name_is_refused_with_the_nearest_one() {
    let refusals = [
        Scenario::load("wrm").map(|_| ()).unwrap_err().to_string(),
        Scenario::load("thunder").map(|_| ()).unwrap_err().to_string(),
        Scenario::load("no/such.toml").map(|_| ()).unwrap_err().to_string(),
        Profile::load("quik").map(|_| ()).unwrap_err().to_string(),
        refused(&[("claim-bach", "5")]),
        file("claim_batch = 5"),
        file("pg-ulr = \"postgres://ann:s3cret@db\""),
        file("[workload]\nrate = 5"),
        file("rate = "),
        variable("QBENCH_WORKER", "5"),
        variable("QBENCH_PG_URI", "postgres://ann:s3cret@db"),
    ];
    assert!(refusals.iter().all(|text| !text.contains("s3cret")), "a secret was repeated");
    insta::assert_snapshot!(refusals.join("\n"));
}

#[test]
fn an_impossible_value_is_refused() {
    let mut refusals: Vec<String> = [
        ("rate", "0"),
        ("rate", "-1"),
        ("rate", "nan"),
        ("rate", "inf"),
        ("rate", "fast"),
        ("rate", "1000001"),
        ("duration", "0s"),
        ("duration", "10"),
        ("duration", "25h"),
        ("warmup", "2h"),
        ("warmup-rate", "0"),
        ("arrivals", "possion"),
        ("seed", "-1"),
        ("producers", "0"),
        ("enqueue-batch", "0"),
        ("payload", "17MiB"),
        ("payload", "64KB"),
        ("workers", "0"),
        ("workers", "10001"),
        ("workers", "1.5"),
        ("concurrency", "0"),
        ("claim-batch", "0"),
        ("prefetch", "-1"),
        ("ack-batch", "0"),
        ("ack-linger", "11s"),
        ("work", "2h"),
        ("fail-pct", "101"),
        ("fail-pct", "nan"),
        ("panic-pct", "-1"),
        ("panic-pct", "half"),
        ("wake", "blok"),
        ("poll-interval", "0ms"),
        ("lease", "0s"),
        ("drain-deadline", "0s"),
        ("allow-overload", "maybe"),
    ]
    .iter()
    .map(|flag| refused(&[*flag]))
    .collect();
    refusals.push(file("rate = 0"));
    refusals.push(file("duration = 10"));
    refusals.push(file("rate = [1, 2]"));
    refusals.push(file("pg-url = { host = 'db' }"));
    refusals.push(variable("QBENCH_RATE", "0"));
    insta::assert_snapshot!(refusals.join("\n"));
}

#[test]
fn values_that_exclude_each_other_are_refused_with_the_arithmetic() {
    let refusals = [
        refused(&[("rate", "0.01")]),
        refused(&[("rate", "100000"), ("duration", "24h"), ("work", "0ms")]),
        refused(&[("workers", "10000"), ("concurrency", "100")]),
        refused(&[("fail-pct", "60"), ("panic-pct", "50")]),
        refused(&[("lease", "10ms")]),
        refused(&[("lease", "1s"), ("claim-batch", "100")]),
        // Seven jobs on four slots: the last of them begins when the first are done.
        refused(&[
            ("concurrency", "4"),
            ("prefetch", "3"),
            ("work", "40s"),
            ("lease", "60s"),
            ("allow-overload", "true"),
        ]),
        refused(&[("prefetch", "20"), ("refill", "20")]),
    ];
    insta::assert_snapshot!(refusals.join("\n"));
}

#[test]
fn a_lease_need_only_last_for_what_a_worker_really_holds() {
    // A claim of 8 on 4 slots: two rounds, whatever is prefetched within it.
    taken(&[
        ("concurrency", "4"),
        ("prefetch", "4"),
        ("claim-batch", "8"),
        ("work", "40s"),
        ("lease", "81s"),
        ("allow-overload", "true"),
    ]);
}

#[test]
fn refill_means_nothing_without_prefetch_so_prefetch_can_be_varied_down_to_nothing() {
    taken(&[("prefetch", "0"), ("refill", "5")]);
    taken(&[("prefetch", "20"), ("refill", "5")]);
}

#[test]
fn more_load_than_the_workers_carry_is_refused_with_the_arithmetic() {
    let refusals =
        [refused(&[("rate", "5000")]), refused(&[("rate", "1800")]), refused(&[("rate", "50"), ("workers", "1")])];
    insta::assert_snapshot!(refusals.join("\n"));
    taken(&[("rate", "1799")]);
}

#[test]
fn a_file_may_not_take_the_name_of_a_shipped_scenario_for_something_else() {
    let folder = std::env::temp_dir().join(format!("qbench-scenario-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("cold.toml");
    let load = |text: &str| {
        std::fs::write(&path, text).unwrap();
        Scenario::load(path.to_str().unwrap())
    };
    let copy = load(include_str!("../cold.toml"));
    let changed = load(&GOOD.replace("\"mine\"", "\"cold\""));
    std::fs::remove_dir_all(&folder).unwrap();
    copy.map(|_| ()).unwrap();
    let error = changed.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("choose another id"), "{error}");
}
