//! `cargo xtask check-deps`: which crate may know which. ARCHITECTURE.md draws it, this holds it.

use std::collections::BTreeSet;

use anyhow::{Result, bail};

use crate::metadata::{Kind, Metadata};

/// A crate of the workspace, and those of our crates that it may use.
struct Rule {
    name: &'static str,
    may_use: &'static [&'static str],
    why: &'static str,
}

/// What may stand on what. A new crate needs a line here.
const RULES: &[Rule] = &[
    Rule {
        name: "outrider-model",
        may_use: &[],
        why: "the model is what everybody else is about: it knows nobody",
    },
    Rule {
        name: "outrider-config",
        may_use: &["outrider-model"],
        why: "the compiler is pure: text goes in, a plan comes out",
    },
    Rule {
        name: "outrider-api",
        may_use: &["outrider-model"],
        why: "the wire contract must not depend on either side of the wire",
    },
    Rule {
        name: "outrider-orbs",
        may_use: &["outrider-api", "outrider-config", "outrider-model"],
        why: "it gets orbs for the compiler, and knows nobody who compiles",
    },
    Rule {
        name: "outrider-archive",
        may_use: &["outrider-model"],
        why: "how files become blobs is nobody's business but its own: it knows no server and no runner",
    },
    Rule {
        name: "outrider-test-data",
        may_use: &[],
        why: "results of tests are data: who moves and keeps them is others' business",
    },
    Rule {
        name: "outrider-store",
        may_use: &["outrider-model"],
        why: "a store remembers; what to do with it is the server's business",
    },
    Rule {
        name: "outrider-blobs",
        may_use: &["outrider-model"],
        why: "it keeps bytes; whose they are and until when is the server's business. It is a crate \
              of its own so that only those who keep blobs build what speaks S3",
    },
    Rule {
        name: "outrider-executor",
        may_use: &["outrider-model"],
        why: "an executor runs steps; whom it tells is the runner's business",
    },
    Rule {
        name: "outrider-github",
        may_use: &["outrider-model"],
        why: "a client of GitHub knows GitHub, and our words for it",
    },
    Rule {
        name: "outrider-service",
        may_use: &["outrider-model"],
        why: "plumbing serves every process alike",
    },
    Rule {
        name: "outrider-server",
        may_use: &[
            "outrider-blobs",
            "outrider-config",
            "outrider-store",
            "outrider-github",
            "outrider-api",
            "outrider-model",
            "outrider-service",
            "outrider-test-data",
        ],
        why: "the control plane never runs steps: that takes a runner, on its side of the wire",
    },
    Rule {
        name: "outrider-runner",
        may_use: &[
            "outrider-archive",
            "outrider-executor",
            "outrider-api",
            "outrider-model",
            "outrider-service",
            "outrider-test-data",
        ],
        why: "a runner reaches the store through the API only, where its lease is checked",
    },
    Rule {
        name: "outrider-pool",
        may_use: &[
            "outrider-github",
            "outrider-executor",
            "outrider-api",
            "outrider-model",
            "outrider-service",
        ],
        why: "pools are a client of the server like any other",
    },
    Rule {
        name: "outrider-operator",
        may_use: &["outrider-api", "outrider-model", "outrider-service"],
        why: "the operator is a client of the server like any other",
    },
    Rule {
        name: "outrider",
        may_use: &[
            "outrider-api",
            "outrider-archive",
            "outrider-blobs",
            "outrider-config",
            "outrider-executor",
            "outrider-github",
            "outrider-model",
            "outrider-operator",
            "outrider-orbs",
            "outrider-pool",
            "outrider-runner",
            "outrider-server",
            "outrider-service",
            "outrider-store",
            "outrider-test-data",
        ],
        why: "the binary ties everything together that is not for tests",
    },
    Rule {
        name: TESTKIT,
        may_use: &[
            "outrider",
            "outrider-api",
            "outrider-archive",
            "outrider-blobs",
            "outrider-config",
            "outrider-executor",
            "outrider-github",
            "outrider-model",
            "outrider-operator",
            "outrider-orbs",
            "outrider-pool",
            "outrider-runner",
            "outrider-server",
            "outrider-service",
            "outrider-store",
            "outrider-test-data",
        ],
        why: "the testkit puts whole systems together",
    },
    Rule {
        name: "xtask",
        may_use: &[],
        why: "`cargo xtask` must build in seconds, also while one of our crates is broken; \
              its tests may use them",
    },
];

/// Used by tests, and by nothing else.
const TESTKIT: &str = "outrider-testkit";

/// Crates that decide and compute: no I/O, no runtime.
const PURE: &[&str] = &["outrider-model", "outrider-config"];

/// What a pure crate may not use.
const IMPURE: &[&str] = &[
    "axum", "hyper", "libc", "reqwest", "rusqlite", "rustix", "tempfile", "tokio", "tracing",
];

/// Holds the rules.
pub fn run() -> Result<()> {
    let metadata = Metadata::load()?;
    let edges = edges(&metadata);
    let members: Vec<&str> = metadata
        .ours()
        .map(|package| package.name.as_str())
        .collect();
    let wrong: Vec<String> = without_rule(&members)
        .into_iter()
        .chain(edges.iter().filter_map(verdict))
        .collect();
    if !wrong.is_empty() {
        bail!(
            "the crate graph is not what ARCHITECTURE.md says:\n  - {}\n\
             Move the code to where it may know what it needs, or change the rule in \
             xtask/src/check_deps.rs and the graph in ARCHITECTURE.md together.",
            wrong.join("\n  - ")
        );
    }
    println!(
        "{} crates, {} dependencies: all as ARCHITECTURE.md says",
        members.len(),
        edges.len()
    );
    Ok(())
}

/// One crate of the workspace uses another, or a pure one uses an impure one.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Edge {
    from: String,
    to: String,
    for_tests: bool,
}

fn edges(metadata: &Metadata) -> BTreeSet<Edge> {
    let ours: BTreeSet<&str> = metadata
        .ours()
        .map(|package| package.name.as_str())
        .collect();
    let mut edges = BTreeSet::new();
    for package in metadata.ours() {
        for dependency in &package.dependencies {
            let counts = ours.contains(dependency.name.as_str())
                || IMPURE.contains(&dependency.name.as_str());
            if counts {
                edges.insert(Edge {
                    from: package.name.clone(),
                    to: dependency.name.clone(),
                    for_tests: dependency.kind == Kind::Dev,
                });
            }
        }
    }
    edges
}

/// Crates that the table does not know.
fn without_rule(members: &[&str]) -> Vec<String> {
    members
        .iter()
        .filter(|member| !RULES.iter().any(|rule| rule.name == **member))
        .map(|member| format!("{member} has no rule in xtask/src/check_deps.rs: add one"))
        .collect()
}

/// What is wrong with an edge, if anything.
fn verdict(edge: &Edge) -> Option<String> {
    let Edge {
        from,
        to,
        for_tests,
    } = edge;
    if *for_tests {
        return None;
    }
    if to == TESTKIT {
        return Some(format!(
            "{from} -> {to}: the testkit is for tests, so it belongs under [dev-dependencies]"
        ));
    }
    if IMPURE.contains(&to.as_str()) {
        return PURE.contains(&from.as_str()).then(|| {
            format!("{from} -> {to}: {from} is pure; whoever needs I/O, a clock or a runtime passes data in")
        });
    }
    let rule = RULES.iter().find(|rule| rule.name == from)?;
    let allowed = rule.may_use.contains(&to.as_str());
    (!allowed).then(|| format!("{from} -> {to}: {}", rule.why))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(from: &str, to: &str) -> Edge {
        Edge {
            from: from.to_owned(),
            to: to.to_owned(),
            for_tests: false,
        }
    }

    #[test]
    fn the_graph_of_the_architecture_is_allowed() {
        for (from, to) in [
            ("outrider", "outrider-executor"),
            ("outrider-server", "outrider-store"),
            ("outrider-runner", "outrider-executor"),
            ("outrider-service", "outrider-model"),
            ("outrider-testkit", "outrider-server"),
            ("outrider-server", "tokio"),
        ] {
            assert_eq!(verdict(&edge(from, to)), None, "{from} -> {to}");
        }
    }

    #[test]
    fn an_illegal_edge_is_named_with_its_reason() {
        for (from, to, reason) in [
            ("outrider-server", "outrider-executor", "never runs steps"),
            ("outrider-runner", "outrider-store", "through the API only"),
            ("outrider-model", "outrider-api", "knows nobody"),
            ("outrider-runner", "outrider-testkit", "[dev-dependencies]"),
            ("outrider", "outrider-testkit", "[dev-dependencies]"),
            ("outrider-config", "tokio", "is pure"),
            ("xtask", "outrider-server", "build in seconds"),
        ] {
            let said = verdict(&edge(from, to)).unwrap_or_default();
            assert!(said.starts_with(&format!("{from} -> {to}: ")), "{said}");
            assert!(said.contains(reason), "{said}");
        }
    }

    #[test]
    fn tests_may_know_everything() {
        let for_tests = Edge {
            for_tests: true,
            ..edge("outrider-store", "outrider-testkit")
        };
        assert_eq!(verdict(&for_tests), None);
        let impure = Edge {
            for_tests: true,
            ..edge("outrider-model", "tokio")
        };
        assert_eq!(verdict(&impure), None);
    }

    #[test]
    fn a_crate_without_a_rule_is_noticed() {
        assert_eq!(without_rule(&["outrider-model", "outrider-shop"]).len(), 1);
    }

    #[test]
    fn rules_have_no_cycle() {
        fn reaches(from: &str, goal: &str, depth: usize) -> bool {
            let uses = RULES
                .iter()
                .find(|rule| rule.name == from)
                .map_or(&[][..], |rule| rule.may_use);
            depth > 0
                && uses
                    .iter()
                    .any(|to| *to == goal || reaches(to, goal, depth - 1))
        }
        for rule in RULES {
            assert!(
                !reaches(rule.name, rule.name, RULES.len()),
                "{} uses itself",
                rule.name
            );
        }
    }

    #[test]
    fn the_workspace_holds_the_rules() {
        run().expect("the crate graph is as ARCHITECTURE.md says");
    }
}
