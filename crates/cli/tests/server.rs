//! A server, runners and the commands that talk to them: what a team does all day.

#[expect(dead_code, reason = "the other tests use the rest")]
mod support;

use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use support::{Home, Ran, Running, Served};

const CONFIG: &str = "version: 2.1
jobs:
  good:
    machine: true
    resource_class: acme/linux
    parallelism: 2
    steps:
      - checkout
      - run: cat tracked; echo \"node $CIRCLE_NODE_INDEX on $CIRCLE_BRANCH\"
  bad:
    machine: true
    resource_class: acme/linux
    steps: [{run: {name: Break, command: echo about to break; exit 7}}]
  waits:
    machine: true
    steps: [{run: 'true'}]
workflows:
  main:
    jobs: [good, bad, waits]
";

/// A pipeline as `pipeline show --json` shows it.
fn show(served: &Served<'_>, pipeline: &str) -> Value {
    served
        .run(&["pipeline", "show", pipeline, "--json"])
        .good()
        .json()
}

/// A job of it.
fn job<'a>(shown: &'a Value, name: &str) -> &'a Value {
    let workflows = shown["workflows"].as_array().unwrap().iter();
    let mut jobs = workflows.flat_map(|workflow| workflow["jobs"].as_array().unwrap());
    jobs.find(|job| job["name"] == name).unwrap()
}

fn id(value: &Value) -> &str {
    value["id"].as_str().unwrap()
}

/// The id of a job's first task.
fn task(served: &Served<'_>, job: &str) -> String {
    let shown = served.run(&["job", "show", job, "--json"]).good().json();
    id(&shown["tasks"][0]).to_owned()
}

/// Asks until it is so.
#[track_caller]
fn until<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let start = tokio::time::Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "it never was so");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn from_an_empty_home_to_a_pipeline_that_is_explained() {
    let home = Home::new();
    home.project(CONFIG);
    home.write("project/tracked", "tracked\n");
    home.git(&["init", "--quiet", "--initial-branch=main"]);
    home.git(&["add", "."]);
    home.git(&["commit", "--quiet", "-m", "first"]);
    let served = Served::start(&home, &[]);
    let mode = std::fs::metadata(home.path("data/admin-token"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let mode = std::fs::metadata(home.path("data"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);

    // The pipeline waits: nobody serves its classes.
    let repository = home.path("project");
    let pipeline = served
        .run(&[
            "pipeline",
            "trigger",
            "--config",
            ".circleci/config.yml",
            "--project",
            "shop",
            "--git",
            repository.to_str().unwrap(),
            "--ref",
            "main",
        ])
        .good();
    let pipeline = pipeline.first_line();
    let shown = show(&served, pipeline);
    let [good, bad, waits] = ["good", "bad", "waits"].map(|name| id(job(&shown, name)).to_owned());
    let explained = served.run(&["explain", &task(&served, &good)]).good();
    for part in [
        "good, index 0: queued",
        "no runner has ever served the class acme/linux",
        "outrider runner start",
    ] {
        assert!(
            explained.out.contains(part),
            "no {part:?} in {}",
            explained.out
        );
    }
    // A job and a pipeline are explained as well.
    let explained = served.run(&["explain", &good]).good();
    assert!(explained.out.contains("good, index 0"), "{}", explained.out);
    let explained = served.run(&["explain", pipeline]).good();
    for part in ["good, index 0: queued", "waits, index 0: queued"] {
        assert!(
            explained.out.contains(part),
            "no {part:?} in {}",
            explained.out
        );
    }
    let nothing = served.run(&["explain", "01a1fd14-48f3-7720-96d0-15419653704d"]);
    assert!(
        nothing.err.contains("no task, job or pipeline"),
        "{}",
        nothing.err
    );

    let queue = served.run(&["queue"]).good();
    assert!(
        queue.out.contains("acme/linux") && queue.out.contains("outrider/default"),
        "{}",
        queue.out
    );

    // A runner takes its settings from a file, the environment and flags.
    let settings = home.write(
        "project/runner.yaml",
        "slots: 1\nname: box\nmax-run-time: 1h\n",
    );
    let data = home.path("runner");
    let mut start = served.command(&[
        "runner",
        "start",
        "--config",
        settings.to_str().unwrap(),
        "--data",
        data.to_str().unwrap(),
    ]);
    start
        .env("OUTRIDER_TOKEN", served.class_token("acme/linux"))
        .env("OUTRIDER_SLOTS", "2");
    let mut runner = Running::start(&mut start);
    runner.line("Runner box takes 2 tasks at once");

    // What it runs can be followed, read and explained.
    let log = served.run(&["job", "logs", "-f", &bad]).good();
    assert_eq!(log.out, "about to break\n");
    until(|| (job(&show(&served, pipeline), "good")["status"] == "passed").then_some(()));
    let log = served.run(&["job", "logs", &good]).good();
    for part in [
        "tracked\nnode 0 on main\n",
        "node 1 on main\n",
        "==> good, index 1 of 0 to 1 <==",
    ] {
        assert!(log.out.contains(part), "no {part:?} in {}", log.out);
    }
    let one = served.run(&["job", "logs", &good, "--index", "1"]).good();
    assert!(!one.out.contains("node 0"), "{}", one.out);
    until(|| (job(&show(&served, pipeline), "bad")["status"] == "failed").then_some(()));
    let explained = served.run(&["explain", &task(&served, &bad)]).good();
    for part in [
        "✗ bad, index 0: failed",
        "step \"Break\" ended with code 7",
        "do:",
        "attempt 1 on box: failed",
    ] {
        assert!(
            explained.out.contains(part),
            "no {part:?} in {}",
            explained.out
        );
    }
    let explained = served.run(&["explain", &task(&served, &good)]).good();
    assert!(explained.out.contains("it passed"), "{}", explained.out);

    // What still waits is canceled; then all has ended.
    let canceled = served.run(&["job", "cancel", &waits]).good();
    assert_eq!(canceled.out, "canceled 1 task that had not started\n");
    let canceled = served.run(&["pipeline", "cancel", pipeline]).good();
    assert_eq!(canceled.out, "nothing to cancel: it has ended\n");
    let followed = served.run(&["pipeline", "show", "-f", pipeline]);
    assert_eq!(followed.code, Some(7), "{followed:?}");
    assert!(
        followed.out.contains("about to break\n"),
        "{}",
        followed.out
    );
    let list = served.run(&["pipeline", "list"]).good();
    assert!(
        list.out.contains("shop") && list.out.contains("failed"),
        "{}",
        list.out
    );

    // Both end in order when they are told to.
    runner.signal(Signal::TERM);
    assert_eq!(runner.end().0, Some(0));
    served.running.signal(Signal::TERM);
    assert_eq!(served.running.end().0, Some(0));
}

#[test]
fn a_server_with_its_own_runner_keeps_its_token_and_its_pipelines() {
    let home = Home::new();
    home.project(
        "version: 2.1\njobs:\n  build:\n    machine: true\n    steps: [{run: echo built}]\n",
    );
    let mut first = Served::start(&home, &["--with-runner"]);
    first
        .running
        .line("A runner in this process takes 2 tasks at once");
    let ran = first.run(&["pipeline", "trigger", "-f"]).good();
    assert!(ran.out.contains("✓ build"), "{}", ran.out);
    let token = first.token.clone();
    first.running.signal(Signal::TERM);
    assert_eq!(first.running.end().0, Some(0));

    let mut again = Served::start(&home, &["--with-runner"]);
    assert_eq!(again.token, token);
    again.running.line("A runner in this process");
    let list = again.run(&["pipeline", "list", "--json"]).good().json();
    assert_eq!(list["items"][0]["status"], "passed");
    again.run(&["pipeline", "trigger", "-f", "--json"]).good();
    again.running.signal(Signal::TERM);
    let (code, said) = again.running.end();
    assert_eq!(code, Some(0));
    assert!(
        !said.contains("outrider_admin_"),
        "the token is shown once: {said}"
    );
}

#[test]
fn a_pipeline_that_runs_is_canceled() {
    let home = Home::new();
    home.project("version: 2.1\njobs:\n  build:\n    machine: true\n    steps: [{run: echo begin; sleep 100000}]\n");
    let served = Served::start(&home, &["--with-runner"]);
    let triggered = served.run(&["pipeline", "trigger"]).good();
    let pipeline = triggered.first_line();
    let build = id(job(&show(&served, pipeline), "build")).to_owned();
    let mut log = Running::start(&mut served.command(&["job", "logs", "-f", &build]));
    log.line("begin");
    let canceled = served.run(&["pipeline", "cancel", pipeline]).good();
    assert_eq!(canceled.out, "stopping 1 task\n");
    let (code, said) = log.end();
    assert_eq!(code, Some(0), "{said}");
    let followed = served.run(&["pipeline", "show", "-f", pipeline]);
    assert_eq!(followed.code, Some(130), "{followed:?}");
    let explained = served.run(&["explain", &task(&served, &build)]).good();
    assert!(explained.out.contains("canceled by"), "{}", explained.out);
}

#[test]
fn tls_with_a_certificate_of_ones_own() {
    let home = Home::new();
    let mut openssl = Command::new("openssl");
    openssl.current_dir(home.path("project")).args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-keyout",
        "key.pem",
        "-out",
        "cert.pem",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=DNS:localhost,IP:127.0.0.1",
        "-addext",
        "basicConstraints=critical,CA:FALSE",
    ]);
    // Not every host has it; nothing else here needs it.
    let Ok(made) = openssl.output() else { return };
    assert!(made.status.success(), "{made:?}");
    home.project("version: 2.1\njobs:\n  build:\n    machine: true\n    steps: [{run: 'true'}]\n");
    let tls = [
        "--listen",
        "0.0.0.0:0",
        "--tls-cert",
        "cert.pem",
        "--tls-key",
        "key.pem",
        "--with-runner",
    ];
    let mut served = Served::start(&home, &tls);
    assert!(served.url.starts_with("https://"), "{}", served.url);
    served.url = format!("https://localhost:{}", served.port());
    let words = ["certificate", "--ca-file"];
    served.run(&["queue"]).failed(69, &words);
    let mut trigger = served.command(&["pipeline", "trigger", "-f"]);
    Ran::of(trigger.env("OUTRIDER_CA_FILE", "cert.pem")).good();
    served
        .run(&["queue", "--ca-file", "key.pem"])
        .failed(78, &["key.pem"]);
}

#[test]
fn what_a_host_offers_and_what_a_shell_completes() {
    let home = Home::new();
    let doctor = home.run(&["doctor"]);
    assert!(
        doctor.out.contains("executor process") && doctor.out.contains("bash"),
        "{doctor:?}"
    );
    home.run(&["doctor", "--json"]).json();
    for shell in ["bash", "zsh", "fish"] {
        let script = home.run(&["completions", shell]).good();
        assert!(script.out.contains("outrider"), "{shell}");
    }
    let help = home.run(&["--help"]).good();
    for verb in [
        "run", "server", "runner", "pipeline", "job", "explain", "doctor",
    ] {
        assert!(
            help.out.contains(&format!("\n  {verb} ")),
            "no {verb} in {}",
            help.out
        );
    }
}

#[test]
fn a_job_on_hold_is_approved_by_a_command() {
    let home = Home::new();
    home.project(
        "version: 2.1
workflows:
  main:
    jobs:
      - hold: {type: approval}
      - other: {type: approval, requires: [hold]}
",
    );
    let served = Served::start(&home, &[]);
    let pipeline = served.run(&["pipeline", "trigger"]).good();
    let pipeline = pipeline.first_line();
    let shown = show(&served, pipeline);
    assert_eq!(shown["pipeline"]["status"], "on_hold");
    let [hold, other] = ["hold", "other"].map(|name| id(job(&shown, name)).to_owned());
    let explained = served.run(&["explain", &task(&served, &hold)]).good();
    assert!(
        explained.out.contains("waits for approval"),
        "{explained:?}"
    );
    let command = format!("outrider job approve {hold}");
    assert!(explained.out.contains(&command), "{explained:?}");

    let early = served.run(&["job", "approve", &other]);
    early.failed(1, &["cannot be approved yet", "hold (on_hold)"]);
    let approved = served.run(&["job", "approve", &hold]).good();
    assert_eq!(approved.first_line(), "hold is approved by admin");
    served.run(&["job", "approve", &hold]).good();
    served.run(&["job", "cancel", &other]).good();
    let late = served.run(&["job", "approve", &other]);
    late.failed(1, &["has ended (canceled)"]);
    let shown = served.run(&["job", "show", &hold]).good();
    assert!(shown.out.contains("type approval"), "{shown:?}");
}
