//! Which layer wins, and that the manifest says so.
#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected should stop there")]

use qbench_schema::load::{AskedWake, Wake};
use std::time::Duration;

use qbench_scenarios::{Layer, Origin, Overrides, Profile, RunPlan, Scenario, resolve};
use qbench_schema::result::Regime;

fn plan(profile: &str, scenario: &str, layers: &[Overrides]) -> RunPlan {
    resolve(&Profile::load(profile).unwrap(), &Scenario::load(scenario).unwrap(), layers).unwrap()
}

fn flags(pairs: &[(&str, &str)]) -> Overrides {
    let mut overrides = Overrides::new(Origin::Flag);
    for (key, value) in pairs {
        overrides.set(key, value).unwrap();
    }
    overrides
}

fn environment(pairs: &[(&str, &str)], others: &[&str]) -> Layer {
    let variables = pairs.iter().map(|(key, value)| (key.to_string(), value.to_string()));
    Overrides::from_env(variables, others).unwrap()
}

fn file(text: &str) -> Overrides {
    Overrides::from_toml(text, "qbench.toml", &[]).unwrap().overrides
}

/// A scenario that sets the payload.
fn scenario_with_payload() -> Scenario {
    let text = r#"
        id = "mine"
        question = "What do larger jobs cost?"
        limitations = []
        server.state = "warm"
        workload.payload = 1024
    "#;
    Scenario::parse(text, "mine.toml").unwrap()
}

#[test]
fn each_layer_beats_the_one_below_it_whatever_the_order_they_are_given_in() {
    let profile = Profile::load("quick").unwrap();
    let scenario = scenario_with_payload();
    let file = file("payload = 2048");
    let environment = environment(&[("QBENCH_PAYLOAD", "4096")], &[]).overrides;
    let flags = flags(&[("payload", "8KiB")]);
    let payload = |layers: &[Overrides]| {
        let plan = resolve(&profile, &scenario, layers).unwrap();
        let configured = plan.configuration["payload"].clone();
        assert_eq!(configured.value.replace("KiB", ""), (plan.workload.payload_bytes >> 10).to_string());
        (plan.workload.payload_bytes, configured.source)
    };

    let quick = plan("quick", "cold", &[]);
    assert_eq!((quick.workload.payload_bytes, quick.configuration["payload"].source.as_str()), (512, "profile"));
    assert_eq!(payload(&[]), (1024, "scenario".into()));
    assert_eq!(payload(std::slice::from_ref(&file)), (2048, "file".into()));
    assert_eq!(payload(&[environment.clone(), file.clone()]), (4096, "environment".into()));
    assert_eq!(payload(&[flags, file, environment]), (8192, "flag".into()));
}

#[test]
fn what_nobody_sets_is_marked_as_a_default() {
    let configured = &plan("quick", "cold", &[]).configuration["poll-interval"];
    assert_eq!((configured.value.as_str(), configured.source.as_str()), ("auto", "default"));
}

#[test]
fn the_profiles_have_the_sizes_that_the_design_promises() {
    let jobs = |profile: &str| {
        let plan = plan(profile, "warm", &[]);
        (plan.workload.measured_jobs(), plan.workload.warmup, plan.capacity.utilisation.map(|rho| rho.to_string()))
    };
    assert_eq!(jobs("quick"), (5_000, Duration::from_secs(3), Some("0.25".into())));
    assert_eq!(jobs("standard"), (180_000, Duration::from_secs(60), Some("0.5".into())));
    assert_eq!(jobs("paper"), (1_500_000, Duration::from_secs(60), Some("0.625".into())));
}

#[test]
fn every_profile_offers_enough_producers_for_a_durable_enqueue_of_five_milliseconds() {
    for profile in Profile::shipped().unwrap() {
        let workload = plan(&profile.id, "warm", &[]).workload;
        assert!(f64::from(workload.producers.get()) >= 2.0 * workload.rate.get() * 0.005, "{}", profile.id);
    }
}

#[test]
fn a_warm_up_lasts_as_long_as_the_scenario_says_unless_a_profile_or_a_flag_says_otherwise() {
    let warmup = |profile, layers: &[Overrides]| {
        let plan = plan(profile, "warm", layers);
        (
            plan.workload.warmup.as_secs(),
            plan.workload.warmup_rate.get(),
            plan.configuration["warmup-rate"].source.clone(),
        )
    };
    assert_eq!(warmup("standard", &[]), (60, 1000.0, "scenario".into()));
    assert_eq!(warmup("quick", &[]), (3, 1000.0, "scenario".into()));
    assert_eq!(warmup("quick", &[flags(&[("warmup", "7s"), ("warmup-rate", "10")])]), (7, 10.0, "flag".into()));
}

#[test]
fn nothing_gives_a_warm_up_to_a_scenario_that_is_cold() {
    let plan = plan("standard", "cold", &[flags(&[("warmup", "7s")])]);
    assert_eq!(plan.workload.warmup, Duration::ZERO);
    assert_eq!(plan.workload.warmup_jobs(), 0);
    assert_eq!(plan.configuration["warmup"].source, "scenario");
}

#[test]
fn every_setting_in_the_manifest_reproduces_the_plan_when_given_as_flags() {
    let first = plan("paper", "load", &[flags(&[("wake", "notify"), ("arrivals", "poisson"), ("seed", "7")])]);
    let mut again = Overrides::new(Origin::Flag);
    for (key, configured) in &first.configuration {
        again.set(key, &configured.value).unwrap();
    }
    assert_eq!(plan("quick", "warm", &[again]).workload, first.workload);
    assert_eq!(first.workload.wake, Some(AskedWake::Exactly(Wake::Notify)));
}

#[test]
fn files_and_variables_may_hold_other_names_that_the_caller_permits() {
    let layer = environment(
        &[("PATH", "/bin"), ("QBENCH_PG_URL", "postgres://ann:s3cret@db/x"), ("QBENCH_ALLOW_OVERLOAD", "1")],
        &["pg-url"],
    );
    assert_eq!(layer.others["pg-url"], ["postgres://ann:s3cret@db/x"]);
    assert_eq!(layer.overrides.names().collect::<Vec<_>>(), ["allow-overload"]);

    let layer = Overrides::from_toml("rate = 5\nset = ['commit=ack', 'steal=true']", "qbench.toml", &["set"]).unwrap();
    assert_eq!(layer.others["set"], ["commit=ack", "steal=true"]);
    assert_eq!(layer.overrides.names().collect::<Vec<_>>(), ["rate"]);
}

#[test]
fn the_shipped_scenarios_are_what_the_design_says() {
    let scenarios = Scenario::shipped().unwrap();
    let facts: Vec<_> = scenarios
        .iter()
        .map(|scenario| {
            let background = scenario.background.map(|pgbench| (pgbench.clients.get(), pgbench.scale.get()));
            (scenario.id.as_str(), scenario.server.name(), scenario.warmup.is_some(), background)
        })
        .collect();
    assert_eq!(
        facts,
        [
            ("cold", "fresh", false, None),
            ("warm", "warm", true, None),
            ("load", "warm", true, Some((10, 10))),
            ("flat_out", "warm", false, None),
            ("enqueue", "warm", false, None),
            ("drain", "warm", false, None),
        ]
    );
    assert_eq!(scenarios[2].as_written["background.pgbench.clients"], "10");
    assert_eq!(scenarios[2].as_written["server.state"], "\"warm\"");
}

#[test]
fn the_summary_before_a_run_shows_load_capacity_and_what_to_expect() {
    let summary = |profile, scenario, layers: &[Overrides]| {
        let plan = plan(profile, scenario, layers);
        plan.capacity.summary(&plan.workload)
    };
    insta::assert_snapshot!(
        [
            summary("quick", "cold", &[]),
            summary("standard", "warm", &[]),
            summary("quick", "cold", &[flags(&[("work", "0ms")])]),
            summary("standard", "cold", &[flags(&[("rate", "5000"), ("allow-overload", "true")])]),
        ]
        .join("\n")
    );
}

#[test]
fn one_side_at_rest_needs_a_load_without_a_schedule_and_something_to_drain() {
    let attempt = |id: &str, settings: &[(&str, &str)]| {
        resolve(&Profile::load("quick").unwrap(), &Scenario::load(id).unwrap(), &[flags(settings)])
    };
    let drain = attempt("drain", &[]).unwrap();
    assert!(drain.workload.saturate && drain.workload.prefill > 0 && drain.workload.work.is_zero());
    assert_eq!((drain.capacity.regime, drain.capacity.utilisation), (Regime::Overload, None));
    let refused = |id, settings: &[(&str, &str)]| attempt(id, settings).err().unwrap().to_string();
    assert!(refused("drain", &[("prefill", "0")]).contains("nothing to drain"));
    assert!(refused("enqueue", &[("saturate", "false")]).contains("at rest"));
}
