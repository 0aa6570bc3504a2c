//! Inputs that mean harm, or that are merely broken: every one ends in a plan or in diagnostics,
//! never in a panic, and with bounded work.

#[path = "../support/cases.rs"]
mod cases;
#[path = "../support/fixtures.rs"]
mod fixtures;
#[path = "../support/load.rs"]
mod load;
mod mutations;
#[path = "../support/places.rs"]
mod places;
#[path = "../support/mod.rs"]
mod support;

use outrider_config::diagnostic::code;
use outrider_config::{Diagnostics, SourceFile, compile};
use support::options;

fn errors(text: impl Into<String>) -> Diagnostics {
    let source = SourceFile::new("config.yml", text);
    let errors = compile(&source, &options()).expect_err("this should not compile");
    // What is wrong can always be shown.
    assert!(errors.render(&source, false).contains("config.yml:"));
    assert!(!errors.is_empty());
    errors
}

fn codes(errors: &Diagnostics) -> Vec<&'static str> {
    errors.iter().map(|one| one.code).collect()
}

#[test]
fn ten_megabytes_are_refused_unread() {
    let errors = errors("a: b # padding\n".repeat(700_000));
    assert_eq!(codes(&errors), [code::CONFIG_TOO_LARGE]);
}

#[test]
fn ten_megabytes_on_one_line_can_be_shown() {
    let errors = errors("x".repeat(10_000_000));
    assert_eq!(codes(&errors), [code::CONFIG_TOO_LARGE]);
}

#[test]
fn an_alias_bomb_is_one_error() {
    let mut text =
        "version: 2.1\na0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for level in 1..40 {
        let below = format!("*a{}, ", level - 1).repeat(9);
        text += &format!("a{level}: &a{level} [{}]\n", below.trim_end_matches(", "));
    }
    assert_eq!(codes(&errors(text)), [code::TOO_MANY_NODES]);
}

#[test]
fn a_merge_bomb_is_one_error() {
    let keys: String = (0..2_000).map(|at| format!("  k{at}: v\n")).collect();
    let text = format!("a: &a\n{keys}")
        + &(0..2_000)
            .map(|n| format!("b{n}: {{<<: *a}}\n"))
            .collect::<String>();
    assert_eq!(codes(&errors(text)), [code::TOO_MANY_NODES]);
}

#[test]
fn brackets_without_end_are_one_error() {
    for open in ["[", "{", "{a: ", "[a, ", "- ", "? ", "&a [", "!!seq ["] {
        let found = errors(open.repeat(1_000_000 / open.len()));
        assert_eq!(found.len(), 1, "{open}: {found}");
    }
}

#[test]
fn commands_that_multiply_are_one_error() {
    let mut text =
        "version: 2.1\njobs: {build: {machine: true, steps: [c0]}}\ncommands:\n".to_owned();
    for level in 0..30 {
        text += &format!("  c{level}: {{steps: [c{n}, c{n}, c{n}]}}\n", n = level + 1);
    }
    text += "  c30: {steps: []}\n";
    assert_eq!(codes(&errors(text)), [code::EXPANSION_TOO_LARGE]);
}

#[test]
fn texts_that_double_are_one_error() {
    let mut text =
        "version: 2.1\njobs: {build: {machine: true, steps: [c0: {t: ha}]}}\ncommands:\n"
            .to_owned();
    for level in 0..40 {
        let next = level + 1;
        text += &format!("  c{level}:\n    parameters: {{t: {{type: string}}}}\n    steps:\n");
        text += &format!("      - c{next}: {{t: << parameters.t >><< parameters.t >>}}\n");
    }
    text += "  c40: {parameters: {t: {type: string}}, steps: [run: << parameters.t >>]}\n";
    assert_eq!(codes(&errors(text)), [code::EXPANSION_TOO_LARGE]);
}

#[test]
fn steps_that_nest_without_end_are_one_error() {
    let mut text =
        "version: 2.1\njobs: {build: {machine: true, steps: [c0]}}\ncommands:\n".to_owned();
    for level in 0..500 {
        text += &format!("  c{level}: {{steps: [c{}]}}\n", level + 1);
    }
    text += "  c500: {steps: [checkout]}\n";
    assert_eq!(codes(&errors(text)), [code::TOO_DEEP]);
}

#[test]
fn steps_that_are_wrapped_again_and_again_are_one_error() {
    let parameters = "parameters: {s: {type: steps, default: []}}";
    let mut text =
        "version: 2.1\njobs: {build: {machine: true, steps: [c0]}}\ncommands:\n".to_owned();
    for level in 0..49 {
        let (open, close) = (
            "[when: {condition: true, steps: ".repeat(20),
            "}]".repeat(20),
        );
        text += &format!("  c{level}: {{{parameters}, steps: [c{}: {{s: ", level + 1);
        text += &format!("{open}<< parameters.s >>{close}}}]}}\n");
    }
    text += &format!("  c49: {{{parameters}, steps: [steps: << parameters.s >>]}}\n");
    assert_eq!(codes(&errors(text)), [code::TOO_DEEP]);
}

#[test]
fn a_text_full_of_openings_is_read_once() {
    let text = "<<".repeat(400_000);
    let text =
        format!("version: 2.1\njobs: {{build: {{machine: true, steps: [run: '{text}']}}}}\n");
    let compiled = compile(&SourceFile::new("config.yml", text), &options()).unwrap();
    assert_eq!(compiled.warnings.len(), 1);
}

#[test]
fn names_that_are_not_there_are_not_all_compared() {
    let references: String = (0..20_000)
        .map(|at| format!("<< parameters.p{at} >>\n          "))
        .collect();
    let jobs: String = (0..4_000)
        .map(|at| format!("      - build: {{name: n{at}, requires: [m{at}]}}\n"))
        .collect();
    let found = errors(format!(
        "version: 2.1\njobs:\n  build:\n    machine: true\n    steps:\n      - run: |\n          {references}\n\
         workflows:\n  main:\n    jobs:\n{jobs}"
    ));
    assert_eq!(found.len(), options().limits.diagnostics);
    assert!(found.is_cut());
}

#[test]
fn warnings_never_crowd_out_errors() {
    let steps: String = (0..300)
        .map(|at| format!("      - run: cat <<EOF{at}\n"))
        .collect();
    let head = "version: 2.1\njobs:\n  build:\n    machine: true\n    parallelism: 0\n    steps:\n";
    let found = errors(format!("{head}{steps}"));
    assert!(codes(&found).contains(&code::BAD_VALUE));
}

#[test]
fn a_thousand_errors_are_cut_to_what_people_read() {
    let jobs: String = (0..1_000)
        .map(|at| format!("  j{at}: {{banana: {at}}}\n"))
        .collect();
    let found = errors(format!("version: 2.1\njobs:\n{jobs}"));
    assert_eq!(found.len(), options().limits.diagnostics);
}

#[test]
fn a_long_circle_of_requirements_is_found() {
    let mut text = "version: 2.1\njobs: {j: {machine: true, steps: [checkout]}}\n\
                    workflows:\n  main:\n    jobs:\n"
        .to_owned();
    for at in 0..2_000 {
        let next = (at + 1) % 2_000;
        text += &format!("      - j: {{name: n{at}, requires: [n{next}]}}\n");
    }
    assert_eq!(codes(&errors(text)), [code::REQUIRES_CYCLE]);
}

#[test]
fn a_matrix_of_a_billion_is_one_error() {
    let parameters: String = (0..9)
        .map(|at| format!("p{at}: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], "))
        .collect();
    let text = format!(
        "version: 2.1\njobs: {{j: {{machine: true, steps: [checkout]}}}}\n\
         workflows:\n  main:\n    jobs:\n      - j: {{matrix: {{parameters: {{{parameters}}}}}}}\n"
    );
    assert_eq!(codes(&errors(text)), [code::TOO_MANY_JOBS]);
}

#[test]
fn matrices_that_require_each_other_whole_are_bounded() {
    let numbers: Vec<_> = (0..1_600).map(|at| at.to_string()).collect();
    let numbers = numbers.join(", ");
    let mut text = "version: 2.1\njobs:\n  j:\n    parameters: {p: {type: integer}}\n    \
                    machine: true\n    steps: [checkout]\nworkflows:\n  main:\n    jobs:\n"
        .to_owned();
    for (alias, requires) in [("a", "[]"), ("b", "[a]"), ("c", "[a, b]")] {
        text += &format!(
            "      - j: {{name: {alias}-<< matrix.p >>, requires: {requires}, \
             matrix: {{alias: {alias}, parameters: {{p: [{numbers}]}}}}}}\n"
        );
    }
    assert_eq!(codes(&errors(text)), [code::EXPANSION_TOO_LARGE]);
}

#[test]
fn patterns_without_end_are_one_error() {
    let jobs: String = (0..5_000)
        .map(|at| format!("      - j: {{name: n{at}, filters: {{tags: {{only: '/(a|a)*b{at}\\w{{20}}/'}}}}}}\n"))
        .collect();
    let text = format!(
        "version: 2.1\njobs: {{j: {{machine: true, steps: [checkout]}}}}\n\
         workflows:\n  main:\n    jobs:\n{jobs}"
    );
    assert_eq!(codes(&errors(text)), [code::EXPANSION_TOO_LARGE]);
}

#[test]
fn an_expression_that_nests_or_goes_on_without_end_is_one_error() {
    let expression = |text: String| {
        errors(format!(
            "version: 2.1\njobs: {{build: {{machine: true, steps: [checkout]}}}}\n\
             workflows:\n  main:\n    when: pipeline.number == {text}\n    jobs: [build]\n"
        ))
    };
    for open in ["(", "not ", "not ("] {
        let found = expression(open.repeat(100_000));
        assert_eq!(codes(&found), [code::BAD_EXPRESSION], "{open}");
    }
    let chain = expression("2 or pipeline.number == ".repeat(20_000));
    assert_eq!(codes(&chain), [code::BAD_EXPRESSION]);
    let all_false = expression(format!("{}2", "2 or pipeline.number == ".repeat(20_000)));
    assert_eq!(codes(&all_false), [code::NOTHING_TO_RUN]);
}

#[test]
fn job_groups_that_are_used_again_and_again_are_bounded() {
    let inner: String = (0..100)
        .map(|at| format!("      - j: {{name: n{at}}}\n"))
        .collect();
    let uses: String = (0..100)
        .map(|at| format!("      - g: {{name: g{at}}}\n"))
        .collect();
    let text = format!(
        "version: 2.1\njobs: {{j: {{machine: true, steps: [checkout]}}}}\n\
         job-groups:\n  g:\n    jobs:\n{inner}workflows:\n  main:\n    jobs:\n{uses}"
    );
    assert_eq!(codes(&errors(text)), [code::TOO_MANY_JOBS]);
}

#[test]
fn odd_characters_are_located_by_character() {
    let text = "version: 2.1\njobs:\n  'bäh 🦀': {stpes: []}\n";
    let found = errors(text);
    let key = found
        .iter()
        .find(|one| one.code == code::UNKNOWN_KEY)
        .unwrap();
    assert_eq!((key.location.line, key.location.column), (3, 13));
    assert_eq!(&text[key.location.start..key.location.end], "stpes");
}

#[test]
fn line_ends_and_marks_of_windows_change_nothing() {
    let text = "version: 2.1\njobs:\n  build:\n    machine: true\n    steps:\n      - run: |\n          a\n          b\n";
    let plan = |text: &str| {
        compile(&SourceFile::new("c", text), &options())
            .unwrap()
            .plan
    };
    assert_eq!(plan(text), plan(&text.replace('\n', "\r\n")));
    assert_eq!(plan(text), plan(&format!("\u{feff}{text}")));
}
