//! Which keys there are, and what becomes of them: the one table of the language.

use super::Reader;
use crate::diagnostic::{code, did_you_mean, error, list, warning};
use crate::yaml::{Mapping, Span};

/// What becomes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Support {
    /// It does what it does in CircleCI.
    Works,
    /// It is for people; nothing changes with it.
    Inert,
    /// It means something in CircleCI's cloud only: a warning says so.
    NoEffect,
    /// It would change what runs, and Outrider does not do it yet: an error says so.
    NotYet,
}
use Support::{Inert, NoEffect, NotYet, Works};

/// A kind of mapping: what it is called and its keys.
pub(crate) struct Place {
    pub(crate) name: &'static str,
    keys: &'static [(&'static str, Support)],
}

pub(crate) const TOP: Place = Place {
    name: "the config",
    keys: &[
        ("version", Works),
        ("parameters", Works),
        ("commands", Works),
        ("executors", Works),
        ("jobs", Works),
        ("workflows", Works),
        ("orbs", Works),
        ("setup", Works),
        ("job-groups", Works),
        ("description", Inert),
        ("display", Inert),
        ("examples", Inert),
        ("experimental", NoEffect),
    ],
};

pub(crate) const ORB: Place = Place {
    name: "an inline orb",
    keys: &[
        ("version", Inert),
        ("orbs", Works),
        ("commands", Works),
        ("executors", Works),
        ("jobs", Works),
        ("description", Inert),
        ("display", Inert),
        ("examples", Inert),
    ],
};

pub(crate) const PARAMETER: Place = Place {
    name: "a parameter",
    keys: &[
        ("type", Works),
        ("default", Works),
        ("enum", Works),
        ("description", Inert),
    ],
};

pub(crate) const COMMAND: Place = Place {
    name: "a command",
    keys: &[
        ("parameters", Works),
        ("steps", Works),
        ("description", Inert),
    ],
};

pub(crate) const EXECUTOR: Place = Place {
    name: "an executor",
    keys: &[
        ("parameters", Works),
        ("docker", Works),
        ("machine", Works),
        ("macos", Works),
        ("resource_class", Works),
        ("shell", Works),
        ("working_directory", Works),
        ("environment", Works),
        ("description", Inert),
    ],
};

pub(crate) const JOB: Place = Place {
    name: "a job",
    keys: &[
        ("type", Works),
        ("parameters", Works),
        ("executor", Works),
        ("docker", Works),
        ("machine", Works),
        ("macos", Works),
        ("steps", Works),
        ("shell", Works),
        ("working_directory", Works),
        ("environment", Works),
        ("parallelism", Works),
        ("resource_class", Works),
        ("branches", Works),
        ("retention", Works),
        ("circleci_ip_ranges", NoEffect),
        ("plan_name", Works),
        ("validation", NoEffect),
        ("key", Works),
        ("description", Inert),
    ],
};

pub(crate) const RETENTION: Place = Place {
    name: "`retention`",
    keys: &[("caches", Works)],
};

pub(crate) const MACHINE: Place = Place {
    name: "`machine`",
    keys: &[
        ("enabled", Works),
        ("image", Works),
        ("resource_class", Works),
        ("shell", Works),
        ("docker_layer_caching", NoEffect),
    ],
};

pub(crate) const DOCKER_IMAGE: Place = Place {
    name: "an image of `docker`",
    keys: &[
        ("image", Works),
        ("name", Works),
        ("entrypoint", Works),
        ("command", Works),
        ("user", Works),
        ("environment", Works),
        ("auth", Works),
        ("aws_auth", Works),
        ("gcp_auth", Works),
    ],
};

pub(crate) const AUTH: Place = Place {
    name: "`auth`",
    keys: &[("username", Works), ("password", Works)],
};

pub(crate) const AWS_AUTH: Place = Place {
    name: "`aws_auth`",
    keys: &[
        ("aws_access_key_id", Works),
        ("aws_secret_access_key", Works),
        ("oidc_role_arn", Works),
    ],
};

pub(crate) const GCP_AUTH: Place = Place {
    name: "`gcp_auth`",
    keys: &[
        ("workload_identity_provider", Works),
        ("service_account", Works),
    ],
};

pub(crate) const MACOS: Place = Place {
    name: "`macos`",
    keys: &[("xcode", Works), ("code_signing", NoEffect)],
};

pub(crate) const RUN: Place = Place {
    name: "`run`",
    keys: &[
        ("command", Works),
        ("name", Works),
        ("shell", Works),
        ("environment", Works),
        ("background", Works),
        ("working_directory", Works),
        ("no_output_timeout", Works),
        ("when", Works),
        ("max_auto_reruns", Works),
        ("auto_rerun_delay", Works),
    ],
};

pub(crate) const CHECKOUT: Place = Place {
    name: "`checkout`",
    keys: &[
        ("path", Works),
        ("method", Works),
        ("depth", Works),
        ("name", Works),
    ],
};

pub(crate) const SETUP_REMOTE_DOCKER: Place = Place {
    name: "`setup_remote_docker`",
    keys: &[
        ("version", Works),
        ("name", Works),
        ("docker_layer_caching", NoEffect),
        ("prefer_same_region", NoEffect),
        ("reusable", NoEffect),
        ("exclusive", NoEffect),
    ],
};

pub(crate) const SAVE_CACHE: Place = Place {
    name: "`save_cache`",
    keys: &[
        ("key", Works),
        ("paths", Works),
        ("name", Works),
        ("when", Works),
    ],
};

pub(crate) const RESTORE_CACHE: Place = Place {
    name: "`restore_cache`",
    keys: &[("key", Works), ("keys", Works), ("name", Works)],
};

pub(crate) const STORE_ARTIFACTS: Place = Place {
    name: "`store_artifacts`",
    keys: &[("path", Works), ("destination", Works), ("name", Works)],
};

pub(crate) const STORE_TEST_RESULTS: Place = Place {
    name: "`store_test_results`",
    keys: &[("path", Works), ("name", Works)],
};

pub(crate) const PERSIST_TO_WORKSPACE: Place = Place {
    name: "`persist_to_workspace`",
    keys: &[("root", Works), ("paths", Works), ("name", Works)],
};

pub(crate) const ATTACH_WORKSPACE: Place = Place {
    name: "`attach_workspace`",
    keys: &[("at", Works), ("name", Works)],
};

pub(crate) const ADD_SSH_KEYS: Place = Place {
    name: "`add_ssh_keys`",
    keys: &[("fingerprints", Works), ("name", Works)],
};

pub(crate) const CONDITIONAL: Place = Place {
    name: "a conditional step",
    keys: &[("condition", Works), ("steps", Works)],
};

pub(crate) const MATCHES: Place = Place {
    name: "`matches`",
    keys: &[("pattern", Works), ("value", Works)],
};

pub(crate) const WORKFLOW: Place = Place {
    name: "a workflow",
    keys: &[
        ("jobs", Works),
        ("when", Works),
        ("unless", Works),
        ("triggers", Works),
        ("max_auto_reruns", Works),
        ("description", Inert),
    ],
};

/// Keys of a job in a workflow; all others are the job's parameters.
pub(crate) const INVOCATION: Place = Place {
    name: "a job of a workflow",
    keys: &[
        ("name", Works),
        ("requires", Works),
        ("pre-steps", Works),
        ("post-steps", Works),
        ("context", Works),
        ("type", Works),
        ("filters", Works),
        ("matrix", Works),
        ("serial-group", Works),
        ("override-with", Works),
    ],
};

/// Keys of a job group in a workflow.
pub(crate) const GROUP_USE: Place = Place {
    name: "a use of a job group",
    keys: &[
        ("name", Works),
        ("requires", Works),
        ("filters", Works),
        ("serial-group", Works),
    ],
};

pub(crate) const GROUP: Place = Place {
    name: "a job group",
    keys: &[("jobs", Works), ("description", Inert)],
};

pub(crate) const MATRIX: Place = Place {
    name: "`matrix`",
    keys: &[("parameters", Works), ("exclude", Works), ("alias", Works)],
};

pub(crate) const FILTERS: Place = Place {
    name: "`filters`",
    keys: &[("branches", Works), ("tags", Works)],
};

pub(crate) const SCHEDULE_FILTERS: Place = Place {
    name: "`filters` of a schedule",
    keys: &[("branches", Works)],
};

pub(crate) const BRANCHES: Place = Place {
    name: "a filter",
    keys: &[("only", Works), ("ignore", Works)],
};

pub(crate) const TRIGGER: Place = Place {
    name: "a trigger",
    keys: &[("schedule", Works)],
};

pub(crate) const SCHEDULE: Place = Place {
    name: "`schedule`",
    keys: &[("cron", Works), ("filters", Works)],
};

/// Steps that are built into the language.
pub(crate) const STEPS: Place = Place {
    name: "a step",
    keys: &[
        ("run", Works),
        ("checkout", Works),
        ("when", Works),
        ("unless", Works),
        ("steps", Works),
        ("setup_remote_docker", Works),
        ("save_cache", Works),
        ("restore_cache", Works),
        ("store_artifacts", Works),
        ("store_test_results", Works),
        ("persist_to_workspace", Works),
        ("attach_workspace", Works),
        ("add_ssh_keys", Works),
        ("install_signing_bundle", NotYet),
        ("deploy", Works),
    ],
};

impl Place {
    pub(crate) fn support(&self, key: &str) -> Option<Support> {
        self.keys
            .iter()
            .find(|(name, _)| *name == key)
            .map(|(_, support)| *support)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> + Clone {
        self.keys.iter().map(|(name, _)| *name)
    }
}

impl Reader<'_> {
    /// Reports every key of a mapping that does not belong there.
    pub(crate) fn check_keys(self, mapping: &Mapping, place: &Place) {
        for (key, entry) in &mapping.entries {
            match place.support(key) {
                Some(support) => self.check_support(key, entry.key_span, support),
                None => self.unknown_key(key, entry.key_span, place),
            }
        }
    }

    pub(crate) fn check_support(self, key: &str, span: Span, support: Support) {
        match support {
            Works | Inert => {}
            NotYet => self.not_supported(span, &format!("`{key}`")),
            NoEffect => self.report(
                warning(
                    code::NO_EFFECT,
                    span,
                    format!("`{key}` has no effect on your own runners"),
                )
                .help("it means something in CircleCI's cloud only; you can leave it"),
            ),
        }
    }

    pub(crate) fn unknown_key(self, key: &str, span: Span, place: &Place) {
        if self.cx.is_stopped() {
            return;
        }
        let Place { name, .. } = place;
        let working = || place.keys.iter().filter(|(_, support)| *support == Works);
        let all = || format!("{name} takes {}", list(working().map(|(name, _)| *name)));
        self.report(
            error(
                code::UNKNOWN_KEY,
                span,
                format!("{name} has no key `{key}`"),
            )
            .help(did_you_mean(key, place.names()).unwrap_or_else(all)),
        );
    }

    /// Refuses a part of the language that is known but not done.
    pub(crate) fn not_supported(self, span: Span, what: &str) {
        self.report(
            error(
                code::NOT_SUPPORTED,
                span,
                format!("{what} is not supported yet"),
            )
            .help(
                "remove it to run this config; without it, the result may differ from CircleCI's",
            ),
        );
    }
}
