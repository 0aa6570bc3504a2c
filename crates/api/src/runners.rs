//! The inventory and the queue.

use outrider_model::{ClassName, RunnerId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Which runners to list.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListRunners {
    /// Only this class's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<ClassName>,
}

/// The inventory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunnerList {
    /// The runners.
    pub items: Vec<Runner>,
}

/// A runner in the inventory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Runner {
    /// Its id: new at each start of the process.
    pub id: RunnerId,
    /// Its class.
    pub class: ClassName,
    /// Its name.
    pub name: String,
    /// Its host.
    pub hostname: String,
    /// Its version.
    pub version: String,
    /// How many tasks it runs at once.
    pub slots: u32,
    /// How many it runs now.
    pub running: u32,
    /// When it was first heard of.
    pub first_contact: Timestamp,
    /// When it was last heard of.
    pub last_contact: Timestamp,
}

/// The queue, by class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Queue {
    /// The classes.
    pub items: Vec<QueueDepth>,
}

/// How much of a class is queued and running.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QueueDepth {
    /// The class.
    pub class: ClassName,
    /// Tasks that any runner of the class may claim.
    pub queued: u64,
    /// Tasks that runners hold.
    pub running: u64,
    /// Since when the longest queued one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_queued_at: Option<Timestamp>,
}
