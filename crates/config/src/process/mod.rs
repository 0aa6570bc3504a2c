//! An expanded config as text: what CircleCI calls processed.
//!
//! The text is a config of version 2, which knows no templates, so what stands in it is what runs.
//! Processing it again gives the same bytes, comments included:
//!
//! - Each job stands under its name. Where two workflows have different jobs of one name, the later
//!   one stands under `<name>-<workflow>`, and `name` in its workflow gives it its name back.
//! - Above each job stands where it comes from. Read again, that is where the job comes from.
//! - A filter that was an expression is written as rules that do for every branch and tag what the
//!   expression gives for this pipeline: `tags: only: /.*/` lets everything run, `branches:
//!   ignore: /.*/` nothing. Version 2 has no other way to say it, and rules stay rules.

mod job;
mod keys;
mod merge;
mod scalar;
mod step;
mod workflow;
mod yaml;

pub use merge::{Unreadable, merge};

use crate::expanded::Expanded;
use keys::JobKeys;
use yaml::{Map, Yaml};

/// What stands in the comment above a job, before the job's origin.
const FROM: &str = "# from ";

/// Writes a config. The same config always gives the same bytes.
pub fn process(expanded: &Expanded) -> String {
    let keys = JobKeys::new(expanded);
    let mut top = Map::default();
    top.add("version", Yaml::Integer(2));
    if expanded.setup {
        top.add("setup", Yaml::Boolean(true));
    }
    top.add("jobs", keys.jobs());
    top.add("workflows", workflow::workflows(expanded, &keys));
    yaml::write(&top)
}

/// The origin that stands in the comment above a key, if there is one: `line` is the one before.
pub(crate) fn origin_in(line: &str) -> Option<&str> {
    line.trim().strip_prefix(FROM).map(str::trim)
}

/// A comment that says where a job comes from, on one line whatever the origin holds.
fn comment(origin: &str) -> String {
    let line: String = origin
        .chars()
        .map(|c| if scalar::is_plain_char(c) { c } else { ' ' })
        .collect();
    format!("{FROM}{}", line.trim())
}
