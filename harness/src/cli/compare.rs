//! `qbench compare`: two result sets against each other.

use std::path::PathBuf;

use clap::Args;
use clap::builder::PossibleValuesParser;
use qbench_analysis::Across;
use qbench_ground::usage::Usage;
use qbench_schema::result::word;

use super::Status;
use super::palette::palette;

/// Words of a comparison that somebody may want to fail on.
const WORDS: [&str; 4] = ["slower", "faster", "undecided", "refused"];

/// Compare two result sets cell by cell: yesterday and today, two revisions, two settings, two machines
///
/// Each figure of the second set over that of the first, with its 95 % interval and a word: faster, slower, same within 5 %, undecided. Blocks
/// of the same number pair. Cells whose identities differ are refused, unless the difference is the question:
/// qbench compare results/before results/after --across revision --fail-on slower
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// Result folder to compare with
    #[arg(value_name = "A")]
    before: PathBuf,
    /// Result folder that is compared
    #[arg(value_name = "B")]
    after: PathBuf,
    /// What may differ: version, host, setting, revision, topology, separated by commas
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    across: Vec<String>,
    /// End with status 4 when a figure is one of these: slower, faster, undecided, refused
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = PossibleValuesParser::new(WORDS), hide_possible_values = true)]
    fail_on: Vec<String>,
    /// Print the comparisons as JSON
    #[arg(long)]
    json: bool,
}

pub fn main(args: CompareArgs) -> anyhow::Result<Status> {
    let across: Vec<Across> = args
        .across
        .iter()
        .map(|name| name.parse().map_err(|reason| Usage(format!("--across {name}: {reason}"))))
        .collect::<Result<_, _>>()?;
    let compared = qbench_analysis::compare(&args.before, &args.after, &across, &palette())?;
    for problem in &compared.problems {
        eprintln!("qbench: {problem}");
    }
    for sentence in &compared.alone {
        eprintln!("qbench: {sentence}");
    }
    if compared.rows.is_empty() {
        return Err(Usage(format!(
            "{} and {} have no cell in common: no backend ran in the same scenario and variant in both",
            args.before.display(),
            args.after.display()
        ))
        .into());
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&compared.rows)?);
    } else {
        print!("{}", compared.table);
    }
    let is_found = compared.rows.iter().any(|row| args.fail_on.contains(&word(row.verdict)));
    Ok(if is_found { Status::Found } else { Status::Done })
}
