//! In which turn a worker looks into its partitions.

use std::collections::VecDeque;

/// Takes partitions in turn, starting after the one that was taken last, among those that are said to have work.
pub(super) struct Rotation {
    /// All of them, ascending.
    partitions: Vec<u32>,
    /// Said to have work and not taken since, in turn.
    hinted: VecDeque<u32>,
    /// The one that was taken last.
    last: Option<u32>,
}

impl Rotation {
    pub(super) fn new(partitions: Vec<u32>) -> Self {
        Rotation { partitions, hinted: VecDeque::new(), last: None }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.partitions.is_empty()
    }

    /// The partition where there is exactly one, and so nothing to rotate over.
    pub(super) fn only(&self) -> Option<u32> {
        match self.partitions[..] {
            [only] => Some(only),
            _ => None,
        }
    }

    /// Replaces the hints by `found`.
    pub(super) fn refill(&mut self, found: &[u32]) {
        let after = self.last.map_or(0, |last| self.partitions.partition_point(|partition| *partition <= last));
        let turn = self.partitions[after..].iter().chain(&self.partitions[..after]);
        self.hinted.clear();
        self.hinted.extend(turn.copied().filter(|partition| found.contains(partition)));
    }

    /// The next hint.
    pub(super) fn next(&mut self) -> Option<u32> {
        let partition = self.hinted.pop_front()?;
        self.last = Some(partition);
        Some(partition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_start_after_the_one_taken_last() {
        let mut rotation = Rotation::new(vec![1, 6, 11]);
        rotation.refill(&[1, 6, 11]);
        assert_eq!((rotation.next(), rotation.next()), (Some(1), Some(6)));
        rotation.refill(&[11, 6, 1]);
        assert_eq!(
            [rotation.next(), rotation.next(), rotation.next(), rotation.next()],
            [Some(11), Some(1), Some(6), None]
        );
    }

    #[test]
    fn only_partitions_with_work_are_visited() {
        let mut rotation = Rotation::new(vec![1, 6, 11]);
        rotation.refill(&[6]);
        assert_eq!((rotation.next(), rotation.next()), (Some(6), None));
        assert_eq!(rotation.only(), None);
        assert_eq!(Rotation::new(vec![3]).only(), Some(3));
    }
}
