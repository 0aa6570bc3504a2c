//! What callers of the crate rely on.

#[path = "support/fixtures.rs"]
mod fixtures;
mod support;

use fixtures::fixtures;
use outrider_config::{Options, ParameterValue, SourceFile, compile};
use outrider_model::plan::Plan;
use support::options;

const CONFIG: &str = "\
version: 2.1
parameters:
  count: {type: integer, default: 1}
  name: {type: string, default: x}
jobs:
  build:
    machine: true
    parallelism: << pipeline.parameters.count >>
    steps: [run: echo << pipeline.parameters.name >>]
";

fn plan(text: &str, options: &Options) -> Plan {
    let source = SourceFile::new("config.yml", text);
    match compile(&source, options) {
        Ok(compiled) => compiled.plan,
        Err(errors) => panic!("{}", errors.render(&source, false)),
    }
}

#[test]
fn a_config_of_which_nothing_runs_is_right_where_the_caller_says_so() {
    let off = "version: 2.1\njobs: {a: {machine: true, steps: [checkout]}}\n\
               workflows: {w: {when: false, jobs: [a]}}\n";
    for text in ["{version: 2, jobs: {}, workflows: {version: 2}}", off] {
        let source = SourceFile::new("config.yml", text);
        assert!(compile(&source, &options()).is_err(), "{text}");
        let may_be_empty = Options {
            may_be_empty: true,
            ..options()
        };
        assert!(plan(text, &may_be_empty).workflows.is_empty(), "{text}");
    }
}

#[test]
fn the_quickstart_compiles_without_a_word() {
    let text = include_str!("../../../examples/quickstart/.circleci/config.yml");
    let source = SourceFile::new("config.yml", text);
    let compiled = compile(&source, &options()).unwrap();
    assert!(compiled.warnings.is_empty());
    let [main] = compiled.plan.workflows.as_slice() else {
        panic!("one workflow")
    };
    let jobs: Vec<_> = main
        .jobs
        .iter()
        .map(|job| (job.name.as_str(), job.kind.build().unwrap().parallelism))
        .collect();
    assert_eq!(jobs, [("test", 4), ("report", 1)]);
    assert_eq!(main.jobs[1].requires[0].job, "test");
    assert_eq!(
        main.jobs[0].kind.build().unwrap().spec.steps[1].name(),
        "Greet tester"
    );
}

#[test]
fn json_values_keep_their_type_and_text_takes_the_declared_one() {
    let with = |name: &str, value: ParameterValue| {
        let mut options = options();
        options.parameters.insert(name.to_owned(), value);
        compile(&SourceFile::new("config.yml", CONFIG), &options)
    };
    let parallelism = |value| {
        with("count", value).map(|it| {
            it.plan.workflows[0].jobs[0]
                .kind
                .build()
                .unwrap()
                .parallelism
        })
    };
    assert_eq!(parallelism(ParameterValue::Integer(3)), Ok(3));
    assert_eq!(parallelism(ParameterValue::Text("3".into())), Ok(3));
    assert!(parallelism(ParameterValue::String("3".into())).is_err());
    assert!(parallelism(ParameterValue::Boolean(true)).is_err());

    let value: ParameterValue = serde_json::from_str("\"3\"").unwrap();
    assert_eq!(value, ParameterValue::String("3".into()));
    let value: ParameterValue = serde_json::from_str("true").unwrap();
    assert_eq!(value, ParameterValue::Boolean(true));
}

#[test]
fn a_default_and_the_same_value_given_compile_alike() {
    let mut given = options();
    given
        .parameters
        .insert("count".into(), ParameterValue::Integer(1));
    given
        .parameters
        .insert("name".into(), ParameterValue::String("x".into()));
    assert_eq!(plan(CONFIG, &options()), plan(CONFIG, &given));
}

#[test]
fn the_order_of_definitions_does_not_matter() {
    let parts = [
        "version: 2.1\n",
        "commands:\n  greet: {steps: [run: hello]}\n",
        "executors:\n  host: {machine: true}\n",
        "jobs:\n  build: {executor: host, steps: [greet]}\n",
        "workflows:\n  main: {jobs: [build]}\n",
    ];
    let reversed: String = parts.iter().rev().copied().collect();
    assert_eq!(
        plan(&parts.concat(), &options()),
        plan(&reversed, &options())
    );
}

#[test]
fn the_same_input_gives_the_same_output() {
    for case in fixtures(&["cases", "fixtures"]) {
        let source = SourceFile::new("config.yml", std::fs::read_to_string(case).unwrap());
        let once = || match compile(&source, &options()) {
            Ok(compiled) => (Some(compiled.plan), compiled.warnings),
            Err(errors) => (None, errors),
        };
        assert_eq!(once(), once());
    }
}

#[test]
fn diagnostics_serialize_for_the_api() {
    let source = SourceFile::new("config.yml", "version: 2.1\njobs:\n  build: {stpes: []}\n");
    let errors = compile(&source, &options()).unwrap_err();
    let json = serde_json::to_value(&errors).unwrap();
    let expected = serde_json::json!({
        "severity": "error",
        "code": "unknown-key",
        "message": "a job has no key `stpes`",
        "line": 3,
        "column": 11,
        "help": "did you mean `steps`?",
    });
    assert!(json.as_array().unwrap().contains(&expected), "{json:#}");
}

#[test]
fn colour_is_used_only_on_request() {
    let source = SourceFile::new("config.yml", "version: 2.1\n");
    let errors = compile(&source, &options()).unwrap_err();
    assert!(errors.render(&source, true).contains('\x1b'));
    assert!(!errors.render(&source, false).contains('\x1b'));
}
