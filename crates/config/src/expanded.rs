//! A config with everything in place, before a branch or a tag leaves anything out.

use outrider_model::plan::JobPlan;

use crate::pattern::Pattern;

/// All that a config can run: parameters, commands, executors, orbs, matrices and conditions are
/// resolved, filters and schedules still stand.
#[derive(Clone, Debug)]
pub struct Expanded {
    /// Whether this is a setup config.
    pub setup: bool,
    /// The workflows whose conditions hold, in the order of the config.
    pub workflows: Vec<ExpandedWorkflow>,
}

/// A workflow whose condition holds.
#[derive(Clone, Debug)]
pub struct ExpandedWorkflow {
    /// Its key in the config.
    pub name: String,
    /// When it runs by itself. One that has schedules runs on nothing else.
    pub schedules: Vec<Schedule>,
    /// How often its failed jobs are run again: 0 to 5.
    pub max_auto_reruns: u32,
    /// Its jobs in the order of the config.
    pub jobs: Vec<ExpandedJob>,
}

/// An entry of `triggers`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// In five fields, in UTC.
    pub cron: String,
    /// The branches that it runs on.
    pub branches: Rule,
}

/// A job of a workflow.
#[derive(Clone, Debug)]
pub struct ExpandedJob {
    /// What it is. It requires all that the config says, what filters leave out included.
    pub plan: JobPlan,
    /// For which branches and tags it runs.
    pub filters: Filters,
    /// Where it comes from, for people: `job test, line 12`.
    pub origin: String,
}

/// For which branches and tags a job runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filters {
    /// `filters` as a mapping, and the default.
    Rules {
        /// Without a rule every branch fits.
        branches: Option<Rule>,
        /// Without a rule no tag fits.
        tags: Option<Rule>,
    },
    /// `filters` as an expression.
    Expression {
        /// As written.
        text: String,
        /// What it gives for this pipeline.
        holds: bool,
    },
}

impl Default for Filters {
    fn default() -> Self {
        Self::Rules {
            branches: None,
            tags: None,
        }
    }
}

/// `only` and `ignore`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// What fits; if it is there, `ignore` does not count.
    pub only: Option<Vec<Pattern>>,
    /// What does not fit.
    pub ignore: Option<Vec<Pattern>>,
}
