//! Configs that mean to fill the memory: each ends in one error, or in a plan, and takes no more
//! than the limits allow. All in one test, alone in its process, since it is the process that is
//! measured.

mod support;

use std::fmt::Write as _;

use outrider_config::diagnostic::code;
use outrider_config::{Options, Orb, SourceFile, compile};
use support::options;

/// A quarter of the default, which takes a quarter of the time.
const EXPANSION: usize = 16 * 1024 * 1024;

/// The most that a compilation may take then, in MB. What counts towards the limit may be there in
/// the source, in a tree and in a plan.
const MOST: usize = 100;

#[test]
fn no_config_fills_the_memory() {
    let names = "n".repeat(300_000);
    let bombs = [
        ("matrix", matrix(1_000)),
        ("a long name in a matrix", matrix_of("j", &names)),
        ("a job with a long name", matrix_of(&names, "1")),
        ("long names that are required", required(300, 3_000)),
        ("long contexts", workflow_key("context", &names)),
        (
            "a long serial group",
            workflow_key("serial-group", &"s".repeat(500)),
        ),
        (
            "a long filter",
            workflow_key(
                "filters",
                &format!("'pipeline.number > 0 or \"{names}\" == \"\"'"),
            ),
        ),
        (
            "long patterns",
            workflow_key("filters", &format!("{{tags: {{only: /{names}/}}}}")),
        ),
        ("a long command", steps(&format!("run: {names}"))),
        (
            "a long environment",
            steps(&format!("run: {{command: x, environment: {{A: {names}}}}}")),
        ),
        ("a job with a large body", body(&names)),
        ("commands", commands()),
        ("anchors", anchors()),
        ("sections", sections()),
        ("sections in sections", nested_sections()),
        ("expressions", expressions()),
        ("patterns that track back", patterns()),
        ("inline orbs", inline_orbs()),
        ("executors", executors(&names)),
    ];
    // What the allocator keeps of one bomb counts for the next ones too.
    let before = kilobytes("VmRSS:");
    for (what, text) in bombs {
        let source = SourceFile::new("config.yml", text);
        hold(what, &source, &limited(), before);
    }
    let (source, options) = orbs_that_use_each_other();
    hold("orbs that use each other", &source, &options, before);
}

fn limited() -> Options {
    let mut options = options();
    options.limits.expansion = EXPANSION;
    options
}

fn hold(what: &str, source: &SourceFile, options: &Options, before: usize) {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let outcome = match compile(source, options) {
        Ok(compiled) => {
            let jobs = compiled.plan.workflows.iter().map(|it| it.jobs.len());
            format!("{} jobs", jobs.sum::<usize>())
        }
        Err(errors) => {
            let first = errors.iter().next().unwrap();
            assert_ne!(first.code, code::SYNTAX, "{what}: {}", first.message);
            assert_ne!(first.code, code::CONFIG_TOO_LARGE, "{what}");
            errors.render(source, false);
            format!("{} errors, {}", errors.len(), first.code)
        }
    };
    let peak = kilobytes("VmHWM:").saturating_sub(before) / 1024;
    println!("{what}: {peak} MB, {outcome}");
    assert!(peak <= MOST, "{what} takes {peak} MB: {outcome}");
}

fn kilobytes(figure: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(figure));
    let number = line.unwrap().trim().trim_end_matches(" kB");
    number.parse().unwrap()
}

const HEAD: &str = "version: 2.1\n";

/// A matrix of so many jobs per parameter, of which there are two.
fn matrix(count: usize) -> String {
    let numbers: Vec<_> = (0..count).map(|at| at.to_string()).collect();
    let numbers = numbers.join(", ");
    format!(
        "{HEAD}jobs: {{j: {{parameters: {{a: {{type: integer}}, b: {{type: integer}}}}, machine: true, \
         steps: [checkout]}}}}\nworkflows: {{w: {{jobs: [j: {{matrix: {{parameters: \
         {{a: [{numbers}], b: [{numbers}]}}}}}}]}}}}\n"
    )
}

/// Numbers for a matrix of as many jobs as the limit lets through.
fn numbers() -> String {
    let numbers: Vec<_> = (0..5_000).map(|at| at.to_string()).collect();
    numbers.join(", ")
}

/// A job that is used 5,000 times, with a value that goes into each name.
fn matrix_of(job: &str, value: &str) -> String {
    format!(
        "{HEAD}jobs:\n  ? {job}\n  : {{parameters: {{n: {{type: integer}}, t: {{type: string}}}}, \
         machine: true, steps: [checkout]}}\nworkflows:\n  w:\n    jobs:\n      - ? {job}\n        \
         : {{matrix: {{parameters: {{n: [{}], t: [{value}]}}}}}}\n",
        numbers()
    )
}

/// Jobs with long names, all of which some others require.
fn required(count: usize, length: usize) -> String {
    let mut text = format!(
        "{HEAD}jobs: {{j: {{parameters: {{n: {{type: integer, default: 1}}}}, machine: true, steps: [checkout]}}}}\nworkflows:\n  w:\n    jobs:\n"
    );
    for at in 0..count {
        let name = format!("{at}{}", "n".repeat(length));
        let _ = writeln!(text, "      - j: {{name: {name}}}");
    }
    let numbers: Vec<_> = (0..4_000).map(|at| at.to_string()).collect();
    let requires: Vec<_> = (0..count)
        .map(|at| format!("{at}{}", "n".repeat(length)))
        .collect();
    // All names once more would be too long for one config: anchors repeat them.
    let requires = requires[..30].join(", ");
    let numbers = numbers.join(", ");
    let _ = writeln!(
        text,
        "      - j: {{name: x<< matrix.n >>, requires: [{requires}], matrix: {{parameters: {{n: [{numbers}]}}}}}}"
    );
    text
}

/// 5,000 jobs with a long value under a key of the workflow.
fn workflow_key(key: &str, value: &str) -> String {
    format!(
        "{HEAD}jobs: {{j: {{parameters: {{n: {{type: integer}}}}, machine: true, steps: [checkout]}}}}\n\
         workflows:\n  w:\n    jobs:\n      - j:\n          {key}: {value}\n          matrix: \
         {{parameters: {{n: [{}]}}}}\n",
        numbers()
    )
}

/// 5,000 jobs with a long step.
fn steps(step: &str) -> String {
    format!(
        "{HEAD}jobs:\n  j: {{parameters: {{n: {{type: integer}}}}, machine: true, steps: [{step}]}}\n\
         workflows: {{w: {{jobs: [j: {{matrix: {{parameters: {{n: [{}]}}}}}}]}}}}\n",
        numbers()
    )
}

/// 5,000 jobs with long texts in all keys.
fn body(text: &str) -> String {
    let part = &text[..text.len() / 8];
    format!(
        "{HEAD}jobs:\n  j:\n    parameters: {{n: {{type: integer}}}}\n    docker: [{{image: {part}, user: {part}, \
         entrypoint: [{part}], auth: {{username: {part}, password: $P}}}}]\n    shell: {part}\n    \
         working_directory: {part}\n    resource_class: {part}\n    steps: [checkout]\n\
         workflows: {{w: {{jobs: [j: {{matrix: {{parameters: {{n: [{}]}}}}}}]}}}}\n",
        numbers()
    )
}

fn commands() -> String {
    let mut text = format!("{HEAD}jobs: {{build: {{machine: true, steps: [c0]}}}}\ncommands:\n");
    for level in 0..20 {
        let next = level + 1;
        let _ = writeln!(text, "  c{level}: {{steps: [c{next}, run: x, c{next}]}}");
    }
    text + "  c20: {steps: [run: {command: y, environment: {A: b}}]}\n"
}

fn anchors() -> String {
    let mut text = format!("{HEAD}a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..6 {
        let below = vec![format!("*a{}", level - 1); 10].join(", ");
        let _ = writeln!(text, "a{level}: &a{level} [{below}]");
    }
    text + "jobs: {build: {machine: true, steps: *a5}}\n"
}

fn sections() -> String {
    let section = "<<# parameters.b >>x<</ parameters.b >>".repeat(2_000);
    format!(
        "{HEAD}jobs: {{j: {{parameters: {{b: {{type: boolean}}, n: {{type: integer}}}}, machine: true, \
         steps: [run: '{section}']}}}}\nworkflows: {{w: {{jobs: [j: {{b: true, matrix: {{parameters: \
         {{n: [{}]}}}}}}]}}}}\n",
        numbers()
    )
}

fn nested_sections() -> String {
    let open = "<<# parameters.b >>".repeat(20_000);
    let close = "<</ parameters.b >>".repeat(20_000);
    format!(
        "{HEAD}jobs: {{j: {{parameters: {{b: {{type: boolean}}}}, machine: true, \
         steps: [run: 'x{open}y{close}']}}}}\nworkflows: {{w: {{jobs: [j: {{b: true}}]}}}}\n"
    )
}

fn expressions() -> String {
    let expression = "pipeline.number == 1 and ".repeat(30_000) + "true";
    workflow_key("filters", &expression)
}

fn patterns() -> String {
    let mut text = format!(
        "{HEAD}jobs: {{j: {{machine: true, steps: [checkout]}}}}\nworkflows:\n  w:\n    jobs:\n"
    );
    for at in 0..4_000 {
        let _ = writeln!(
            text,
            "      - j: {{name: n{at}, filters: {{branches: {{only: '/((a+)+\\1|{at}){{9}}(?=b)$/'}}}}}}"
        );
    }
    text
}

/// Orbs in orbs, each with a job whose steps go through all of them.
fn inline_orbs() -> String {
    let mut orb = "{commands: {c: {steps: [run: x]}}}".to_owned();
    for _ in 0..20 {
        orb = format!("{{orbs: {{o: {orb}}}, commands: {{c: {{steps: [o/c, o/c]}}}}}}");
    }
    format!("{HEAD}orbs: {{o: {orb}}}\njobs: {{build: {{machine: true, steps: [o/c]}}}}\n")
}

fn executors(text: &str) -> String {
    format!(
        "{HEAD}executors: {{e: {{parameters: {{t: {{type: string, default: {text}}}}}, docker: [{{image: \
         << parameters.t >>}}]}}}}\njobs: {{j: {{parameters: {{n: {{type: integer}}}}, executor: e, steps: [checkout]}}}}\n\
         workflows: {{w: {{jobs: [j: {{matrix: {{parameters: {{n: [{}]}}}}}}]}}}}\n",
        numbers()
    )
}

/// Two orbs of the registry, each of which uses the other one twice.
fn orbs_that_use_each_other() -> (SourceFile, Options) {
    let mut options = limited();
    for (this, other) in [("a", "b"), ("b", "a")] {
        let text = format!(
            "version: 2.1\norbs: {{x: acme/{other}@1, y: acme/{other}@1}}\n\
             commands: {{c: {{steps: [x/c, y/c]}}}}\n"
        );
        let name = format!("acme/{this}@1");
        options
            .orbs
            .insert(name.parse().unwrap(), Orb { name, text });
    }
    let text =
        format!("{HEAD}orbs: {{a: acme/a@1}}\njobs: {{build: {{machine: true, steps: [a/c]}}}}\n");
    (SourceFile::new("config.yml", text), options)
}
