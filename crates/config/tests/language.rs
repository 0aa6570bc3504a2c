//! The language by example. Each file `cases/TOPIC/CASE.yml` compiles to the plan in `CASE.json`
//! beside it, or gives the diagnostics in `CASE.txt`. A case with both compiles with warnings.
//!
//! `OUTRIDER_BLESS=1 cargo test -p outrider-config` writes what comes out; read the diff before you
//! commit it. What a caller would say stands at the top of a case: `#: parameter name=value`,
//! `#: branch main`, `#: workflow name`, `#: job name`, `#: limit jobs 3`,
//! `#: orb acme/tools@1.2.3 tools.yml` (a file in `orbs/`).

#[path = "support/fixtures.rs"]
mod fixtures;
#[path = "support/golden.rs"]
mod golden;
#[path = "support/load.rs"]
mod load;
mod support;

use std::collections::BTreeSet;
use std::path::Path;

use fixtures::fixtures;
use golden::compare;
use load::load;
use outrider_config::compile;
use outrider_config::diagnostic::code;

#[test]
fn every_case_gives_what_stands_beside_it() {
    let cases = fixtures(&["cases"]);
    assert!(cases.len() > 50, "the cases are gone");
    let wrong: Vec<String> = cases.iter().flat_map(|case| check(case)).collect();
    assert!(
        wrong.is_empty(),
        "{}\n\nif this is right, accept it with OUTRIDER_BLESS=1",
        wrong.join("\n")
    );
}

#[test]
fn every_diagnostic_has_a_case() {
    let mut shown = BTreeSet::new();
    for case in fixtures(&["cases"]) {
        let (source, options) = load(&case);
        let diagnostics = match compile(&source, &options) {
            Ok(compiled) => compiled.warnings,
            Err(errors) => errors,
        };
        shown.extend(diagnostics.iter().map(|one| one.code));
    }
    let all: BTreeSet<_> = code::ALL.iter().copied().collect();
    let without: Vec<_> = all.difference(&shown).collect();
    assert!(without.is_empty(), "no case gives {without:?}");
}

/// What a case expects, with the suffix of the file that says so.
fn check(case: &Path) -> Vec<String> {
    let (source, options) = load(case);
    let (plan, diagnostics) = match compile(&source, &options) {
        Ok(compiled) => (Some(compiled.plan), compiled.warnings),
        Err(errors) => (None, errors),
    };
    let plan = plan.map(|plan| serde_json::to_string_pretty(&plan).unwrap() + "\n");
    let text = diagnostics.render(&source, false);
    let text = (!text.is_empty()).then_some(text);
    [("json", plan), ("txt", text)]
        .into_iter()
        .filter_map(|(suffix, actual)| compare(&case.with_extension(suffix), actual))
        .collect()
}
