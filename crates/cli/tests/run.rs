//! `outrider run`: a pipeline of a folder, here and now.

#[expect(dead_code, reason = "the other tests use the rest")]
mod support;

use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::Value;
use support::{Home, Ran, Running};

const QUICKSTART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/quickstart");

/// A config of one job with these steps.
fn config(steps: &str) -> String {
    format!(
        "version: 2.1\nparameters:\n  who: {{type: string, default: world}}\njobs:\n  build:\n    \
         machine: true\n    steps:\n{steps}"
    )
}

/// The project runs, with these arguments too.
fn run(home: &Home, more: &[&str]) -> Ran {
    home.run(&[&["run"], more].concat())
}

/// Each line is one JSON object.
fn events(out: &str) -> Vec<Value> {
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    out.lines().map(parse).collect()
}

/// Whether a process has this among its arguments.
fn is_running(argument: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap();
    processes.filter_map(Result::ok).any(|process| {
        std::fs::read(process.path().join("cmdline")).is_ok_and(|line| {
            line.split(|byte| *byte == 0)
                .any(|word| word == argument.as_bytes())
        })
    })
}

/// A number of seconds that no other test sleeps for.
fn long_sleep(test: u32) -> String {
    format!("{}.{test}", 100_000 + std::process::id())
}

#[test]
fn the_quickstart_passes_and_leaves_nothing() {
    let home = Home::new();
    let ran = run(&home, &[QUICKSTART]).good();
    assert_eq!(ran.err, "");
    let first = ran.first_line();
    assert!(
        first.starts_with("pipeline ") && first.ends_with(" #1"),
        "{first}"
    );
    let has = |words: &[&str]| {
        let mut lines = ran.out.lines();
        assert!(
            lines.any(|line| words.iter().all(|word| line.contains(word))),
            "{words:?} in\n{}",
            ran.out
        );
    };
    has(&["▶ test", "running"]);
    has(&["✓ test", "passed", "4/4 tasks"]);
    has(&["· report", "blocked"]);
    has(&["✓ report", "passed"]);
    has(&["✓ pipeline passed in "]);
    let at = |part: &str| ran.out.find(part).unwrap();
    assert!(at("✓ test") < at("▶ report"), "{}", ran.out);
    assert!(
        !ran.out.contains("squared"),
        "output of passed steps:\n{}",
        ran.out
    );
    assert!(home.leftovers().is_empty(), "{:?}", home.leftovers());
    // Only what later runs of the folder build on.
    let left = std::fs::read_dir(home.path("home")).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, [".cache"]);
}

#[test]
fn verbose_shows_what_all_steps_wrote_and_parameters_reach_them() {
    let home = Home::new();
    let ran = run(&home, &[QUICKSTART, "-v", "-p", "greeting=Ahoy"]).good();
    for index in 0..4 {
        let line = format!("I am node {index} of 4\n");
        assert!(ran.out.contains(&line), "{}", ran.out);
    }
    assert!(
        ran.out.contains("── test 1/4 › Greet tester (passed"),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("Ahoy, everybody!\n"), "{}", ran.out);
}

#[test]
fn json_is_one_event_a_line() {
    let home = Home::new();
    let ran = run(&home, &[QUICKSTART, "--json"]).good();
    let events = events(&ran.out);
    assert_eq!(events[0]["event"], "pipeline");
    assert_eq!(events[0]["jobs"], 2);
    let passed = |kind: &str| {
        let of_kind = events.iter().filter(|event| event["event"] == kind);
        of_kind.filter(|event| event["status"] == "passed").count()
    };
    assert_eq!(
        (passed("job"), passed("task"), passed("end")),
        (2, 5, 1),
        "{}",
        ran.out
    );
    assert_eq!(events.last().unwrap()["exit_code"], 0);
}

#[test]
fn a_step_that_fails_gives_its_output_and_its_code() {
    let home = Home::new();
    home.project(format!(
        "{}workflows:\n  main:\n    jobs:\n      - build\n      - after: {{requires: [build]}}\n",
        config(
            "      - run: echo before\n      - run:\n          name: Break\n          command: |\n            \
             echo to out; echo to err >&2; printf 'no end'; exit 42\n      - run: echo never\n  after:\n    \
             machine: true\n    steps: [{run: 'true'}]\n"
        )
    ));
    let ran = run(&home, &[]);
    assert_eq!(ran.code, Some(42), "{ran:?}");
    assert!(
        ran.out.contains("── build › Break (exit 42, "),
        "{}",
        ran.out
    );
    assert!(
        ran.out.contains("\nto out\nto err\nno end\n"),
        "{}",
        ran.out
    );
    assert!(
        ran.out.contains("step \"Break\" ended with code 42"),
        "{}",
        ran.out
    );
    assert!(
        !ran.out.contains("before") && !ran.out.contains("never"),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("- after  not run\n"), "{}", ran.out);
    assert!(ran.out.contains("✗ pipeline failed in "), "{}", ran.out);

    let ran = run(&home, &["--json"]);
    assert_eq!(ran.code, Some(42), "{ran:?}");
    let events = events(&ran.out);
    let output = events
        .iter()
        .find(|event| event["event"] == "output")
        .unwrap();
    assert_eq!(output["text"], "to out\nto err\nno end");
    assert_eq!(events.last().unwrap()["exit_code"], 42);

    run(&home, &["--job", "after"]).good();
}

#[test]
fn signals_and_timeouts_have_codes_of_their_own() {
    let home = Home::new();
    home.project(config("      - run: kill -SEGV $$\n"));
    let ran = run(&home, &[]);
    assert_eq!(ran.code, Some(128 + 11), "{ran:?}");
    assert!(ran.out.contains("signal 11"), "{}", ran.out);

    let sleep = long_sleep(1);
    home.project(config(&format!(
        "      - run:\n          command: echo begin; sleep {sleep}\n          no_output_timeout: 300ms\n"
    )));
    let ran = run(&home, &[]);
    assert_eq!(ran.code, Some(124), "{ran:?}");
    assert!(
        ran.out.contains("begin\n") && ran.out.contains("wrote nothing for 0.3s"),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("pipeline timed out"), "{}", ran.out);
    assert!(!is_running(&sleep));
}

#[test]
fn the_environment_comes_from_files_and_flags_and_the_job_beats_both() {
    let home = Home::new();
    let config = config(
        "      - run:\n          environment: {FROM_STEP: step}\n          command: |\n            \
         echo \"[$FROM_FILE $FROM_BOTH $FROM_STEP ${CALLER:-none} << pipeline.parameters.who >>]\"\n            \
         echo \"[$CIRCLE_BRANCH|$CIRCLE_TAG]\"\n",
    );
    let tags = "workflows: {main: {jobs: [build: {filters: {tags: {only: /.*/}}}]}}\n";
    home.project(config + tags);
    home.write(
        "project/vars",
        "# comment\nFROM_FILE=file\nexport FROM_BOTH='file'\nFROM_STEP=file\n",
    );
    let more = [
        "run",
        "-v",
        "--env-file",
        "vars",
        "-e",
        "FROM_BOTH=flag",
        "-e",
        "FROM_STEP=flag",
        "-p",
        "who=you",
        "--branch",
        "topic",
    ];
    let ran = Ran::of(home.command(&more).env("CALLER", "seen")).good();
    assert!(
        ran.out.contains("[file flag step none you]\n"),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("[topic|]\n"), "{}", ran.out);
    let ran = run(&home, &["-v", "--tag", "v1"]).good();
    assert!(ran.out.contains("[|v1]\n"), "{}", ran.out);
}

#[test]
fn checkout_takes_the_files_as_they_are_or_what_is_committed() {
    let home = Home::new();
    home.project(config("      - checkout\n      - run: cat tracked; ls\n"));
    home.write("project/tracked", "old\n");
    home.write("project/.gitignore", "ignored\n");
    home.git(&["init", "--quiet", "--initial-branch=main"]);
    home.git(&["add", "."]);
    home.git(&["commit", "--quiet", "-m", "first"]);
    home.write("project/tracked", "new\n");
    home.write("project/untracked", "");
    home.write("project/ignored", "");
    let ran = run(&home, &["-v"]).good();
    assert!(
        ran.out.contains("\nnew\n") && ran.out.contains("\nuntracked\n"),
        "{}",
        ran.out
    );
    assert!(!ran.out.contains("\nignored\n"), "{}", ran.out);
    let ran = run(&home, &["-v", "--committed"]).good();
    assert!(
        ran.out.contains("\nold\n") && !ran.out.contains("untracked"),
        "{}",
        ran.out
    );
    // The working tree is as it was.
    assert_eq!(
        std::fs::read(home.path("project/tracked")).unwrap(),
        b"new\n"
    );
}

#[test]
fn keep_leaves_the_data_and_says_where() {
    let home = Home::new();
    home.project(config("      - run: echo kept\n"));
    let ran = run(&home, &["--keep"]).good();
    let folder = ran
        .err
        .lines()
        .find_map(|line| line.strip_prefix("kept: "))
        .unwrap();
    assert!(Path::new(folder).starts_with(home.path("home")), "{folder}");
    assert!(Path::new(folder).join("outrider.db").exists());
    assert!(home.leftovers().is_empty());
}

#[test]
fn one_workflow_of_several() {
    let home = Home::new();
    home.project(format!(
        "{}workflows:\n  good: {{jobs: [build]}}\n  bad: {{jobs: [broken]}}\n",
        config("      - run: 'true'\n  broken:\n    machine: true\n    steps: [{run: exit 9}]\n")
    ));
    let ran = run(&home, &["--workflow", "good"]).good();
    assert!(!ran.out.contains("broken"), "{}", ran.out);
    let ran = run(&home, &["--runners", "1"]);
    assert_eq!(ran.code, Some(9), "{ran:?}");
    assert!(
        ran.out.contains("✓ good/build") && ran.out.contains("✗ bad/broken"),
        "{}",
        ran.out
    );
}

#[test]
fn interrupted_once_it_cancels_and_ends_in_order() {
    let home = Home::new();
    let sleep = long_sleep(2);
    let begun = home.path("begun").display().to_string();
    home.project(format!(
        "version: 2.1
jobs:
  build: {{machine: true, steps: [run: echo begin; touch {begun}; sleep {sleep}]}}
  after: {{machine: true, steps: [run: until test -e {begun}; do sleep 0.01; done]}}
workflows:
  main: {{jobs: [build, after]}}
"
    ));
    let mut running = Running::start(&mut home.command(&["run"]));
    // What a runner has to say it says in order: the server knows that `build` has begun.
    running.line("✓ after");
    while !is_running(&sleep) {
        std::thread::yield_now();
    }
    running.signal(Signal::INT);
    let (code, said) = running.end();
    assert_eq!(code, Some(130), "{said}");
    for part in [
        "interrupt again to stop at once",
        "begin",
        "✗ build",
        "pipeline canceled",
    ] {
        assert!(said.contains(part), "no {part:?} in\n{said}");
    }
    assert!(!is_running(&sleep));
    std::fs::remove_file(begun).unwrap();
    assert!(home.leftovers().is_empty());
}

#[test]
fn interrupted_twice_it_stops_what_ignores_the_first() {
    let home = Home::new();
    let sleep = long_sleep(3);
    home.project(config(&format!(
        "      - run: trap '' TERM INT; sleep {sleep}; sleep {sleep}\n"
    )));
    let mut running = Running::start(&mut home.command(&["run"]));
    running.line("▶ build");
    while !is_running(&sleep) {
        std::thread::yield_now();
    }
    running.signal(Signal::INT);
    running.line("interrupt again to stop at once");
    running.signal(Signal::INT);
    let (code, said) = running.end();
    assert_eq!(code, Some(130), "{said}");
    assert!(!is_running(&sleep), "{said}");
    assert!(home.leftovers().is_empty());
}

#[test]
fn a_reader_that_goes_away_changes_nothing() {
    let home = Home::new();
    home.project(config("      - run: echo out; exit 5\n"));
    for arguments in [
        &["run", "-v"][..],
        &["run", "--json"],
        &["completions", "bash"],
    ] {
        let mut child = home
            .command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let ran = Ran::from(child.wait_with_output().unwrap());
        let code = if arguments[0] == "run" { 5 } else { 0 };
        assert_eq!(ran.code, Some(code), "{arguments:?}: {ran:?}");
        assert_eq!(ran.err, "", "{arguments:?}");
    }
    assert!(home.leftovers().is_empty());
}

#[test]
fn on_a_terminal_lines_are_redrawn_and_fit() {
    // `script` gives a command a terminal; not every host has it.
    if Command::new("script").arg("--version").output().is_err() {
        return;
    }
    let home = Home::new();
    let name = "a-job-with-a-name-".repeat(8);
    let workflows = format!("workflows: {{main: {{jobs: [{name}]}}}}\n");
    let jobs = config("      - run: sleep 0.3\n").replace("  build:", &format!("  {name}:"));
    home.project(jobs + &workflows);
    let outrider = env!("CARGO_BIN_EXE_outrider");
    let mut script = Command::new("script");
    script
        .args([
            "-qec",
            &format!("stty cols 60 rows 20; {outrider} run"),
            "/dev/null",
        ])
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("TERM", "xterm-256color")
        .env("HOME", home.path("home"))
        .env("TMPDIR", home.path("tmp"))
        .current_dir(home.path("project"))
        .stdin(Stdio::null());
    let ran = Ran::of(&mut script).good();
    assert!(ran.out.contains("\u{1b}[33m▶ a-job-with"), "{:?}", ran.out);
    assert!(ran.out.contains("\u{1b}[32m✓ a-job-with"), "{:?}", ran.out);
    assert!(
        ran.out.contains('…') && !ran.out.contains(&name),
        "{:?}",
        ran.out
    );
}

#[test]
fn the_project_compiles_its_own_pipeline() {
    let home = Home::new();
    // Another job than those that build: only the config is looked at.
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let ran = run(&home, &[root, "--job", "nobody"]);
    ran.failed(65, &["no workflow has a job `nobody`", "`lint`", "`test`"]);
}

/// Two workflows, of which one waits for somebody.
const APPROVAL: &str = "version: 2.1
jobs:
  build: {machine: true, steps: [run: 'true']}
  deploy: {machine: true, steps: [run: echo deployed]}
workflows:
  main:
    jobs:
      - build
      - hold: {type: approval, requires: [build]}
      - deploy: {requires: [hold]}
  other:
    jobs: [build]
";

#[test]
fn without_a_terminal_a_job_on_hold_needs_a_flag() {
    let home = Home::new();
    home.project(APPROVAL);
    let ran = run(&home, &[]);
    assert!(ran.out.contains("? main/hold    on hold"), "{}", ran.out);
    assert!(ran.out.contains("✓ other/build  passed"), "{}", ran.out);
    ran.failed(78, &["nobody is there to approve hold", "--approve hold"]);
    assert!(home.leftovers().is_empty());
    for name in ["hold", "main/hold", "all"] {
        let ran = run(&home, &["--approve", name, "-v"]).good();
        assert!(ran.out.contains("\ndeployed\n"), "{}", ran.out);
        for workflow in ["✓ workflow main passed", "✓ workflow other passed"] {
            assert!(ran.out.contains(workflow), "{}", ran.out);
        }
    }
}

#[test]
fn on_a_terminal_the_user_is_asked() {
    if Command::new("script").arg("--version").output().is_err() {
        return;
    }
    for (answer, code, last) in [
        ("y", 0, "✓ workflow main passed"),
        ("n", 130, "✗ workflow main canceled"),
    ] {
        let home = Home::new();
        home.project(APPROVAL);
        let outrider = env!("CARGO_BIN_EXE_outrider");
        let mut script = Command::new("script");
        script
            .args([
                "-qec",
                &format!("stty cols 80; {outrider} run"),
                "/dev/null",
            ])
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("TERM", "xterm-256color")
            .env("HOME", home.path("home"))
            .env("TMPDIR", home.path("tmp"))
            .current_dir(home.path("project"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = script.spawn().unwrap();
        // Whether the question is there yet does not matter: a terminal keeps what is typed.
        let mut input = child.stdin.take().unwrap();
        std::io::Write::write_all(&mut input, format!("{answer}\n").as_bytes()).unwrap();
        let ran = Ran::from(child.wait_with_output().unwrap());
        drop(input);
        assert_eq!(ran.code, Some(code), "{ran:?}");
        assert!(ran.out.contains("Approve `hold`? [y/N]"), "{:?}", ran.out);
        assert!(ran.out.contains(last), "{:?}", ran.out);
    }
}

#[test]
fn a_setup_config_goes_on_with_another() {
    let home = Home::new();
    let outrider = env!("CARGO_BIN_EXE_outrider");
    let steps = format!(
        "      - checkout\n      - run: echo \"[$CIRCLE_CONTINUATION_KEY]\"\n      \
         - run: {outrider} pipeline continue more.yml -p deploy=true\n"
    );
    home.project(config(&steps).replace("parameters:", "setup: true\nparameters:"));
    let more = "version: 2.1\nparameters:\n  deploy: {type: boolean, default: false}\njobs:\n  \
                test:\n    machine: true\n    steps:\n      - run: \
                echo \"deploy << pipeline.parameters.deploy >>, key ${CIRCLE_CONTINUATION_KEY-none}\"\n\
                workflows: {second: {jobs: [test]}}\n";
    home.write("project/more.yml", more);
    let ran = run(&home, &["-v"]).good();
    assert!(ran.out.contains("\n[****]\n"), "{}", ran.out);
    assert!(ran.out.contains("\nAccepted.\n"), "{}", ran.out);
    assert!(ran.out.contains("\ndeploy true, key none\n"), "{}", ran.out);
    assert!(ran.out.contains("✓ second/test  passed"), "{}", ran.out);
    assert!(ran.out.contains("✓ workflow second passed"), "{}", ran.out);

    home.write("project/more.yml", "version: 2.1\njobs: {}\n");
    let ran = run(&home, &[]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.out.contains("the config does not compile"),
        "{}",
        ran.out
    );
}

#[test]
fn a_failed_job_is_run_again_where_its_workflow_says_so() {
    let home = Home::new();
    let tries = home.path("tries");
    let command = format!("echo x >> {0}; [ $(wc -l < {0}) -eq 2 ]", tries.display());
    let workflows = "workflows: {main: {max_auto_reruns: 2, jobs: [build]}}\n";
    home.project(config(&format!("      - run: '{command}'\n")) + workflows);
    run(&home, &[]).good();
    assert_eq!(std::fs::read_to_string(tries).unwrap(), "x\nx\n");
}

#[test]
fn outside_of_a_setup_job_nothing_is_continued() {
    let home = Home::new();
    home.project(config("      - run: 'true'\n"));
    let ran = home.run(&["pipeline", "continue", ".circleci/config.yml"]);
    ran.failed(77, &["no continuation key", "setup: true"]);
}
