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

impl BuiltIn {
    /// Whether it has an orb. Who has none of a name is not worth a word.
    pub fn has(reference: &OrbReference) -> bool {
        source(reference).is_some()
    }
}

/// What people call an orb of the program, and its YAML.
fn source(reference: &OrbReference) -> Option<(String, &'static str)> {
    let OrbReference::Registry {
        namespace, name, ..
    } = reference
    else {
        return None;
    };
    let (.., text) = ORBS
        .iter()
        .find(|orb| orb.0 == namespace && orb.1 == name)?;
    Some((format!("{namespace}/{name} (built into Outrider)"), text))
}

#[async_trait]
impl Source for BuiltIn {
    fn name(&self) -> String {
        "Outrider itself".to_owned()
    }

    async fn find(&self, wanted: &Wanted) -> Result<Found, Miss> {
        let (name, text) = source(&wanted.reference)
            .ok_or_else(|| Miss::Absent(format!("has no {}", wanted.reference)))?;
        Ok(Found {
            resolved: None,
            name: Some(name),
            text: text.to_owned(),
        })
    }

    fn kind(&self) -> Kind {
        Kind::BuiltIn
    }
}
