//! `job-groups`: jobs that workflows use together.

use std::rc::Rc;

use indexmap::IndexMap;

use super::keys::GROUP;
use super::workflow::Use;
use super::{Packages, Reader};
use crate::diagnostic::{code, error};
use crate::yaml::{Mapping, Span};

/// A job group as written.
pub(crate) struct Group {
    pub(crate) name_span: Span,
    pub(crate) jobs: Vec<Use>,
}

impl Reader<'_> {
    /// The job groups of a config.
    pub(crate) fn groups(self, root: &Mapping, packages: &Packages) -> IndexMap<Rc<str>, Group> {
        let mut groups = IndexMap::new();
        let all = root.present("job-groups");
        let Some(all) = all.and_then(|node| self.mapping(node, "`job-groups`")) else {
            return groups;
        };
        for (name, entry) in &all.entries {
            let at = entry.key_span;
            if let Some(job) = packages.main().jobs.get(name) {
                let message = format!("`{name}` is both a job and a job group");
                self.report(
                    error(code::CONFLICTING_KEYS, at, message)
                        .label(job.name_span, "the job")
                        .help("give one of them another name"),
                );
            }
            let what = format!("job group `{name}`");
            let Some(body) = self.mapping(&entry.value, &what) else {
                continue;
            };
            self.check_keys(body, &GROUP);
            let jobs = self.required_key(body, "jobs", at);
            if let Some(jobs) = jobs.and_then(|jobs| self.uses(jobs, &what, at)) {
                let name_span = at;
                groups.insert(name.clone(), Group { name_span, jobs });
            }
        }
        groups
    }
}
