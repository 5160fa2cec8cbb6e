//! The nearest known name to one that is not known.

/// Edits that a name of this length may be away from what was meant: a third of it, and at least two for short names.
fn allowed_edits(name: &str) -> usize {
    (name.chars().count() / 3).max(2)
}

/// The candidate that `name` was probably meant to be, or `None` when nothing is near.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&name, &candidate.to_lowercase()), candidate))
        .filter(|(edits, candidate)| *edits <= allowed_edits(&name) && *edits < candidate.chars().count())
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// The end of a sentence about an unknown name: `; did you mean …?`, or all known names when nothing is near.
pub fn did_you_mean<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str> + Clone) -> String {
    match nearest(name, candidates.clone()) {
        Some(candidate) => format!("; did you mean `{candidate}`?"),
        None => format!("; known are {}", candidates.into_iter().collect::<Vec<_>>().join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_recognised_and_a_different_word_is_not() {
        let known = ["rate", "duration", "claim-batch"];
        assert_eq!(nearest("rat", known), Some("rate"));
        assert_eq!(nearest("duratoin", known), Some("duration"));
        assert_eq!(nearest("CLAIM_BATCH", known), Some("claim-batch"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("x", ["a"]), None, "replacing every letter is not a likeness");
    }
}
