//! Which shards belong together, and whether all of them are there.

use std::collections::BTreeMap;
use std::path::PathBuf;

use qbench_analysis::load::{self, Run};
use qbench_ground::usage::Usage;
use qbench_schema::files::RunFiles;
use qbench_schema::result::{RunIdentity, RunResult, RunStatus};
use qbench_schema::shard::{ShardFigures, ShardIdentity};

/// One shard, finished.
pub(super) struct Shard {
    pub(super) files: RunFiles,
    pub(super) result: RunResult,
    pub(super) identity: ShardIdentity,
    pub(super) figures: ShardFigures,
}

/// Every shard of one run, in the order of their numbers.
pub(super) struct ShardSet {
    pub(super) shards: Vec<Shard>,
}

impl ShardSet {
    /// The one whose clock is everybody's.
    pub(super) fn first(&self) -> &Shard {
        &self.shards[0]
    }

    /// Whether each shard had a queue of its own.
    pub(super) fn queue_per_shard(&self) -> bool {
        self.first().identity.queue_per_shard
    }
}

/// Every run of which there are shards in `dirs`, and files that could not be used, a sentence each.
///
/// # Errors
/// [`Usage`] with what is missing, doubled or unlike; [`qbench_analysis::Error::Input`] for a folder that cannot be read.
pub(super) fn find(dirs: &[PathBuf]) -> anyhow::Result<(Vec<ShardSet>, Vec<String>)> {
    let loaded = load::load_shards(dirs)?;
    let problems = loaded.problems.iter().map(ToString::to_string).collect();
    let mut by_key: BTreeMap<(String, String), Vec<(Run, ShardIdentity)>> = BTreeMap::new();
    for run in loaded.runs {
        let Some(shard) = run.result.identity.shard.clone() else { continue };
        let name = format!("{} {}", run.result.identity.backend, run.result.identity.scenario);
        by_key.entry((name, shard.run_key.clone())).or_default().push((run, shard));
    }
    if by_key.is_empty() {
        let dirs: Vec<String> = dirs.iter().map(|dir| dir.display().to_string()).collect();
        return Err(Usage(format!(
            "there is no shard of a run in {}; give the folders that `qbench run --shard` wrote to",
            dirs.join(", ")
        ))
        .into());
    }
    let mut names = BTreeMap::new();
    for (name, key) in by_key.keys() {
        let Some(other) = names.insert(name, key) else { continue };
        return Err(Usage(format!(
            "these folders have shards of two runs of {name} ({other} and {key}): merge each run by itself, into a folder of its own"
        ))
        .into());
    }
    let sets = by_key.into_iter().map(|((name, key), runs)| complete(&name, &key, runs)).collect::<Result<_, _>>()?;
    Ok((sets, problems))
}

/// The set of one run, when it is complete and of one kind.
fn complete(name: &str, key: &str, mut runs: Vec<(Run, ShardIdentity)>) -> Result<ShardSet, Usage> {
    runs.sort_by_key(|(_, shard)| shard.number);
    let of = runs[0].1.of;
    let refuse = |why: String| Err(Usage(format!("run {key} of {name} cannot be merged: {why}")));
    for ((one, shard), (other, next)) in runs.iter().zip(runs.iter().skip(1)) {
        if shard.number == next.number {
            return refuse(format!(
                "shard {} is there twice, {} and {}",
                shard.which(),
                one.files.result().display(),
                other.files.result().display()
            ));
        }
    }
    let there = |number: &u32| runs.iter().any(|(_, shard)| shard.number == *number);
    let missing: Vec<String> = (1..=of).filter(|number| !there(number)).map(|number| number.to_string()).collect();
    if !missing.is_empty() {
        return refuse(format!("shards {} of {of} are missing: give the folders of all of them", missing.join(", ")));
    }
    let mut shards = Vec::new();
    for (run, identity) in runs {
        let figures = run.result.shard_figures.filter(|_| run.result.status == RunStatus::Finished);
        let Some(figures) = figures else {
            let reasons = run.result.reasons_against();
            return refuse(format!(
                "shard {} is missing, because it did not finish ({}): run all of them again",
                identity.which(),
                reasons.first().map_or("its verdict has no figures", String::as_str)
            ));
        };
        shards.push(Shard { files: run.files, result: run.result, identity, figures });
    }
    if let Some((shard, what)) = shards.iter().find_map(|shard| Some((shard, difference(&shards[0], shard)?))) {
        return refuse(format!(
            "shards {} and {} differ in {what}",
            shards[0].identity.which(),
            shard.identity.which()
        ));
    }
    Ok(ShardSet { shards })
}

/// What two shards of one run may not differ in and do.
fn difference(one: &Shard, other: &Shard) -> Option<String> {
    type Part = fn(&RunIdentity) -> String;
    let parts: [(&str, Part); 5] = [
        ("the revision of the program", |identity| identity.git_revision.clone()),
        ("the version of the server", |identity| format!("{} {}", identity.engine, identity.engine_version)),
        ("the settings of the server", |identity| format!("{:?}", identity.server_settings)),
        ("the class of durability", |identity| format!("{:?}", identity.durability)),
        ("the way of waiting", |identity| format!("{:?} {:?}", identity.waiting, identity.poll_interval_ms)),
    ];
    parts.into_iter().find_map(|(what, of)| {
        let (one, other) = (of(&one.result.identity), of(&other.result.identity));
        (one != other)
            .then(|| if one.len() + other.len() < 100 { format!("{what} ({one}, {other})") } else { what.to_owned() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(number: u32, change: impl FnOnce(&mut RunResult)) -> (Run, ShardIdentity) {
        let shard = ShardIdentity { number, of: 3, run_key: "abc".to_owned(), ..ShardIdentity::default() };
        let identity = RunIdentity { shard: Some(shard.clone()), ..RunIdentity::default() };
        let mut result = RunResult {
            shard_figures: Some(ShardFigures::default()),
            ..RunResult::without_figures(identity, RunStatus::Finished, "")
        };
        change(&mut result);
        let files = RunFiles::new(std::path::Path::new("dir"), "skip_locked", "warm").of_shard(shard.which());
        (Run { files, result, metrics: None }, shard)
    }

    fn said(runs: Vec<(Run, ShardIdentity)>) -> String {
        complete("skip_locked warm", "abc", runs).err().map(|error| error.to_string()).unwrap_or_default()
    }

    fn all_but(left_out: u32) -> Vec<(Run, ShardIdentity)> {
        (1..=3).rev().filter(|number| *number != left_out).map(|number| run(number, |_| {})).collect()
    }

    #[test]
    fn a_complete_set_is_taken_in_the_order_of_its_numbers() {
        let set = complete("skip_locked warm", "abc", all_but(0)).unwrap();
        assert_eq!(set.shards.iter().map(|shard| shard.identity.number).collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[test]
    fn a_missing_shard_is_named() {
        assert_eq!(
            said(all_but(2)),
            "run abc of skip_locked warm cannot be merged: shards 2 of 3 are missing: give the folders of all of them"
        );
    }

    #[test]
    fn a_doubled_shard_is_named_with_both_files() {
        let doubled = [all_but(0), vec![run(2, |_| {})]].concat();
        let said = said(doubled);
        assert!(
            said.contains("shard 2/3 is there twice, dir/skip_locked_warm_shard-2-of-3_result.json and dir/"),
            "{said}"
        );
    }

    #[test]
    fn a_shard_that_was_killed_is_missing() {
        let killed = [all_but(2), vec![run(2, |result| result.status = RunStatus::Running)]].concat();
        let said = said(killed);
        assert!(said.contains("shard 2/3 is missing, because it did not finish (killed"), "{said}");
    }

    #[test]
    fn shards_of_two_programs_or_servers_are_no_one_run() {
        type Change = fn(&mut RunResult);
        let changes: [(&str, Change); 2] = [
            ("revision of the program (, 123)", |result| result.identity.git_revision = "123".to_owned()),
            ("version of the server ( ,  18)", |result| result.identity.engine_version = "18".to_owned()),
        ];
        for (what, change) in changes {
            let said = said([all_but(3), vec![run(3, change)]].concat());
            assert!(said.contains("shards 1/3 and 3/3 differ in the ") && said.contains(what), "{said}");
        }
    }
}
