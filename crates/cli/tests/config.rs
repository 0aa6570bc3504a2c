//! What users do with configs without running them: `outrider config`.

#[expect(dead_code, reason = "the other tests use the rest")]
mod support;

use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};
use support::{Home, Ran};

const INVALID_CONFIG: i32 = 65;
const NOT_FOUND: i32 = 66;
const BAD_SETTINGS: i32 = 78;
const USAGE: i32 = 2;

const RELEASE: &str = "\
version: 2.1
parameters:
  loud: {type: boolean, default: false}
  count: {type: integer, default: 1}
commands:
  greet:
    parameters: {who: {type: string}}
    steps:
      - run: echo << parameters.who >> on << pipeline.git.branch >>
jobs:
  test:
    machine: true
    parameters: {os: {type: string, default: linux}}
    parallelism: << pipeline.parameters.count >>
    steps:
      - greet: {who: << parameters.os >>}
      - when:
          condition: << pipeline.parameters.loud >>
          steps: [run: make noise]
  deploy:
    machine: true
    steps: [checkout]
workflows:
  main:
    jobs:
      - test: {matrix: {parameters: {os: [linux, mac]}}}
      - hold: {type: approval, requires: [test-linux, test-mac], filters: {tags: {only: /v.*/}, branches: {ignore: /.*/}}}
      - deploy:
          requires: [hold, test-linux: [success, failed]]
          filters: {tags: {only: /v.*/}, branches: {ignore: /.*/}}
  nightly:
    triggers: [schedule: {cron: 0 3 * * *, filters: {branches: {only: main}}}]
    jobs: [test: {os: bsd}]
";

const WRONG: &str = "\
version: 2.1
jobs:
  build:
    machine: true
    stepz: []
    parallelism: lots
    steps: [checkout]
";

/// `outrider config …` in a project with this config.
fn config(config: &str, arguments: &[&str]) -> Ran {
    let home = Home::new();
    home.project(config);
    home.run(&[&["config"], arguments].concat())
}

/// The same, with a config on stdin and none in the folder.
fn piped(config: &str, arguments: &[&str]) -> Ran {
    let home = Home::new();
    let mut command = home.command(&[&["config"], arguments].concat());
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(config.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap().into()
}

#[test]
fn a_right_config_is_valid_in_one_line() {
    let ran = config(RELEASE, &["validate"]).good();
    assert_eq!(
        ran.out,
        ".circleci/config.yml is valid: 2 workflows, 5 jobs\n"
    );
    let ran = piped(
        "version: 2.1\njobs: {build: {machine: true, steps: [checkout]}}\n",
        &["validate", "-"],
    );
    assert_eq!(ran.good().out, "stdin is valid: 1 workflow, 1 job\n");
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let words = [
        "2 errors",
        "config.yml:5:5",
        "stepz",
        "config.yml:6:",
        "lots",
        "help",
    ];
    let ran = config(WRONG, &["validate"]).failed(INVALID_CONFIG, &words);
    assert_eq!(ran.out, "");
    piped(WRONG, &["validate", "-"]).failed(INVALID_CONFIG, &["stdin:5:5"]);
    for verb in ["process", "graph"] {
        config(WRONG, &[verb]).failed(INVALID_CONFIG, &words);
    }
}

#[test]
fn editors_get_json() {
    let ran = config(WRONG, &["validate", "--json"]);
    assert_eq!(ran.code, Some(INVALID_CONFIG));
    let verdict = ran.json();
    assert_eq!(verdict["valid"], false);
    let expected = json!({
        "file": ".circleci/config.yml", "severity": "error", "code": "unknown-key",
        "message": "a job has no key `stepz`", "help": "did you mean `steps`?",
        "line": 5, "column": 5, "end_line": 5, "end_column": 10, "labels": [],
    });
    assert_eq!(verdict["diagnostics"][0], expected);
    let twice = "version: 2.1\njobs:\n  build: {machine: true, steps: [checkout]}\n  build: {}\n";
    let found = config(twice, &["validate", "--json"]).json();
    let label = json!({
        "text": "first here", "file": ".circleci/config.yml",
        "line": 3, "column": 3, "end_line": 3, "end_column": 8,
    });
    assert_eq!(found["diagnostics"][0]["labels"], json!([label]));
    let right = config(RELEASE, &["validate", "--json"]).good().json();
    assert_eq!(right["valid"], true);
    assert_eq!(right["workflows"], 2);
    assert_eq!(right["jobs"], 5);
}

#[test]
fn a_processed_config_has_everything_in_place() {
    let ran = config(
        RELEASE,
        &[
            "process",
            "-p",
            "loud=true",
            "-p",
            "count=3",
            "--branch",
            "main",
        ],
    );
    let ran = ran.good();
    for line in [
        "version: 2\n",
        "  # from job test, line 11\n  test-linux:\n",
        "    parallelism: 3\n",
        "        command: echo linux on main\n",
        "        command: echo mac on main\n",
        "        command: make noise\n",
        "        cron: 0 3 * * *\n",
        "    - hold:\n        type: approval\n",
        "          - failed\n",
    ] {
        assert!(ran.out.contains(line), "no {line:?} in:\n{}", ran.out);
    }
    for never in ["<<", "matrix", "commands", "parameters"] {
        assert!(!ran.out.contains(never), "{never} in:\n{}", ran.out);
    }
    let again = piped(&ran.out, &["process", "-"]).good();
    assert_eq!(again.out, ran.out, "it is its own processed form");
}

#[test]
fn parameters_come_one_by_one_or_as_json() {
    let home = Home::new();
    home.project(RELEASE);
    home.write("project/parameters.json", r#"{"loud": true, "count": 2}"#);
    let process = |more: &[&str]| home.run(&[&["config", "process"], more].concat());
    let from_file = process(&["--parameters", "@parameters.json"]).good().out;
    assert!(from_file.contains("make noise") && from_file.contains("parallelism: 2"));
    let over = process(&["--parameters", r#"{"count": 2}"#, "-p", "count=4"])
        .good()
        .out;
    assert!(over.contains("parallelism: 4"), "{over}");
    process(&["--parameters", "{"]).failed(BAD_SETTINGS, &["--parameters", "JSON"]);
    process(&["--parameters", "@nothing.json"]).failed(NOT_FOUND, &["nothing.json"]);
    process(&["-p", "count=many"]).failed(INVALID_CONFIG, &["count", "integer"]);
    process(&["-p", "count"]).failed(USAGE, &["KEY=VALUE"]);
}

#[test]
fn pipeline_values_can_be_given() {
    let text = "version: 2.1\njobs: {build: {machine: true, steps: [run: \
                'echo << pipeline.number >> << pipeline.git.tag >> << pipeline.event.name >> << pipeline.git.branch >>.']}}\n";
    let ran = config(
        text,
        &[
            "process",
            "--tag",
            "v1",
            "--pipeline-value",
            "number=7",
            "--pipeline-value",
            "pipeline.event.name=push",
        ],
    );
    let out = ran.good().out;
    assert!(out.contains("command: echo 7 v1 push .\n"), "{out}");
    let both = config(text, &["process", "--tag", "v1", "--branch", "main"]);
    assert_eq!(both.code, Some(USAGE));
}

#[test]
fn a_graph_is_a_tree_in_a_terminal() {
    let ran = config(RELEASE, &["graph"]).good();
    let expected = "\
main
├─ test-linux
└─ test-mac
   └─ hold  (approval, only tags /v.*/, also after test-linux)
      └─ deploy  (only tags /v.*/, also after test-linux passed or failed)

nightly  (at 0 3 * * *)
└─ test
";
    assert_eq!(ran.out, expected);
}

#[test]
fn a_graph_shows_what_runs_for_a_branch() {
    let ran = config(RELEASE, &["graph", "--branch", "main"]).good();
    assert_eq!(ran.out, "main\n├─ test-linux\n└─ test-mac\n");
    let ran = config(RELEASE, &["graph", "--workflow", "nightly"]).good();
    assert_eq!(ran.out, "nightly  (at 0 3 * * *)\n└─ test\n");
    config(RELEASE, &["graph", "--workflow", "mian"]).failed(INVALID_CONFIG, &["mian", "main"]);
}

#[test]
fn a_wide_graph_has_a_line_for_each_job() {
    let mut text = "version: 2.1\njobs: {t: {machine: true, steps: [checkout]}}\nworkflows:\n  main:\n    jobs:\n      - t: {name: first}\n".to_owned();
    let names: Vec<String> = (0..60).map(|number| format!("part-{number}")).collect();
    for name in &names {
        text += &format!("      - t: {{name: {name}, requires: [first]}}\n");
    }
    text += &format!(
        "      - t: {{name: last, requires: [{}]}}\n",
        names.join(", ")
    );
    let out = config(&text, &["graph"]).good().out;
    assert_eq!(out.lines().count(), 63);
    let last = "      └─ last  (also after part-0, part-1, part-2 and 56 more)\n";
    assert!(out.ends_with(last), "{out}");
}

#[test]
fn graphs_for_other_tools_take_any_name() {
    let text = "version: 2.1\njobs: {t: {machine: true, steps: [checkout]}}\nworkflows:\n  'a \"b\"':\n    jobs:\n      - t: {name: 'x <y> \"z\" #1'}\n      - t: {requires: ['x <y> \"z\" #1': failed]}\n";
    let mermaid = config(text, &["graph", "--format", "mermaid"]).good().out;
    let expected = "\
flowchart LR
  subgraph w0[\"a #quot;b#quot;\"]
    w0j0[\"x #60;y#62; #quot;z#quot; #35;1\"]
    w0j1[\"t\"]
    w0j0 -->|failed| w0j1
  end
";
    assert_eq!(mermaid, expected);
    let dot = config(text, &["graph", "--format", "dot"]).good().out;
    assert!(dot.contains(r#"w0j0 [label="x <y> \"z\" #1"];"#), "{dot}");
    assert!(dot.contains(r#"w0j0 -> w0j1 [label="failed"];"#), "{dot}");
}

#[test]
fn the_schema_is_one() {
    let schema: Value = config(RELEASE, &["schema"]).good().json();
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
    let keys = &schema["definitions"]["job"]["properties"];
    assert_eq!(keys["parallelism"]["description"], "How many tasks it is.");
}

#[test]
fn a_config_that_is_not_there() {
    let home = Home::new();
    for verb in ["validate", "process", "graph"] {
        home.run(&["config", verb])
            .failed(NOT_FOUND, &[".circleci/config.yml"]);
        home.run(&["config", verb, "nothing.yml"])
            .failed(NOT_FOUND, &["nothing.yml"]);
    }
}
