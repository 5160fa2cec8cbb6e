//! Which runs there are, in which order, and where their files go.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::HumanDuration;
use qbench_schema::files::{RunFiles, block_dir};
use qbench_schema::matrix::MatrixRecord;
use qbench_schema::result::RunIdentity;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::error::{Error, Result};

/// One backend in one scenario, in one variant where settings are varied.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// What its runs are: backend, scenario, variant, and all that the result file of a run says which fails before it can write
    /// one. Name, block and start are filled in for each run.
    pub identity: RunIdentity,
    /// What `--scenario` is given: the id, or the path of a scenario file.
    pub scenario_argument: String,
    /// Arguments of its own, beside those that all runs share. They show in the process list, so they hold no secrets.
    pub arguments: Vec<String>,
    /// Time that one run will take, setup included.
    pub estimate: Duration,
}

impl Cell {
    /// Its files in block `block` of `blocks` below `out`: in a folder of the variant, where there is one.
    fn files(&self, out: &Path, block: u32, blocks: u32) -> RunFiles {
        let dir = block_dir(out, block, blocks);
        let dir = self.identity.variant.as_ref().map_or(dir.clone(), |variant| dir.join(variant.folder()));
        RunFiles::new(&dir, &self.identity.backend, &self.identity.scenario)
    }

    /// Its name within a block: what its file names begin with, after the variant's folder where there is one.
    fn name(&self, files: &RunFiles) -> String {
        match &self.identity.variant {
            Some(variant) => format!("{}/{}", variant.folder(), files.run()),
            None => files.run().to_owned(),
        }
    }
}

/// One run of the matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedRun {
    /// What runs.
    pub cell: Cell,
    /// Its block, counted from 1.
    pub block: u32,
    /// Its files.
    pub files: RunFiles,
    /// Its name within the block: `<backend>_<scenario>`, after the variant's folder where there is one.
    pub name: String,
}

/// What is to be done about one run of the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing of it is there.
    Run,
    /// It was started before and did not finish, or this machine alone spoiled it; its files are kept under another name.
    Repeat,
    /// It finished before.
    Skip,
}

/// The state of the output folder against the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// One per run of the plan, in its order.
    pub actions: Vec<Action>,
    /// What `matrix.json` will say.
    pub(crate) record: MatrixRecord,
}

/// All runs in the order in which they are made.
#[derive(Debug, Clone, PartialEq)]
pub struct MatrixPlan {
    /// The runs, block after block.
    pub runs: Vec<PlannedRun>,
    /// Number of blocks.
    pub blocks: u32,
    /// Seed of the order.
    pub seed: u64,
    /// Output folder.
    pub out: PathBuf,
}

impl MatrixPlan {
    /// `blocks` blocks below `out`. Each runs every cell once, in an order that depends on `seed` and the block's number
    /// only: the blocks of a longer matrix begin with those of a shorter one.
    ///
    /// # Errors
    /// [`Error::Empty`] without cells, [`Error::Twice`] when two of them would write the same files.
    pub fn new(cells: &[Cell], blocks: NonZeroU32, seed: u64, out: &Path) -> Result<Self> {
        if cells.is_empty() {
            return Err(Error::Empty);
        }
        let mut names = HashSet::new();
        for cell in cells {
            let name = cell.name(&cell.files(out, 1, 1));
            if !names.insert(name.clone()) {
                return Err(Error::Twice { run: name });
            }
        }

        let blocks = blocks.get();
        let mut runs = Vec::with_capacity(cells.len() * blocks as usize);
        for block in 1..=blocks {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            random.set_stream(u64::from(block));
            let mut order: Vec<&Cell> = cells.iter().collect();
            order.shuffle(&mut random);
            runs.extend(order.into_iter().map(|cell| {
                let files = cell.files(out, block, blocks);
                PlannedRun { cell: cell.clone(), block, name: cell.name(&files), files }
            }));
        }
        Ok(MatrixPlan { runs, blocks, seed, out: out.to_path_buf() })
    }

    /// The plan for people (`--dry-run`): order, folders, and the time that it will take.
    pub fn render(&self, survey: &Survey) -> String {
        let skipped = survey.actions.iter().filter(|action| **action == Action::Skip).count();
        let to_run = self.runs.len() - skipped;
        let total: Duration =
            self.steps(survey).filter(|(_, action)| *action != Action::Skip).map(|(run, _)| run.cell.estimate).sum();
        let count = |number: usize, word: &str| format!("{number} {word}{}", if number == 1 { "" } else { "s" });
        let mut text = format!(
            "{} in {}, order from seed {}; {}about {}\n",
            count(self.runs.len(), "run"),
            count(self.blocks as usize, "block"),
            self.seed,
            if skipped > 0 { format!("{skipped} already finished, {to_run} to run; ") } else { String::new() },
            HumanDuration(total)
        );
        let width = self.runs.iter().map(|run| run.name.chars().count()).max().unwrap_or_default();
        let mut block = 0;
        for (number, (run, action)) in (1..).zip(self.steps(survey)) {
            if run.block != block {
                block = run.block;
                // Writing to a String cannot fail.
                let _ = writeln!(text, "\nblock {block} -> {}", block_dir(&self.out, block, self.blocks).display());
            }
            let fate = match action {
                Action::Run => format!("about {}", HumanDuration(run.cell.estimate)),
                Action::Repeat => format!("about {} (again: it did not finish)", HumanDuration(run.cell.estimate)),
                Action::Skip => "finished, skipped".to_owned(),
            };
            let _ = writeln!(text, "{number:>4}  {:width$}  {fate}", run.name);
        }
        text
    }

    /// Every run with what is to be done about it.
    pub fn steps<'a>(&'a self, survey: &'a Survey) -> impl Iterator<Item = (&'a PlannedRun, Action)> {
        self.runs.iter().zip(survey.actions.iter().copied())
    }
}
