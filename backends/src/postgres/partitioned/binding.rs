//! Which worker serves which partition, and in which turn.

use std::collections::VecDeque;

use crate::job::WorkerId;

/// The partitions that `worker` of `workers` serves: every `workers`-th where there are enough of them, else one that it
/// shares with others. Every partition is served by somebody. 20 workers on 16 partitions are uneven by structure: four
/// partitions have two workers and twelve have one (METHODOLOGY F3).
pub(super) fn own_partitions(worker: WorkerId, workers: u32, partitions: u32) -> Vec<u32> {
    let workers = workers.max(1);
    if workers <= partitions {
        let worker = worker.0 % workers;
        (0..partitions).filter(|partition| partition % workers == worker).collect()
    } else {
        vec![worker.0 % partitions]
    }
}

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

    fn served_by(workers: u32, partitions: u32) -> Vec<usize> {
        let mut served = vec![0; partitions as usize];
        for worker in 0..workers {
            for partition in own_partitions(WorkerId(worker), workers, partitions) {
                served[partition as usize] += 1;
            }
        }
        served
    }

    #[test]
    fn every_partition_is_served_whatever_the_numbers() {
        for workers in 1..=40 {
            for partitions in [1, 2, 7, 16, 32] {
                let served = served_by(workers, partitions);
                assert!(
                    served.iter().all(|count| *count > 0),
                    "{workers} workers, {partitions} partitions: {served:?}"
                );
            }
        }
    }

    #[test]
    fn fewer_workers_than_partitions_share_nothing() {
        assert!(served_by(5, 16).iter().all(|count| *count == 1));
        assert_eq!(own_partitions(WorkerId(1), 5, 16), [1, 6, 11]);
    }

    #[test]
    fn twenty_workers_on_sixteen_partitions_are_uneven() {
        let served = served_by(20, 16);
        assert_eq!(served.iter().filter(|count| **count == 2).count(), 4);
        assert_eq!(served.iter().filter(|count| **count == 1).count(), 12);
    }

    #[test]
    fn one_worker_serves_everything_under_any_number() {
        assert_eq!(own_partitions(WorkerId(0), 1, 4), [0, 1, 2, 3]);
        assert_eq!(own_partitions(WorkerId(9), 1, 4), [0, 1, 2, 3]);
    }

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
