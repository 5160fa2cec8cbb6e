//! A matrix against a stand-in for `qbench run`: order, failures, resuming, and what is refused.
#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected should stop there")]

#[allow(dead_code, reason = "each test program uses a part of it")]
mod fake;

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::path::Path;

use fake::{Fake, cells, configuration};
use qbench_orchestration::{MatrixPlan, Progress, RunCommand, execute, survey};
use qbench_schema::result::RunStatus;
use qbench_schema::variant::RunVariant;

fn order(seed: u64, blocks: u32) -> Vec<(u32, String)> {
    let cells = cells(&["a", "b", "c", "d"], &["cold", "warm", "load"]);
    let plan = MatrixPlan::new(&cells, NonZeroU32::new(blocks).unwrap(), seed, Path::new("out")).unwrap();
    plan.runs.iter().map(|run| (run.block, run.files.run().to_owned())).collect()
}

#[test]
fn every_block_holds_every_cell_once() {
    let runs = order(7, 5);
    assert_eq!(runs.len(), 60);
    for block in 1..=5 {
        let cells: BTreeSet<_> = runs.iter().filter(|(of, _)| *of == block).map(|(_, run)| run).collect();
        assert_eq!(cells.len(), 12, "block {block}");
    }
}

#[test]
fn the_order_follows_from_the_seed_and_differs_between_seeds_and_blocks() {
    assert_eq!(order(7, 3), order(7, 3));
    assert_ne!(order(7, 3), order(8, 3));
    let block = |number| -> Vec<String> {
        order(7, 3).into_iter().filter(|(of, _)| *of == number).map(|(_, run)| run).collect()
    };
    assert_ne!(block(1), block(2));
    assert_eq!(order(7, 3), order(7, 5)[..36], "more blocks leave the first ones as they were");
}

#[test]
fn the_plan_is_carried_out_in_its_order_into_a_folder_per_block() {
    let fake = Fake::new();
    let plan = fake.plan(&["good1", "good2"], &["cold", "warm"], 2);
    let outcome = fake.execute(&plan, &fake.survey(&plan, false).unwrap());
    assert_eq!((outcome.finished, outcome.failed.len(), outcome.interrupted), (4 * 2, 0, false));
    let planned: Vec<String> = plan
        .runs
        .iter()
        .map(|run| format!("{} {} {}", run.block, run.cell.identity.backend, run.cell.identity.scenario))
        .collect();
    assert_eq!(fake.order(), planned);
    assert!(fake.out().join("rep-02/good1_cold_result.json").exists());
}

#[test]
fn the_machine_is_calibrated_before_and_after_each_block_and_not_again_when_the_matrix_goes_on() {
    let fake = Fake::new();
    let plan = fake.plan(&["good1"], &["cold", "warm"], 2);
    fake.execute_with(&plan, &fake.survey(&plan, false).unwrap(), true);
    let calibrations = |order: &[String]| {
        let places = order.iter().enumerate().filter(|(_, line)| line.starts_with("calibrate"));
        places.map(|(place, line)| (place, line.replace("calibrate ", ""))).collect::<Vec<_>>()
    };
    let expected = [
        (0, "rep-01/calibration_before.json"),
        (3, "rep-01/calibration_after.json"),
        (4, "rep-02/calibration_before.json"),
        (7, "rep-02/calibration_after.json"),
    ];
    assert_eq!(calibrations(&fake.order()), expected.map(|(place, file)| (place, file.to_owned())));

    let more = fake.plan(&["good1"], &["cold", "warm"], 3);
    fake.execute_with(&more, &fake.survey(&more, true).unwrap(), true);
    assert_eq!(calibrations(&fake.order()[8..]).len(), 2, "those of the third block");

    // One that fails is said, and costs no run.
    std::fs::write(fake.path("uncalibrated"), "").unwrap();
    let last = fake.plan(&["good1"], &["cold", "warm"], 4);
    let outcome = fake.execute_with(&last, &fake.survey(&last, true).unwrap(), true);
    assert_eq!(outcome.finished, 2);
    assert!(fake.shown.text().contains("this machine was not calibrated"), "{}", fake.shown.text());
}

#[test]
fn a_block_that_is_gone_on_with_is_calibrated_anew_around_the_runs_that_it_has_left() {
    let fake = Fake::new();
    let plan = fake.plan(&["good1"], &["cold", "warm", "load"], 2);
    fake.execute_with(&plan, &fake.survey(&plan, false).unwrap(), true);
    let before = fake.order().len();
    // Of the second block the run in the middle is missing: another one stands before it, and the last step is skipped.
    for path in plan.runs[4].files.all().iter().filter(|path| path.exists()) {
        std::fs::remove_file(path).unwrap();
    }
    let outcome = fake.execute_with(&plan, &fake.survey(&plan, true).unwrap(), true);
    assert_eq!((outcome.skipped, outcome.finished), (5, 1));
    let run = format!("2 good1 {}", plan.runs[4].cell.identity.scenario);
    let expected = ["calibrate rep-02/calibration_before.json", &run, "calibrate rep-02/calibration_after.json"];
    assert_eq!(fake.order()[before..], expected);
    let block = fake.out().join("rep-02");
    for name in ["calibration_before.json", "calibration_after.json"] {
        assert!(block.join(name).exists() && block.join(format!("{name}.attempt-1")).exists(), "{name}");
    }
    assert!(!fake.out().join("rep-01/calibration_before.json.attempt-1").exists(), "nothing of it was left to do");
}

#[test]
fn a_run_that_breaks_becomes_a_row_that_says_why_and_the_others_go_on() {
    let fake = Fake::new();
    let plan = fake.plan(&["refused", "silent", "killed", "broken", "doubtful", "good"], &["cold"], 1);
    let outcome = fake.execute(&plan, &fake.survey(&plan, false).unwrap());
    assert_eq!((outcome.finished, outcome.invalid.len(), outcome.failed.len()), (1, 1, 4));

    let reason = |backend: &str| {
        let run = plan.runs.iter().find(|run| run.cell.identity.backend == backend).unwrap();
        let result = fake.result(&run.files);
        assert_eq!(result.status, RunStatus::Failed, "{backend}");
        assert!(!result.validity.valid, "{backend}");
        let finding = outcome.failed.iter().find(|finding| finding.run == run.files.run()).unwrap();
        assert_eq!(result.error.as_ref(), Some(&finding.reason), "{backend}");
        finding.reason.clone()
    };
    assert_eq!(reason("refused"), "exit status 1: cannot connect to the server | is it running?");
    assert_eq!(reason("silent"), "exit status 0, but without a finished result: nothing was said");
    assert_eq!(reason("killed"), "killed by SIGKILL: nothing was said");
    assert_eq!(reason("broken"), "the disk is full", "a run's own word is kept");
    assert_eq!(outcome.invalid[0].reason, "steal was 7 %");

    let by_name = |backend: &str| plan.runs.iter().find(|run| run.cell.identity.backend == backend).unwrap();
    let written = fake.result(&by_name("refused").files);
    assert_eq!(
        (written.identity.backend.as_str(), written.identity.scenario.as_str(), written.identity.block),
        ("refused", "cold", 1)
    );
    assert!(!written.identity.started_at.is_empty() && !written.identity.run_id.is_empty());
    assert_eq!(fake.result(&by_name("killed").files).drain_s, 77.0, "what a killed run had written is kept");
}

#[test]
fn a_run_that_the_machine_alone_spoiled_is_tried_again_once_and_its_first_attempt_is_kept() {
    let fake = Fake::new();
    let plan = fake.plan(&["shaken", "shaking", "doubtful"], &["cold"], 1);
    let outcome = fake.execute(&plan, &fake.survey(&plan, false).unwrap());
    assert_eq!((outcome.finished, outcome.invalid.len(), outcome.repeated.len()), (1, 2, 2));
    let tries = |backend: &str| fake.order().iter().filter(|line| line.contains(backend)).count();
    assert_eq!((tries("shaken"), tries("shaking"), tries("doubtful")), (2, 2, 1));
    for backend in ["shaken", "shaking"] {
        assert!(fake.out().join(format!("{backend}_cold_result.json.attempt-1")).exists(), "{backend}");
    }
    let said = outcome.to_string();
    assert!(said.contains("2 tried again"), "{said}");
    assert!(
        said.contains("shaken_cold (block 1) was tried again, because of this machine and not of the queue"),
        "{said}"
    );

    // Another day the machine may be quieter: the one that it spoiled twice is made again, and nothing else.
    let before = fake.order().len();
    fake.execute(&plan, &fake.survey(&plan, true).unwrap());
    assert!(fake.order()[before..].iter().all(|line| line.contains("shaking")), "{:?}", fake.order());
    assert_eq!(fake.order().len() - before, 2);
}

#[test]
fn progress_without_a_terminal_is_a_line_per_start_and_end() {
    let fake = Fake::new();
    let plan = fake.plan(&["good", "refused", "doubtful"], &["cold"], 1);
    let outcome = fake.execute(&plan, &fake.survey(&plan, false).unwrap());
    // How long it took is the machine's affair.
    let shown: Vec<String> = fake
        .shown
        .text()
        .lines()
        .map(|line| line.rsplit_once(" after ").map_or(line.to_owned(), |(line, _)| format!("{line} after a while")))
        .collect();
    insta::assert_snapshot!(format!("{}\n\n{outcome}", shown.join("\n")));
}

#[test]
fn resuming_skips_what_finished_and_repeats_the_rest_without_losing_their_files() {
    let fake = Fake::new();
    let plan = fake.plan(&["good", "doubtful", "killed"], &["cold"], 1);
    fake.execute(&plan, &fake.survey(&plan, false).unwrap());
    let first = fake.order().len();

    let survey = fake.survey(&plan, true).unwrap();
    insta::assert_snapshot!(plan.render(&survey).replace(fake.out().to_str().unwrap(), "OUT"));
    let outcome = fake.execute(&plan, &survey);
    assert_eq!((outcome.skipped, outcome.failed.len()), (2, 1));
    assert_eq!(fake.order()[first..], ["1 killed cold"]);
    assert!(fake.out().join("killed_cold_result.json.attempt-1").exists());

    fake.execute(&plan, &fake.survey(&plan, true).unwrap());
    assert!(fake.out().join("killed_cold_result.json.attempt-2").exists());
}

#[test]
fn a_recording_is_never_overwritten() {
    let fake = Fake::new();
    let plan = fake.plan(&["good"], &["cold"], 1);
    fake.execute(&plan, &fake.survey(&plan, false).unwrap());
    let error = fake.survey(&plan, false).unwrap_err().to_string();
    assert_eq!(
        error.replace(fake.out().to_str().unwrap(), "OUT"),
        "OUT already holds files of good_cold, and recordings are never overwritten: use --resume to run only what is \
         missing, or choose another --out"
    );
    // Files of other runs are in nobody's way.
    fake.survey(&fake.plan(&["good"], &["warm"], 1), false).unwrap();
}

#[test]
fn resuming_with_another_configuration_is_refused_with_every_difference() {
    let fake = Fake::new();
    let plan = fake.plan(&["good"], &["cold"], 1);
    fake.execute(&plan, &fake.survey(&plan, false).unwrap());

    let mut changed = configuration("1000");
    changed.insert("claim-batch".into(), "10".into());
    let seed = MatrixPlan::new(&cells(&["good"], &["cold"]), NonZeroU32::MIN, 2, &fake.out()).unwrap();
    let refusals = [
        survey(&plan, true, &changed).unwrap_err(),
        survey(&seed, true, &configuration("500")).unwrap_err(),
        fake.survey(&fake.plan(&["good"], &["cold"], 3), true).unwrap_err(),
    ];
    let refusals = refusals.map(|error| error.to_string().replace(fake.out().to_str().unwrap(), "OUT"));
    insta::assert_snapshot!(refusals.join("\n"));
}

#[test]
fn a_folder_that_belongs_to_another_matrix_is_refused_even_where_no_file_is_in_the_way() {
    let fake = Fake::new();
    let plan = fake.plan(&["good"], &["cold"], 1);
    fake.execute(&plan, &fake.survey(&plan, false).unwrap());
    let in_blocks = fake.survey(&fake.plan(&["good"], &["cold"], 2), false).unwrap_err().to_string();
    assert!(in_blocks.contains("repeat was 1 and is 2"), "{in_blocks}");
    let another = survey(&fake.plan(&["good"], &["warm"], 1), false, &configuration("1000")).unwrap_err();
    assert!(another.to_string().contains("rate was 500 and is 1000") && another.is_usage(), "{another}");
}

#[test]
fn more_blocks_may_be_added_to_a_matrix_of_several() {
    let fake = Fake::new();
    let two = fake.plan(&["good"], &["cold"], 2);
    fake.execute(&two, &fake.survey(&two, false).unwrap());
    let three = fake.plan(&["good"], &["cold"], 3);
    let outcome = fake.execute(&three, &fake.survey(&three, true).unwrap());
    assert_eq!((outcome.skipped, outcome.finished), (2, 1));
}

#[test]
fn results_of_unknown_configuration_cannot_be_resumed() {
    let fake = Fake::new();
    let plan = fake.plan(&["good"], &["cold"], 1);
    std::fs::create_dir_all(fake.out()).unwrap();
    std::fs::write(plan.runs[0].files.metrics(), "{}").unwrap();
    assert!(fake.survey(&plan, true).unwrap_err().to_string().contains("no matrix.json"));
}

#[test]
fn a_plan_that_cannot_be_is_refused() {
    let plan = |backends: &[&str], scenarios: &[&str]| {
        MatrixPlan::new(&cells(backends, scenarios), NonZeroU32::MIN, 1, Path::new("out")).unwrap_err().to_string()
    };
    assert_eq!(plan(&[], &["cold"]), "no runs: give at least one backend and one scenario");
    assert!(plan(&["a", "a"], &["cold"]).contains("a_cold_*"));
    assert!(plan(&["a", "a_b"], &["b_c", "c"]).contains("a_b_c_*"), "different cells, same files");
}

#[test]
fn a_program_that_cannot_be_started_stops_the_matrix_at_once() {
    let fake = Fake::new();
    let plan = fake.plan(&["good"], &["cold"], 1);
    let command = RunCommand { program: "/no/such/qbench".into(), arguments: Vec::new(), retries: 1, calibrate: false };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let survey = fake.survey(&plan, false).unwrap();
    let mut progress = Progress::lines(Box::new(fake.shown.clone()));
    let error = runtime.block_on(execute(&plan, &survey, &command, &mut progress)).unwrap_err();
    assert!(error.to_string().starts_with("cannot start /no/such/qbench: "), "{error}");
}

#[test]
fn the_dry_run_shows_order_folders_and_time() {
    let cells = cells(&["skip_locked", "valkey_streams"], &["cold", "load"]);
    let plan = MatrixPlan::new(&cells, NonZeroU32::new(2).unwrap(), 1, Path::new("results/vm1_pg")).unwrap();
    let survey = survey(&plan, false, &configuration("500")).unwrap();
    insta::assert_snapshot!(plan.render(&survey));
}

#[test]
fn variants_of_a_cell_have_folders_of_their_own_below_the_block_and_are_named_by_them() {
    let fake = Fake::new();
    let variants = ["workers=2", "workers=4"];
    let mut all = Vec::new();
    for (place, name) in (1..).zip(variants) {
        for mut cell in cells(&["good"], &["cold"]) {
            let variant = RunVariant { name: name.to_owned(), place, ..RunVariant::default() };
            cell.identity.variant = Some(variant);
            cell.arguments = vec!["--set".to_owned(), name.to_owned()];
            all.push(cell);
        }
    }
    let plan = MatrixPlan::new(&all, NonZeroU32::new(2).unwrap(), 1, &fake.out()).unwrap();
    let first = fake.survey(&plan, false).unwrap();
    assert!(plan.render(&first).contains("workers=4/good_cold"), "{}", plan.render(&first));
    let outcome = fake.execute(&plan, &first);
    assert_eq!(outcome.finished, 4, "{outcome}");
    for block in ["rep-01", "rep-02"] {
        for name in variants {
            assert!(fake.out().join(block).join(name).join("good_cold_result.json").exists(), "{block} {name}");
        }
    }
    assert_eq!(fake.execute(&plan, &fake.survey(&plan, true).unwrap()).skipped, 4);
    assert!(fake.survey(&plan, false).unwrap_err().to_string().contains("already holds files of good_cold"));

    all.push(all[0].clone());
    let twice = MatrixPlan::new(&all, NonZeroU32::MIN, 1, &fake.out()).unwrap_err().to_string();
    assert!(twice.contains("workers=2/good_cold_*"), "{twice}");
}
