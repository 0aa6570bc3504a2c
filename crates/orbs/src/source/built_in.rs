//! The orbs that are in the program.
//!
//! The public orbs of these names call CircleCI's own API at <https://circleci.com>, which knows
//! nothing of a pipeline here. These have the same commands, jobs, executors and parameters, and
//! call the program that runs the job.

use async_trait::async_trait;
use outrider_config::OrbReference;

use super::{Found, Kind, Miss, Source, Wanted};

/// Namespace, name and source of each.
const ORBS: &[(&str, &str, &str)] = &[
    (
        "circleci",
        "continuation",
        include_str!("../built_in/continuation.yml"),
    ),
    (
        "circleci",
        "path-filtering",
        include_str!("../built_in/path-filtering.yml"),
    ),
];

/// The orbs that are in the program, each for every version.
#[derive(Clone, Copy, Debug)]
pub struct BuiltIn;

#[async_trait]
impl Source for BuiltIn {
    fn name(&self) -> String {
        "Outrider itself".to_owned()
    }

    async fn find(&self, wanted: &Wanted) -> Result<Found, Miss> {
        let OrbReference::Registry {
            namespace, name, ..
        } = &wanted.reference
        else {
            return Err(Miss::Absent("has no orbs of this kind".to_owned()));
        };
        let orb = ORBS.iter().find(|orb| orb.0 == namespace && orb.1 == name);
        let (namespace, name, text) = orb.ok_or_else(|| Miss::Absent("has no such orb".to_owned()))?;
        Ok(Found {
            resolved: None,
            name: Some(format!("{namespace}/{name} (built into Outrider)")),
            text: (*text).to_owned(),
        })
    }

    fn kind(&self) -> Kind {
        Kind::BuiltIn
    }
}
