//! Plan files and what varies: combinations, climbs of one change a rung, and what is refused.
#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected should stop there")]

use qbench_scenarios::{Axis, Sweep, combinations};

const OPTIONS: [&str; 1] = ["commit"];

const CLIMB: &str = r#"
id = "mine"
question = "What does each step bring?"
limitations = []
backends = ["skip_locked"]
scenarios = ["warm"]

[base]
claim-batch = 1
prefetch = 0

[[rung]]
name = "single"

[[rung]]
name = "batch"
change = { claim-batch = 10 }

[[rung]]
name = "ahead"
change = { prefetch = 20 }
"#;

fn plan(text: &str) -> Result<Sweep, qbench_scenarios::Error> {
    Sweep::parse(text, "mine.toml", &OPTIONS)
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn names(texts: &[&str]) -> Vec<String> {
    let axes: Vec<Axis> = texts.iter().map(|text| Axis::parse(text, &OPTIONS).unwrap()).collect();
    combinations(&axes).unwrap().into_iter().map(|variant| variant.name).collect()
}

#[test]
fn several_settings_make_every_combination_and_none_makes_one_of_nothing() {
    assert_eq!(
        names(&["workers=2,4", "commit=claim,ack"]),
        ["workers=2,commit=claim", "workers=2,commit=ack", "workers=4,commit=claim", "workers=4,commit=ack"]
    );
    assert_eq!(names(&[]), [""]);
}

#[test]
fn each_rung_of_a_climb_is_the_one_before_it_and_its_change() {
    let climb = plan(CLIMB).unwrap();
    assert!(climb.climbs);
    let settings: Vec<_> = climb.variants.iter().map(|rung| (rung.name.as_str(), rung.settings.clone())).collect();
    assert_eq!(
        settings,
        [
            ("single", pairs(&[("claim-batch", "1"), ("prefetch", "0")])),
            ("batch", pairs(&[("claim-batch", "10"), ("prefetch", "0")])),
            ("ahead", pairs(&[("claim-batch", "10"), ("prefetch", "20")])),
        ],
        "a rung says all that any rung changes, so that nothing below the plan can"
    );
}

#[test]
fn what_no_rung_of_a_climb_changes_is_left_to_the_base_and_a_value_may_be_changed_back() {
    let back = "change = { claim-batch = 10 }\n[[rung]]\nname = \"back\"\nchange = { claim-batch = 1 }";
    let text = CLIMB.replace("change = { prefetch = 20 }", "change = { claim-batch = 20 }");
    let climb = plan(&text.replace("change = { claim-batch = 10 }", back)).unwrap();
    let settings: Vec<_> = climb.variants.iter().map(|rung| rung.settings.clone()).collect();
    assert_eq!(settings, ["1", "10", "1", "20"].map(|claim_batch| pairs(&[("claim-batch", claim_batch)])));
}

#[test]
fn a_list_of_rungs_has_settings_of_its_own_on_each() {
    let list = plan(&CLIMB.replace("change =", "set =")).unwrap();
    assert!(!list.climbs);
    let settings: Vec<_> = list.variants.iter().map(|rung| rung.settings.clone()).collect();
    assert_eq!(settings, [vec![], pairs(&[("claim-batch", "10")]), pairs(&[("prefetch", "20")])]);
}

#[test]
fn what_cannot_be_a_plan_is_refused_with_place_and_reason() {
    let changes = [
        ("change = { claim-batch = 10 }", "change = { claim-batch = 10, prefetch = 20 }"),
        ("change = { claim-batch = 10 }", ""),
        ("change = { claim-batch = 10 }", "change = { claim-batch = 1 }"),
        ("change = { claim-batch = 10 }", "change = { ack-batch = 10 }"),
        ("change = { claim-batch = 10 }", "set = { claim-batch = 10 }"),
        ("change = { claim-batch = 10 }", "change = { claim-btch = 10 }"),
        ("change = { claim-batch = 10 }", "change = { claim-batch = 0 }"),
        ("change = { claim-batch = 10 }", "change = { claim-batch = [1, 2] }"),
        ("name = \"single\"", "name = \"single\"\nchange = { claim-batch = 2 }"),
        ("name = \"batch\"", "name = \"single\""),
        ("name = \"batch\"", "name = \"Batch claim\""),
        ("[base]", "[bsae]"),
        ("[base]", "[vary]\nworkers = [1, 2]\n[base]"),
        ("backends = [\"skip_locked\"]", "backends = []"),
    ];
    let refusals: Vec<String> = changes
        .iter()
        .map(|(from, to)| {
            assert!(CLIMB.contains(from), "{from}");
            match plan(&CLIMB.replacen(from, to, 1)) {
                Ok(_) => panic!("taken: {to}"),
                Err(error) => format!("{to:?}\n    {error}"),
            }
        })
        .collect();
    insta::assert_snapshot!(refusals.join("\n"));
}

#[test]
fn what_cannot_be_varied_is_refused_with_the_nearest_name() {
    let many = format!("workers={}", (1..=600).map(|n| n.to_string()).collect::<Vec<_>>().join(","));
    let refused = |texts: &[&str]| {
        let axes: Result<Vec<Axis>, _> = texts.iter().map(|text| Axis::parse(text, &OPTIONS)).collect();
        axes.and_then(|axes| combinations(&axes)).unwrap_err().to_string()
    };
    let refusals = [
        refused(&["workres=2,4"]),
        refused(&["comit=claim,ack"]),
        refused(&["workers=2,two"]),
        refused(&["workers=2,2"]),
        refused(&["workers"]),
        refused(&["workers="]),
        refused(&["workers=2,4", "workers=8"]),
        refused(&[&many]),
    ];
    insta::assert_snapshot!(refusals.join("\n"));
}

#[test]
fn an_unknown_plan_is_refused_with_the_nearest_one() {
    let error = Sweep::load("lader", &OPTIONS).unwrap_err().to_string();
    assert_eq!(error, "unknown plan `lader`; did you mean `ladder`? (a file of your own is given by its path)");
}

#[test]
fn the_shipped_plans_are_what_they_are_called() {
    let plans = Sweep::shipped(&["commit", "steal", "durability"]).unwrap();
    let ids: Vec<&str> = plans.iter().map(|plan| plan.id.as_str()).collect();
    assert_eq!(ids, ["aa", "equal", "ladder", "partitions", "round-trip", "scaling", "tuning", "waiting"]);
    let of = |id: &str| plans.iter().find(|plan| plan.id == id).unwrap();
    let rungs: Vec<&str> = of("ladder").variants.iter().map(|rung| rung.name.as_str()).collect();
    assert!(of("ladder").climbs);
    assert_eq!(rungs, ["poll", "notify", "batch-claim", "prefetch", "batch-ack"]);
    let workers: Vec<&str> = of("scaling").variants.iter().map(|variant| variant.name.as_str()).collect();
    assert_eq!(workers, ["workers=2", "workers=4", "workers=8", "workers=16"]);
    assert!(of("scaling").base.contains(&("saturate".to_owned(), "true".to_owned())));
}
