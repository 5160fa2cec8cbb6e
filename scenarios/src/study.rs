//! A study: questions and the runs that shall answer them, written down before the runs.

use qbench_schema::study::Question;
use qbench_schema::summary::COLUMNS;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::nearest::did_you_mean;
use crate::sweep::Sweep;
use crate::wire;

/// The studies that are compiled in: id and text.
const SHIPPED: [(&str, &str); 1] = [("reference", include_str!("../studies/reference.toml"))];

/// Characters of the hash that stand in manifests: enough that no other text has them.
const HASH_CHARS: usize = 16;

/// A study as a file describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Study {
    /// Its name on the command line and in results.
    pub id: String,
    /// What it is about.
    pub title: String,
    /// Backend that all others are compared with.
    pub reference: String,
    /// How often every cell is run.
    pub blocks: u32,
    /// Seed of order and arrivals.
    pub seed: u64,
    /// Profile that gives the sizes.
    pub profile: String,
    /// What counts as no difference: a share to either side, 0.05 for 5 %.
    pub same_within: f64,
    /// Cells and settings.
    pub sweep: Sweep,
    /// The search for capacities, where there is one.
    pub capacity: Option<CapacityPart>,
    /// The questions, in their order.
    pub questions: Vec<Question>,
    /// The file, to the letter.
    pub text: String,
    /// SHA-256 of it, shortened: what every manifest of its runs has.
    pub hash: String,
}

/// The search for capacities that belongs to a study.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CapacityPart {
    /// The limit: `p99=100ms`.
    pub slo: String,
    /// The scenario.
    pub scenario: String,
    /// Profile that gives the size of probes.
    pub profile: String,
    /// Settings beside those of the study: a value each.
    #[serde(default)]
    pub set: toml::Table,
}

/// A study file as it is written; the keys of its cells are those of a plan.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Wire {
    id: String,
    title: String,
    limitations: Vec<String>,
    reference: String,
    blocks: u32,
    seed: u64,
    profile: String,
    same_within_percent: f64,
    backends: Vec<String>,
    scenarios: Vec<String>,
    #[serde(default)]
    base: toml::Table,
    vary: Option<toml::Table>,
    capacity: Option<CapacityPart>,
    #[serde(default)]
    question: Vec<Question>,
}

impl Study {
    /// The shipped study of that name, or the one in the file at that path. `options` are the keys that exist beside the workload's.
    ///
    /// # Errors
    /// [`Error::UnknownName`] with the nearest name; [`Error::Read`]; as [`Study::parse`] otherwise.
    pub fn load(name_or_path: &str, options: &[&str]) -> Result<Self> {
        let (text, path) = wire::find("study", name_or_path, &SHIPPED)?;
        Study::parse(&text, &path, options)
    }

    /// Reads and checks the text of a study; `path` is for messages.
    ///
    /// # Errors
    /// [`Error::Shape`] for text that is not a study's; [`Error::Value`] for what is impossible in it; as [`Sweep::parse`] for its cells.
    pub fn parse(text: &str, path: &str, options: &[&str]) -> Result<Self> {
        let wire: Wire = wire::read(text, path)?;
        let refuse = |key: &str, problem: &str| Error::value(format!("{path}: {key}"), problem);
        if wire.blocks == 0 {
            return Err(refuse("blocks", "a study needs at least one"));
        }
        if wire.question.is_empty() {
            return Err(refuse("question", "a study without a question answers none: add a [[question]]"));
        }
        if !wire.backends.contains(&wire.reference) {
            return Err(refuse("reference", "it is none of the backends"));
        }
        if !(wire.same_within_percent > 0.0 && wire.same_within_percent < 100.0) {
            return Err(refuse(
                "same-within-percent",
                "it is above 0 and below 100: 5 calls ratios from 1/1.05 to 1.05 the same",
            ));
        }
        for question in &wire.question {
            let compared = || COLUMNS.iter().filter(|column| column.is_compared()).map(|column| column.name);
            if let Some(figure) = question.figures.iter().find(|figure| !compared().any(|name| name == **figure)) {
                let nearest = did_you_mean(figure, compared());
                return Err(refuse("question", &format!("{figure} is no figure that is compared{nearest}")));
            }
            if let Some(over) = question.over.as_ref().filter(|over| !wire.scenarios.contains(over)) {
                return Err(refuse("question", &format!("over = {over:?} is none of the study's scenarios")));
            }
            let unknown = |list: &[String], known: &[String]| list.iter().find(|name| !known.contains(name)).cloned();
            if let Some(name) = unknown(&question.backends, &wire.backends) {
                return Err(refuse("question", &format!("backend {name} is none of the study's")));
            }
            if let Some(name) = unknown(&question.scenarios, &wire.scenarios) {
                return Err(refuse("question", &format!("scenario {name} is none of the study's")));
            }
            match &question.over {
                Some(over) if question.scenarios.contains(over) => {
                    let problem =
                        format!("over = {over:?} is one of its own scenarios, and would be divided by itself");
                    return Err(refuse("question", &problem));
                }
                // Variants of the reference are compared with its first one.
                None if wire.vary.is_none() && question.backends.contains(&wire.reference) => {
                    let problem = format!(
                        "backend {} is the reference and is not compared with itself: leave it out, or divide by a \
                         scenario with over",
                        wire.reference
                    );
                    return Err(refuse("question", &problem));
                }
                _ => {}
            }
        }
        let mut plan = toml::Table::new();
        plan.insert("id".to_owned(), wire.id.clone().into());
        plan.insert("question".to_owned(), wire.title.clone().into());
        plan.insert("limitations".to_owned(), wire.limitations.into());
        plan.insert("backends".to_owned(), wire.backends.into());
        plan.insert("scenarios".to_owned(), wire.scenarios.into());
        plan.insert("base".to_owned(), wire.base.into());
        plan.extend(wire.vary.map(|vary| ("vary".to_owned(), vary.into())));
        let digest = Sha256::digest(text.as_bytes());
        let hash: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Study {
            sweep: Sweep::parse(&plan.to_string(), path, options)?,
            id: wire.id,
            title: wire.title,
            reference: wire.reference,
            blocks: wire.blocks,
            seed: wire.seed,
            profile: wire.profile,
            same_within: wire.same_within_percent / 100.0,
            capacity: wire.capacity,
            questions: wire.question,
            text: text.to_owned(),
            hash: hash[..HASH_CHARS].to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r#"
id = "small"
title = "Two queues"
limitations = ["Small."]
reference = "skip_locked"
blocks = 8
seed = 4
profile = "quick"
same-within-percent = 5
backends = ["skip_locked", "valkey_streams"]
scenarios = ["warm"]

[base]
wake = "push"

[[question]]
text = "Is it faster?"
figures = ["latency_p50_ms"]
backends = ["valkey_streams"]
scenarios = ["warm"]
because = "Median latency."
"#;

    #[test]
    fn a_study_has_cells_questions_and_a_hash_of_its_very_letters() {
        let study = Study::parse(SMALL, "small.toml", &[]).expect("a study");
        assert_eq!((study.blocks, study.questions.len(), study.sweep.backends.len()), (8, 1, 2));
        assert_eq!(study.sweep.base, [("wake".to_owned(), "push".to_owned())]);
        let other = Study::parse(&SMALL.replace("faster", "slower"), "small.toml", &[]).expect("a study");
        assert_ne!(study.hash, other.hash);
        assert_eq!(study.hash.len(), HASH_CHARS);
    }

    #[test]
    fn what_cannot_be_answered_is_refused() {
        let refused = |text: String| Study::parse(&text, "small.toml", &[]).expect_err("refused").to_string();
        assert!(refused(SMALL.replace("reference = \"skip_locked\"", "reference = \"sqlite\"")).contains("reference"));
        assert!(
            refused(SMALL.replace("scenarios = [\"warm\"]\nbecause", "scenarios = [\"load\"]\nbecause"))
                .contains("load")
        );
        assert!(refused(SMALL.replace("latency_p50_ms", "latency_p5_ms")).contains("did you mean `latency_p50_ms`"));
        assert!(refused(SMALL.replace("because", "over = \"load\"\nbecause")).contains("over = \"load\""));
        let over_itself = refused(SMALL.replace("because", "over = \"warm\"\nbecause"));
        assert!(over_itself.ends_with("over = \"warm\" is one of its own scenarios, and would be divided by itself"));
        let of_reference = SMALL.replace("backends = [\"valkey_streams\"]", "backends = [\"skip_locked\"]");
        assert!(refused(of_reference.clone()).contains("skip_locked is the reference and is not compared with itself"));
        let varied = of_reference.replace("[[question]]", "[vary]\nworkers = [2, 4]\n\n[[question]]");
        Study::parse(&varied, "small.toml", &[]).expect("its variants are compared with its first one");
        assert!(refused(SMALL.replace("percent = 5", "percent = 0")).contains("same-within-percent"));
        assert!(refused(SMALL.replace("blocks = 8", "blocks = 0")).contains("blocks"));
        assert!(refused(SMALL.replace("blocks = 8", "blokcs = 8")).contains("blocks"), "the nearest name");
        let without = SMALL.split("[[question]]").next().expect("a part").to_owned();
        assert!(refused(without).contains("[[question]]"));
    }

    #[test]
    fn the_shipped_studies_are_studies() {
        for (id, _) in SHIPPED {
            assert_eq!(Study::load(id, &["commit", "durability"]).map(|study| study.id).expect("a study"), id);
        }
    }
}
