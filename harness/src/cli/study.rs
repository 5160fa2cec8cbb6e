//! `qbench study`: questions first, then the runs that shall answer them.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};
use qbench_analysis::{Asked, Results};
use qbench_ground::usage::Usage;
use qbench_orchestration::capacity::Found;
use qbench_scenarios::Study;
use qbench_schema::capacity::CapacityRow;
use qbench_schema::files::CAPACITY_JSON;

use super::Status;
use super::capacity::CapacitySearch;
use super::layers::{ServerArgs, SettingsArgs, prepare_out, variable_keys};
use super::matrix::{self, CellArgs, MachineArgs, Matrix};
use super::palette::palette;
use super::variation::Variation;

/// The study as it was written down, in the folder of its runs.
const REGISTERED: &str = "study.toml";
/// Folder of the search for capacities.
const CAPACITY: &str = "capacity";

/// Write questions down first, then make the runs that shall answer them, over as many days as it takes
///
/// A study file has questions, cells, blocks, seed, reference and limits. `run` copies it into the folder of its results, and its hash into every
/// manifest; a file that was changed afterwards is refused. For instance:
/// qbench study run reference --out results/again
#[derive(Debug, Args)]
pub struct StudyArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make the runs that are missing: the blocks, then the search for capacities
    Run(RunArgs),
    /// Say how much of it is done
    Status(Place),
    /// Write tables, pictures and the page with the answers
    Report(ReportArgs),
}

#[derive(Debug, Args)]
struct Place {
    /// A shipped study (reference), or the path of a study file
    #[arg(value_name = "FILE")]
    study: String,
    /// Folder of its results (default: `results/<id>`)
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    servers: ServerArgs,
}

#[derive(Debug, Args)]
struct RunArgs {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    machine: MachineArgs,
}

#[derive(Debug, Args)]
struct ReportArgs {
    #[command(flatten)]
    place: Place,
    /// The page (default: report.html in the folder of the results)
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub fn main(args: StudyArgs, revision: &str) -> anyhow::Result<Status> {
    match args.action {
        Action::Run(args) => run(&args, revision),
        Action::Status(place) => status(&place, revision),
        Action::Report(args) => report(&args),
    }
}

/// A study with its folder.
struct Placed {
    study: Study,
    out: PathBuf,
    settings: SettingsArgs,
}

impl Placed {
    fn read(place: &Place) -> anyhow::Result<Self> {
        let study = Study::load(&place.study, &variable_keys())?;
        let out = place.out.clone().unwrap_or_else(|| Path::new("results").join(&study.id));
        let mut settings = SettingsArgs::of_servers(place.servers.clone());
        settings.profile = Some(study.profile.clone());
        settings.set = vec![format!("seed={}", study.seed)];
        Ok(Placed { study, out, settings })
    }

    /// The copy that was made before the first run; `None` before that.
    ///
    /// # Errors
    /// [`Usage`] where it is another one than the study at hand.
    fn registered(&self) -> anyhow::Result<Option<()>> {
        let path = self.out.join(REGISTERED);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        if text != self.study.text {
            return Err(Usage(format!(
                "the study in {} was written down before its runs, and the one that was given is another one now: a study does not \
                 change its questions afterwards. Give the old file back ({} is a copy), or begin anew with another --out",
                self.out.display(),
                path.display()
            ))
            .into());
        }
        Ok(Some(()))
    }

    fn matrix(&self, revision: &str) -> anyhow::Result<Matrix> {
        let variation = Variation::of_plan(self.study.sweep.clone());
        let blocks = NonZeroU32::new(self.study.blocks).unwrap_or(NonZeroU32::MIN);
        let cells = CellArgs { backends: None, scenarios: None };
        let settings = self.settings.read()?;
        let matrix = Matrix::new(&cells, &variation, &self.settings, settings, blocks, &self.out, revision)?;
        Ok(matrix.with_arguments(["--study".to_owned(), self.study.hash.clone()]))
    }

    fn search(&self) -> Option<CapacitySearch> {
        let part = self.study.capacity.as_ref()?;
        let mut settings = self.settings.clone();
        settings.profile = Some(part.profile.clone());
        // What a search decides itself, and what it sets otherwise, is not the study's.
        let is_common = |key: &str| key != "duration" && key != "rate" && !part.set.contains_key(key);
        let common = self.study.sweep.base.iter().filter(|(key, _)| is_common(key));
        settings.set.extend(common.map(|(key, value)| format!("{key}={value}")));
        settings.set.extend(part.set.iter().map(|(key, value)| match value.as_str() {
            Some(text) => format!("{key}={text}"),
            None => format!("{key}={value}"),
        }));
        Some(CapacitySearch {
            backends: self.study.sweep.backends.clone(),
            slo: part.slo.clone(),
            scenario: part.scenario.clone(),
            settings,
            out: self.out.join(CAPACITY),
            arguments: vec!["--study".to_owned(), self.study.hash.clone()],
        })
    }
}

fn run(args: &RunArgs, revision: &str) -> anyhow::Result<Status> {
    let placed = Placed::read(&args.place)?;
    let is_new = placed.registered()?.is_none();
    // Everything is checked before anything is written down.
    let matrix = placed.matrix(revision)?;
    let search = placed.search();
    search.as_ref().map(|search| search.plan(revision)).transpose()?;
    prepare_out(&placed.out)?;
    if is_new {
        let path = placed.out.join(REGISTERED);
        std::fs::write(&path, &placed.study.text).with_context(|| format!("cannot write {}", path.display()))?;
        eprintln!("Written down: {} (hash {})", path.display(), placed.study.hash);
    }
    let outcome = matrix.run(!is_new, args.machine)?;
    println!("{outcome}");
    if outcome.interrupted {
        eprintln!("Interrupted; the same command goes on from here.");
        return Ok(Status::Failed);
    }
    let mut is_confirmed = true;
    if let Some(search) = search {
        let resume = search.out.join(CAPACITY_JSON).exists();
        let found: Found = search.run(resume, revision)?;
        print!("{}", qbench_analysis::render_capacity(&found.rows));
        if found.interrupted {
            eprintln!("Interrupted; the same command goes on from here.");
            return Ok(Status::Failed);
        }
        is_confirmed = found.rows.iter().all(|row| row.confirmed);
    }
    eprintln!("All runs are made; next: qbench study report {} --out {}", args.place.study, placed.out.display());
    Ok(match matrix::status(&outcome) {
        Status::Done if !is_confirmed => Status::NotValid,
        status => status,
    })
}

fn status(place: &Place, revision: &str) -> anyhow::Result<Status> {
    let placed = Placed::read(place)?;
    if placed.registered()?.is_none() {
        println!("{}: not begun; nothing is in {}", placed.study.id, placed.out.display());
        return Ok(Status::Done);
    }
    let (finished, all) = placed.matrix(revision)?.progress()?;
    println!("{}: {finished} of {all} runs finished, in {}", placed.study.id, placed.out.display());
    if let Some(search) = placed.search() {
        let rows = capacities(&search.out.join(CAPACITY_JSON));
        let settled = rows.iter().filter(|row| row.confirmed).count();
        println!("capacity: {settled} of {} queues confirmed", search.backends.len());
    }
    Ok(Status::Done)
}

/// What a search has found so far; nothing where there was none.
fn capacities(path: &Path) -> Vec<CapacityRow> {
    std::fs::read(path).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
}

/// What a study asks of its runs.
fn asked(study: &Study) -> Asked {
    Asked {
        title: Some(study.title.clone()),
        limitations: study.sweep.limitations.clone(),
        reference: Some(study.reference.clone()),
        same_within: study.same_within,
        questions: study.questions.clone(),
    }
}

/// What the study whose runs are in `dirs` asks of them; `None` where they are of no study, or of several, which is said.
///
/// # Errors
/// Where a study is there and is none.
pub(super) fn asked_in(dirs: &[PathBuf]) -> anyhow::Result<Option<Asked>> {
    let mut found: Option<(Study, &Path)> = None;
    for dir in dirs {
        let path = dir.join(REGISTERED);
        if !path.exists() {
            continue;
        }
        let study = Study::load(&path.display().to_string(), &variable_keys())?;
        match &found {
            Some((first, first_dir)) if first.text != study.text => {
                eprintln!(
                    "qbench: {} and {} are of two studies, so the questions of neither are answered",
                    first_dir.display(),
                    dir.display()
                );
                return Ok(None);
            }
            Some(_) => {}
            None => found = Some((study, dir)),
        }
    }
    Ok(found.map(|(study, _)| asked(&study)))
}

fn report(args: &ReportArgs) -> anyhow::Result<Status> {
    let placed = Placed::read(&args.place)?;
    if placed.registered()?.is_none() {
        return Err(Usage(format!("there are no runs in {}: qbench study run makes them", placed.out.display())).into());
    }
    let (asked, out) = (asked(&placed.study), &placed.out);
    let tables = out.join("analysis");
    let results = Results::read(std::slice::from_ref(out), &palette())?;
    let analysis = results.analyze(&tables, &asked)?;
    print!("{}", analysis.table);
    for problem in &analysis.problems {
        eprintln!("qbench: {problem}");
    }
    qbench_analysis::graph(&tables.join("summary.csv"), &out.join("graphs"), &palette())?;
    let rows = capacities(&out.join(CAPACITY).join(CAPACITY_JSON));
    qbench_analysis::graph_capacity(&rows, &out.join("graphs"), &palette())?;
    let output = args.output.clone().unwrap_or_else(|| out.join("report.html"));
    results.report(out, &output, &asked, &palette())?;
    println!("{}", output.display());
    Ok(Status::Done)
}
