//! Which worker serves which partition.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::job::WorkerId;

/// Workers and partitions of one opened backend: who is meant to serve what, and who does so now.
///
/// 20 workers on 16 partitions are uneven by structure: four partitions have two workers and twelve have one
/// (METHODOLOGY F3). [`Binding::notes`] says so with the numbers at hand.
pub(super) struct Binding {
    workers: u32,
    partitions: u32,
    steal: bool,
    /// Open consumers by partition.
    serving: Vec<AtomicU32>,
}

impl Binding {
    pub(super) fn new(workers: u32, partitions: u32, steal: bool) -> Self {
        let serving = (0..partitions).map(|_| AtomicU32::new(0)).collect();
        Binding { workers: workers.max(1), partitions, steal, serving }
    }

    /// The partitions that `worker` serves: every `workers`-th where there are enough of them, else one that it shares with
    /// others. Every partition is served by somebody.
    pub(super) fn own(&self, worker: WorkerId) -> Vec<u32> {
        if self.workers <= self.partitions {
            let worker = worker.0 % self.workers;
            (0..self.partitions).filter(|partition| partition % self.workers == worker).collect()
        } else {
            vec![worker.0 % self.partitions]
        }
    }

    /// The partitions into which `worker` looks when its own are empty.
    pub(super) fn others(&self, worker: WorkerId) -> Vec<u32> {
        let own = self.own(worker);
        if self.steal { (0..self.partitions).filter(|p| !own.contains(p)).collect() } else { Vec::new() }
    }

    /// How many of the workers serve each partition, by partition.
    pub(super) fn workers_by_partition(&self) -> Vec<u32> {
        let mut workers = vec![0; self.partitions as usize];
        for worker in 0..self.workers {
            for partition in self.own(WorkerId(worker)) {
                workers[partition as usize] += 1;
            }
        }
        workers
    }

    /// Counts `worker` as serving its partitions for as long as the returned value lives.
    pub(super) fn serve(self: &Arc<Self>, worker: WorkerId) -> Serving {
        let partitions = self.own(worker);
        for partition in &partitions {
            self.serving[*partition as usize].fetch_add(1, Ordering::Relaxed);
        }
        Serving { binding: Arc::clone(self), partitions }
    }

    /// What a reader of this backend's figures must know.
    pub(super) fn notes(&self) -> Vec<String> {
        self.unevenness().into_iter().chain(self.unserved()).collect()
    }

    /// The bound that an uneven binding puts on the queue; `None` where it is even.
    fn unevenness(&self) -> Option<String> {
        let (workers, partitions) = (self.workers, self.partitions);
        if workers.is_multiple_of(partitions) || partitions.is_multiple_of(workers) {
            return None;
        }
        // Jobs spread evenly over partitions, so the queue is as fast as its slowest worker or partition lets it be.
        let (shares, at_full_speed) = if workers > partitions {
            let (least, more) = (workers / partitions, workers % partitions);
            let shares = format!("{more} partitions have {} workers and {} have {least}", least + 1, partitions - more);
            (shares, f64::from(partitions * least))
        } else {
            let (least, more) = (partitions / workers, partitions % workers);
            let shares = format!("{more} workers serve {} partitions and {} serve {least}", least + 1, workers - more);
            (shares, f64::from(partitions) / f64::from(least + 1))
        };
        let remedy = if self.steal {
            "steal = true lets idle workers help elsewhere"
        } else {
            "compare numbers of which one divides the other, or steal = true"
        };
        Some(format!(
            "{workers} workers do not divide evenly over {partitions} partitions: {shares}, which bounds the queue at what \
             {} of the {workers} workers can do; {remedy}",
            (at_full_speed * 10.0).round() / 10.0
        ))
    }

    /// Partitions that nobody serves though others have their workers; `None` while every worker is there, or none is.
    fn unserved(&self) -> Option<String> {
        let is_served = |count: &AtomicU32| count.load(Ordering::Relaxed) > 0;
        if self.steal || !self.serving.iter().any(is_served) {
            return None;
        }
        let unserved = self.serving.iter().enumerate().filter(|(_, count)| !is_served(count));
        let numbers: Vec<String> = unserved.map(|(partition, _)| partition.to_string()).collect();
        (!numbers.is_empty()).then(|| {
            format!(
                "nobody serves {} of {} partitions now (numbers {}), because their workers gave up or never began: jobs in \
                 them wait; steal = true would let the other workers help",
                numbers.len(),
                self.partitions,
                numbers.join(", ")
            )
        })
    }
}

/// A worker that serves its partitions.
pub(super) struct Serving {
    binding: Arc<Binding>,
    partitions: Vec<u32>,
}

impl Drop for Serving {
    fn drop(&mut self) {
        for partition in &self.partitions {
            self.binding.serving[*partition as usize].fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served_by(workers: u32, partitions: u32) -> Vec<u32> {
        Binding::new(workers, partitions, false).workers_by_partition()
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
        assert_eq!(Binding::new(5, 16, false).own(WorkerId(1)), [1, 6, 11]);
    }

    #[test]
    fn twenty_workers_on_sixteen_partitions_are_uneven_and_said_to_be() {
        let served = served_by(20, 16);
        assert_eq!(served.iter().filter(|count| **count == 2).count(), 4);
        assert_eq!(served.iter().filter(|count| **count == 1).count(), 12);
        assert_eq!(
            Binding::new(20, 16, false).notes(),
            [
                "20 workers do not divide evenly over 16 partitions: 4 partitions have 2 workers and 12 have 1, which bounds \
              the queue at what 16 of the 20 workers can do; compare numbers of which one divides the other, or steal = true"
            ]
        );
    }

    #[test]
    fn fewer_workers_than_partitions_are_bound_by_the_one_that_serves_most() {
        let [note] = <[String; 1]>::try_from(Binding::new(6, 16, true).notes()).expect("one note");
        assert!(note.contains("4 workers serve 3 partitions and 2 serve 2"), "{note}");
        assert!(note.contains("5.3 of the 6 workers") && note.contains("lets idle workers help"), "{note}");
    }

    #[test]
    fn even_numbers_need_no_words() {
        for (workers, partitions) in [(16, 16), (32, 16), (1, 16), (8, 32), (4, 1)] {
            assert!(Binding::new(workers, partitions, false).notes().is_empty(), "{workers} on {partitions}");
        }
    }

    #[test]
    fn one_worker_serves_everything_under_any_number() {
        let binding = Binding::new(1, 4, true);
        assert_eq!(binding.own(WorkerId(0)), [0, 1, 2, 3]);
        assert_eq!(binding.own(WorkerId(9)), [0, 1, 2, 3]);
        assert!(binding.others(WorkerId(9)).is_empty());
    }

    #[test]
    fn a_worker_that_is_gone_leaves_its_partitions_unserved_unless_others_steal() {
        for (steal, notes) in [(false, 1), (true, 0)] {
            let binding = Arc::new(Binding::new(2, 4, steal));
            let stays = binding.serve(WorkerId(0));
            let leaves = binding.serve(WorkerId(1));
            assert!(binding.notes().is_empty());
            drop(leaves);
            assert_eq!(binding.notes().len(), notes, "steal = {steal}");
            if !steal {
                assert!(binding.notes()[0].contains("2 of 4 partitions now (numbers 1, 3)"), "{:?}", binding.notes());
            }
            // When all have gone, the run is over.
            drop(stays);
            assert!(binding.notes().is_empty());
        }
    }
}
