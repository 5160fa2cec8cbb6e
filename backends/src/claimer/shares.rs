//! Counts of jobs by the place where they are, as a notification tells them.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Place of a job that may be anywhere: the whole table. Partition `p` is place `p + 1`.
pub(crate) const ANYWHERE: u32 = 0;

/// Jobs by place: [`ANYWHERE`] where a queue is one table, else partition `p` as place `p + 1`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Shares(BTreeMap<u32, u64>);

/// The places that a consumer claims from.
#[derive(Debug, Clone)]
pub(crate) enum Places {
    /// All of them.
    Everywhere,
    /// These.
    Only(Arc<[u32]>),
}

impl Places {
    /// Whether jobs at `place` may be claimed here.
    pub(crate) fn contain(&self, place: u32) -> bool {
        match self {
            Places::Everywhere => true,
            Places::Only(places) => place == ANYWHERE || places.contains(&place),
        }
    }

    /// Whether any job may be claimed both here and there.
    pub(crate) fn overlap(&self, other: &Places) -> bool {
        match self {
            Places::Everywhere => true,
            Places::Only(places) => places.iter().any(|place| other.contain(*place)),
        }
    }
}

impl Shares {
    /// So many jobs at one place.
    pub(crate) fn at(place: u32, jobs: u64) -> Self {
        let mut shares = Shares::default();
        shares.add(place, jobs);
        shares
    }

    /// Reads the payload of a notification, as `announce` in `schema/sql/queue.sql` writes it: `12`, or `3@0,9@7`. `None`
    /// when it is something else: anybody may notify.
    pub(crate) fn of_payload(payload: &str) -> Option<Self> {
        let mut shares = Shares::default();
        for share in payload.split(',') {
            let (jobs, place) = match share.split_once('@') {
                Some((jobs, partition)) => (jobs, partition.parse::<u32>().ok()?.checked_add(1)?),
                None => (share, ANYWHERE),
            };
            shares.add(place, jobs.parse::<u32>().ok()?.into());
        }
        Some(shares)
    }

    /// The payload of a notification that tells of them: what [`Shares::of_payload`] reads.
    pub(crate) fn payload(&self) -> String {
        let share = |(place, jobs): (&u32, &u64)| match *place {
            ANYWHERE => jobs.to_string(),
            place => format!("{jobs}@{}", place - 1),
        };
        self.0.iter().map(share).collect::<Vec<_>>().join(",")
    }

    /// Jobs at all places together.
    pub(crate) fn jobs(&self) -> u64 {
        self.0.values().sum()
    }

    /// Those of them that may be at a place where some of `others` may be.
    pub(crate) fn jobs_near(&self, others: &Shares) -> u64 {
        let is_anywhere = others.0.contains_key(&ANYWHERE);
        let is_near = |place: &u32| is_anywhere || *place == ANYWHERE || others.0.contains_key(place);
        self.0.iter().filter(|(place, _)| is_near(place)).map(|(_, jobs)| jobs).sum()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds jobs at a place.
    pub(crate) fn add(&mut self, place: u32, jobs: u64) {
        if jobs > 0 {
            *self.0.entry(place).or_default() += jobs;
        }
    }

    /// Adds all of `other`.
    pub(crate) fn add_all(&mut self, other: Shares) {
        for (place, jobs) in other.0 {
            self.add(place, jobs);
        }
    }

    /// Takes one job at a place out, if there is one.
    pub(crate) fn remove_one(&mut self, place: u32) {
        if let Some(jobs) = self.0.get_mut(&place) {
            *jobs -= 1;
            if *jobs == 0 {
                self.0.remove(&place);
            }
        }
    }

    /// Takes up to `most` jobs out that are at any of `places`.
    pub(crate) fn take(&mut self, places: &Places, most: u64) -> Shares {
        let mut taken = Shares::default();
        let mut room = most;
        self.0.retain(|place, jobs| {
            if places.contain(*place) {
                let share = room.min(*jobs);
                taken.add(*place, share);
                room -= share;
                *jobs -= share;
            }
            *jobs > 0
        });
        taken
    }
}

impl IntoIterator for Shares {
    type Item = (u32, u64);
    type IntoIter = std::collections::btree_map::IntoIter<u32, u64>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_tells_jobs_by_place() {
        assert_eq!(Shares::of_payload("12"), Some(Shares::at(ANYWHERE, 12)));
        let by_partition = Shares::of_payload("3@0,9@7").expect("as announced");
        assert_eq!(by_partition.clone().into_iter().collect::<Vec<_>>(), [(1, 3), (8, 9)]);
        assert_eq!(by_partition.jobs(), 12);
        assert_eq!(
            (Shares::at(ANYWHERE, 12).payload(), by_partition.payload()),
            ("12".to_owned(), "3@0,9@7".to_owned())
        );
        for strange in ["", "x", "3@", "@3", "1,", "-1", "3@4294967295"] {
            assert_eq!(Shares::of_payload(strange), None, "{strange:?}");
        }
    }

    #[test]
    fn only_what_is_at_the_places_is_taken_and_no_more_than_there_is_room_for() {
        let mut shares = Shares::of_payload("3@0,9@7").expect("as announced");
        let of_7 = Places::Only([8].into());
        assert_eq!(shares.take(&of_7, 4), Shares::at(8, 4));
        assert_eq!(shares.take(&of_7, 100), Shares::at(8, 5));
        assert_eq!(shares.take(&Places::Everywhere, 100), Shares::at(1, 3));
        assert!(shares.is_empty());
    }

    #[test]
    fn jobs_that_may_be_anywhere_concern_everybody() {
        let of_7 = Places::Only([8].into());
        assert!(of_7.contain(ANYWHERE) && of_7.contain(8) && !of_7.contain(1));
        assert!(of_7.overlap(&Places::Everywhere) && Places::Everywhere.overlap(&of_7));
        assert!(!of_7.overlap(&Places::Only([1, 2].into())));
        let told = Shares::of_payload("3@0,9@7,2").expect("as announced");
        let near = |payload| told.jobs_near(&Shares::of_payload(payload).expect("as announced"));
        assert_eq!([near("1@0"), near("1@7"), near("1@5"), near("1"), near("1@0,1@7")], [5, 11, 2, 14, 14]);
    }
}
