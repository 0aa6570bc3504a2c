//! The top level of a config.

use super::Reader;
use super::keys::TOP;
use crate::diagnostic::{code, did_you_mean, error};
use crate::yaml::{Document, Mapping, Span};

/// How a config says which language it is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// Without commands, executors, parameters and `<< … >>`.
    V2,
    /// With them.
    V2_1,
}

/// Keys that came with 2.1.
const SINCE_2_1: &[&str] = &["commands", "executors", "parameters", "orbs", "job-groups"];

impl Reader<'_> {
    /// The `version`. A config of unknown version is read as 2.1, to find what else is wrong.
    pub(crate) fn version(self, root: &Mapping, span: Span) -> Version {
        let help = "write `version: 2.1`";
        let Some(node) = root.present("version") else {
            let first_line = Span {
                start: span.start,
                end: span.start + 1,
            };
            self.report(
                error(code::MISSING_KEY, first_line, "the config has no `version`").help(help),
            );
            return Version::V2_1;
        };
        match node.as_scalar().map(|scalar| &*scalar.text) {
            Some("2" | "2.0") => Version::V2,
            Some("2.1") => Version::V2_1,
            _ => {
                let message = "`version` must be 2, 2.0 or 2.1";
                self.report(error(code::BAD_VERSION, node.span, message).help(help));
                Version::V2_1
            }
        }
    }

    /// Checks the keys of the top level.
    pub(crate) fn check_top(self, document: &Document, root: &Mapping, version: Version) {
        for (key, entry) in &root.entries {
            if self.cx.is_stopped() {
                return;
            }
            let span = entry.key_span;
            match TOP.support(key) {
                Some(_) if version == Version::V2 && SINCE_2_1.contains(&&**key) => self.report(
                    error(
                        code::NEEDS_VERSION_2_1,
                        span,
                        format!("`{key}` needs `version: 2.1`"),
                    )
                    .help("change the `version` at the top"),
                ),
                Some(support) => self.check_support(key, span, support),
                // `defaults: &defaults` and the like: a place for anchors, as in CircleCI.
                None if key.starts_with("x-") => {}
                None if did_you_mean(key, TOP.names()).is_none()
                    && document
                        .anchors
                        .iter()
                        .any(|at| entry.value.span.contains(*at)) => {}
                None => self.unknown_key(key, span, &TOP),
            }
        }
    }

    /// Where a config says that it is a setup config.
    pub(crate) fn setup(self, root: &Mapping) -> Option<Span> {
        let setup = root.present("setup")?;
        (self.boolean(setup, "`setup`")?).then_some(setup.span)
    }
}
