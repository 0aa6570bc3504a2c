//! The expanded form of configs: it compiles to the same, and is its own expanded form.

#[path = "../support/fixtures.rs"]
mod fixtures;
mod generated;
#[path = "../support/load.rs"]
mod load;
#[path = "../support/mod.rs"]
mod support;

use fixtures::fixtures;
use load::load;
use outrider_config::expanded::Expanded;
use outrider_config::{Options, SourceFile, expand, process};
use support::options;

fn expanded(text: &str, options: &Options) -> Expanded {
    let source = SourceFile::new("config.yml", text);
    match expand(&source, options) {
        Ok(config) => config.expanded,
        Err(errors) => panic!("{}\n{text}", errors.render(&source, false)),
    }
}

/// The expanded form, after holding that it says the same, and is its own.
fn hold(config: &Expanded, options: &Options) -> String {
    let once = process(config);
    let again = expanded(&once, options);
    assert_eq!(process(&again), once, "processing again changes it");
    assert_eq!(
        plans(config),
        plans(&again),
        "it says something else:\n{once}"
    );
    once
}

/// What a config says, without where it says it.
fn plans(config: &Expanded) -> Vec<String> {
    let jobs = config.workflows.iter().flat_map(|workflow| {
        let head = (
            &workflow.name,
            &workflow.schedules,
            workflow.max_auto_reruns,
        );
        let head = format!("{head:?}");
        let jobs = workflow
            .jobs
            .iter()
            .map(move |job| format!("{head} {:?}", job.plan));
        jobs.collect::<Vec<_>>()
    });
    jobs.chain([config.setup.to_string()]).collect()
}

#[test]
fn every_case_is_processed_once_and_for_all() {
    let mut processed = 0;
    for case in fixtures(&["cases", "fixtures"]) {
        let (source, options) = load(&case);
        // A config in which nothing holds has nothing to say.
        let config = expand(&source, &options).ok();
        if let Some(config) = config.filter(|it| !it.expanded.workflows.is_empty()) {
            // What the options chose is chosen; parameters are resolved.
            let without = Options {
                limits: options.limits,
                ..support::options()
            };
            hold(&config.expanded, &without);
            processed += 1;
        }
    }
    assert!(processed > 30, "only {processed} cases compile");
}

#[test]
fn an_expanded_form_reads_as_people_expect() {
    let config = expanded(
        "\
version: 2.1
commands:
  greet:
    parameters: {who: {type: string}}
    steps:
      - run: {name: Greet, command: echo << parameters.who >>, when: always}
jobs:
  test:
    parameters: {who: {type: string, default: you}}
    docker: [{image: 'cimg/base:stable', environment: {A: 'yes', B: 1.10}}]
    parallelism: 4
    resource_class: acme/linux
    steps:
      - checkout
      - greet: {who: << parameters.who >>}
      - run: |
          cat \\<<EOF
            # not a comment
          EOF
workflows:
  one:
    jobs:
      - test
      - test: {name: more, requires: [test: [failed, success]]}
  two:
    jobs:
      - test: {who: me}
",
        &options(),
    );
    let expected = r#"version: 2
jobs:
  # from job test, line 8
  test:
    docker:
    - image: cimg/base:stable
      environment:
        A: "yes"
        B: "1.10"
    resource_class: acme/linux
    parallelism: 4
    steps:
    - checkout
    - run:
        command: echo you
        name: Greet
        when: always
    - run:
        command: |
          cat <<EOF
            # not a comment
          EOF
  # from job test, line 8
  more:
    docker:
    - image: cimg/base:stable
      environment:
        A: "yes"
        B: "1.10"
    resource_class: acme/linux
    parallelism: 4
    steps:
    - checkout
    - run:
        command: echo you
        name: Greet
        when: always
    - run:
        command: |
          cat <<EOF
            # not a comment
          EOF
  # from job test, line 8
  test-two:
    docker:
    - image: cimg/base:stable
      environment:
        A: "yes"
        B: "1.10"
    resource_class: acme/linux
    parallelism: 4
    steps:
    - checkout
    - run:
        command: echo me
        name: Greet
        when: always
    - run:
        command: |
          cat <<EOF
            # not a comment
          EOF
workflows:
  version: 2
  one:
    jobs:
    - test
    - more:
        requires:
        - test:
          - success
          - failed
  two:
    jobs:
    - test-two:
        name: test
"#;
    assert_eq!(hold(&config, &options()), expected);
}
