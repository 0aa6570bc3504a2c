//! What a job came after.

use std::collections::{BTreeMap, BTreeSet};

use outrider_model::JobId;

/// The jobs that one came after, each with those that it came after itself, directly or not.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Upstream(Vec<(JobId, BTreeSet<JobId>)>);

impl Upstream {
    /// Orders jobs so that each stands after those that it came after; of two where neither did,
    /// the one with the lower id stands first. `requires` has an entry for each job, with the jobs
    /// that it names.
    pub fn new(mut requires: BTreeMap<JobId, BTreeSet<JobId>>) -> Self {
        let mut ordered = Self::default();
        let mut after: BTreeMap<JobId, BTreeSet<JobId>> = BTreeMap::new();
        while let Some(next) = ready(&requires, &after) {
            let mut all = requires.remove(&next).unwrap_or_default();
            for required in all.clone() {
                all.extend(after.get(&required).into_iter().flatten());
            }
            after.insert(next, all.clone());
            ordered.0.push((next, all));
        }
        ordered
    }

    /// In their order.
    pub fn jobs(&self) -> impl Iterator<Item = (JobId, &BTreeSet<JobId>)> {
        self.0.iter().map(|(job, after)| (*job, after))
    }
}

/// The first job all of whose requirements have their place.
fn ready(
    requires: &BTreeMap<JobId, BTreeSet<JobId>>,
    placed: &BTreeMap<JobId, BTreeSet<JobId>>,
) -> Option<JobId> {
    let mut jobs = requires.iter();
    let found = jobs.find(|(_, required)| required.iter().all(|job| placed.contains_key(job)));
    found.map(|(job, _)| *job)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(number: u8) -> JobId {
        JobId::from_bytes([number; 16])
    }

    fn requires(entries: &[(u8, &[u8])]) -> BTreeMap<JobId, BTreeSet<JobId>> {
        let set = |numbers: &[u8]| numbers.iter().map(|number| job(*number)).collect();
        entries
            .iter()
            .map(|(number, required)| (job(*number), set(required)))
            .collect()
    }

    #[test]
    fn jobs_stand_after_those_that_they_came_after() {
        // 9 -> 2 -> 1, and 9 -> 3 beside it.
        let ordered = Upstream::new(requires(&[(1, &[2]), (2, &[9]), (3, &[9]), (9, &[])]));
        let order: Vec<_> = ordered.jobs().map(|(job, _)| job).collect();
        assert_eq!(order, [9, 2, 1, 3].map(job));
        let after: Vec<_> = ordered.jobs().map(|(_, after)| after.clone()).collect();
        let expected: [&[u8]; 4] = [&[], &[9], &[2, 9], &[9]];
        let expected = expected.map(|numbers| numbers.iter().map(|number| job(*number)).collect());
        assert_eq!(after, expected);
    }
}
