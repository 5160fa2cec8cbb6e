//! Several comparisons against one reference: Holm's step-down procedure keeps the chance of any false word at the level of one.

/// What Holm's procedure says of one comparison.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// The p that may be held against the level of the whole family.
    pub adjusted_p: f64,
    /// The level that its own p is held against: that of the family, divided by how many comparisons are not decided before it.
    pub level: f64,
}

/// Judges `ps` as one family at `level`; in their order. Source: Holm, *A simple sequentially rejective multiple test procedure*
/// (Scand. J. Statist. 6, 1979).
pub fn holm(ps: &[f64], level: f64) -> Vec<Step> {
    let mut order: Vec<usize> = (0..ps.len()).collect();
    order.sort_by(|a, b| ps[*a].total_cmp(&ps[*b]));
    let mut steps = vec![Step { adjusted_p: 1.0, level }; ps.len()];
    let mut adjusted_p = 0.0_f64;
    for (place, index) in order.iter().copied().enumerate() {
        // Which of several equal ones comes first is chance, so all of them have the place of the first.
        let place = order[..place].iter().take_while(|before| ps[**before] != ps[index]).count();
        let undecided = (ps.len() - place) as f64;
        adjusted_p = adjusted_p.max((ps[index] * undecided).min(1.0));
        steps[index] = Step { adjusted_p, level: level / undecided };
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As R has it: `p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")` is `0.03 0.06 0.06 0.02`.
    #[test]
    fn a_family_comes_out_as_in_r() {
        let adjusted: Vec<f64> = holm(&[0.01, 0.04, 0.03, 0.005], 0.05).iter().map(|step| step.adjusted_p).collect();
        for (found, expected) in adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((found - expected).abs() < 1e-12, "{adjusted:?}");
        }
        let tied = holm(&[0.02, 0.01, 0.01], 0.05);
        assert_eq!((tied[1], tied[0].level), (tied[2], 0.05));
        assert_eq!(holm(&[0.5], 0.05), [Step { adjusted_p: 0.5, level: 0.05 }]);
        assert!(holm(&[], 0.05).is_empty());
    }
}
