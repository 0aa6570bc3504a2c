//! Continuing a pipeline from a job of its setup config: a call of CircleCI's own API, so that what
//! was written for it works.

use std::collections::BTreeMap;
use std::fmt;

use outrider_model::secret::ContinuationKey;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::pipelines::OrbSource;

/// Where it is, with the version of CircleCI's API.
pub const CONTINUE_PATH: &str = "/api/v2/pipeline/continue";

/// What a pipeline goes on with.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ContinuePipeline {
    /// The key that the job got: `CIRCLE_CONTINUATION_KEY`.
    pub continuation_key: ContinuationKey,
    /// The config, in CircleCI's language.
    pub configuration: String,
    /// Pipeline parameters: booleans, integers and strings. None that the pipeline was triggered
    /// with; those are handed on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = Object)]
    pub parameters: BTreeMap<String, serde_json::Value>,
    /// Of Outrider, not of CircleCI: the orbs that the config uses, and those that they use, by how
    /// they are named there. The server asks nobody over the network for others.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub orbs: BTreeMap<String, OrbSource>,
}

impl fmt::Debug for ContinuePipeline {
    /// Without the texts: there may be secrets in them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContinuePipeline").finish_non_exhaustive()
    }
}

/// The answer, also where the call is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Message {
    /// For people.
    pub message: String,
    /// The orbs that the config uses and that nobody here has: the same call with them may do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_orbs: Vec<String>,
}
