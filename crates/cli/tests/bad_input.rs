//! What is wrong gets one clear message that says what to do, and a stable exit code. It leaves
//! nothing behind and everything else working.

#[expect(dead_code, reason = "the other tests use the rest")]
mod support;

use support::{Home, Ran, Running, Served};

const INVALID_CONFIG: i32 = 65;
const NOT_FOUND: i32 = 66;
const UNAVAILABLE: i32 = 69;
const CANNOT_WRITE: i32 = 73;
const IN_USE: i32 = 75;
const NOT_ALLOWED: i32 = 77;
const BAD_SETTINGS: i32 = 78;
const USAGE: i32 = 2;

/// An id that fits and names nothing.
const NOBODY: &str = "01957f3e-6c1a-7d2e-9c55-0a4f6b1d2e3f";

/// `outrider run` of a project with this config fails with the code for it, and these words.
#[track_caller]
fn refused(config: impl AsRef<[u8]>, words: &[&str]) {
    let home = Home::new();
    home.project(config);
    let ran = home.run(&["run"]).failed(INVALID_CONFIG, words);
    assert_eq!(ran.out, "", "nothing was started");
    assert!(ran.err.len() < 20_000, "{} bytes of text", ran.err.len());
    assert!(home.leftovers().is_empty(), "{:?}", home.leftovers());
}

#[test]
fn a_syntax_error() {
    let config = "version: 2.1\njobs:\n  build:\n    machine: true\n    steps: [checkout\n";
    refused(config, &[".circleci/config.yml", "1 error"]);
}

#[test]
fn an_unknown_key() {
    let config =
        "version: 2.1\njobs:\n  build:\n    machine: true\n    stepz: []\n    steps: [checkout]\n";
    refused(config, &["config.yml:5:5", "stepz", "^", "help", "steps"]);
}

#[test]
fn a_wrong_type() {
    let config = "version: 2.1\njobs:\n  build:\n    machine: true\n    parallelism: lots\n    steps: [checkout]\n";
    refused(config, &["config.yml:5:", "parallelism", "lots"]);
}

#[test]
fn a_missing_job() {
    let config = "version: 2.1\njobs:\n  build:\n    machine: true\n    steps: [checkout]\n\
                  workflows:\n  main:\n    jobs: [bild]\n";
    refused(config, &["config.yml:8:12", "bild", "build"]);
}

#[test]
fn a_cycle_in_requires() {
    let config = "version: 2.1\njobs:\n  a: &job\n    machine: true\n    steps: [checkout]\n  b: *job\n\
                  workflows:\n  main:\n    jobs:\n      - a: {requires: [b]}\n      - b: {requires: [a]}\n";
    refused(config, &["config.yml:1", "a", "b", "requires"]);
}

#[test]
fn a_duplicate_key() {
    let config = "version: 2.1\njobs:\n  build:\n    machine: true\n    steps: [checkout]\n  build:\n    machine: true\n    steps: []\n";
    refused(config, &["config.yml:6:3", "build"]);
}

#[test]
fn an_undefined_parameter() {
    let config = "version: 2.1\njobs:\n  build:\n    machine: true\n    steps:\n      - run: echo << parameters.nobody >>\n";
    refused(config, &["config.yml:6:", "nobody"]);
}

#[test]
fn several_errors_at_once() {
    let config = "version: 2.1\njobs:\n  build:\n    machine: true\n    stepz: []\n    parallelism: lots\n    steps: [checkout]\n";
    refused(config, &["errors", "stepz", "lots"]);
}

#[test]
fn an_empty_config() {
    refused("", &["config.yml", "1 error", "help"]);
    refused("# nothing\n", &["config.yml", "1 error", "help"]);
}

#[test]
fn a_config_of_10_mb() {
    let step = "      - run: echo this line is one of very many that nobody ever wrote by hand\n";
    let mut config = "version: 2.1\njobs:\n  build:\n    machine: true\n    steps:\n".to_owned();
    config.push_str(&step.repeat(10_000_000 / step.len()));
    refused(config, &["config.yml", "large"]);
}

#[test]
fn an_alias_bomb() {
    let mut config = "version: 2.1\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let below = vec![format!("*a{}", level - 1); 10].join(", ");
        config.push_str(&format!("a{level}: &a{level} [{below}]\n"));
    }
    refused(config, &["config.yml", "alias"]);
}

#[test]
fn a_config_that_is_not_utf8() {
    let latin = b"version: 2.1 # caf\xe9\njobs: {}\n";
    refused(
        latin,
        &["config.yml", "not UTF-8", "byte 18", "Save it as UTF-8"],
    );
}

#[test]
fn a_path_that_does_not_exist() {
    let home = Home::new();
    let cases: [(&[&str], &str); 5] = [
        (&["run"], "Name the config"),
        (&["run", "no-such-folder"], "folder of a project"),
        (&["run", "--config", "no-such-file.yml"], "Name the config"),
        (
            &[
                "run",
                "--config",
                "/proc/version",
                "--env-file",
                "no-such-file",
            ],
            "no-such-file",
        ),
        (&["run", "/proc/version"], "not a folder"),
    ];
    for (arguments, words) in cases {
        home.run(arguments).failed(NOT_FOUND, &[words]);
    }
    assert!(home.leftovers().is_empty());
}

#[test]
fn names_that_the_config_does_not_have() {
    let home = Home::new();
    home.project("version: 2.1\njobs:\n  build:\n    machine: true\n    steps: [checkout]\n");
    let run = |more: &[&str]| home.run(&[&["run"], more].concat());
    run(&["--job", "bild"]).failed(INVALID_CONFIG, &["bild", "`build`"]);
    run(&["--workflow", "mian"]).failed(INVALID_CONFIG, &["mian"]);
    run(&["-p", "level=3"]).failed(INVALID_CONFIG, &["level", "not declared"]);
    run(&["--runners", "0"]).failed(BAD_SETTINGS, &["slot", "--runners"]);
    run(&["-e", "LEVEL"]).failed(USAGE, &["LEVEL", "KEY=VALUE"]);
    let file = home.write("project/vars", "A=1\nS3CRET\n");
    let ran = run(&["--env-file", file.to_str().unwrap()]);
    let ran = ran.failed(BAD_SETTINGS, &["vars:2", "KEY=VALUE"]);
    assert!(!ran.err.contains("S3CRET"), "{}", ran.err);
    assert!(home.leftovers().is_empty());
}

#[test]
fn an_image_without_an_executor_for_it() {
    let home = Home::new();
    home.project("version: 2.1\njobs:\n  build:\n    docker: [{image: cimg/rust:1.90}]\n    steps: [{run: 'true'}]\n");
    let nobody = format!(
        "--docker-host=unix://{}",
        home.path("nobody.sock").display()
    );
    let ways_out = [
        "cimg/rust:1.90",
        "nobody.sock",
        "--docker-host",
        "--executor process",
    ];
    home.run(&["run", &nobody]).failed(BAD_SETTINGS, &ways_out);
    home.run(&["run", "--executor", "docker", &nobody])
        .failed(BAD_SETTINGS, &ways_out);
    home.run(&["run", "--executor", "process"]).good();
}

#[test]
fn a_machine_where_only_containers_run() {
    let home = Home::new();
    home.project("version: 2.1\njobs:\n  build:\n    machine: true\n    steps: [{run: 'true'}]\n");
    home.run(&["run", "--executor", "docker"]).failed(
        BAD_SETTINGS,
        &["\"build\"", "names no docker image", "--executor"],
    );
}

#[test]
fn tokens() {
    let home = Home::new();
    let served = Served::start(&home, &[]);
    let queue = &["queue"];
    for wrong in [
        "nonsense",
        "outrider_admin_0000000000000000000000000000000000000000",
    ] {
        let ran = served.run_as(wrong, queue);
        let ran = ran.failed(NOT_ALLOWED, &["unknown or revoked", "OUTRIDER_TOKEN"]);
        assert!(!ran.err.contains(wrong), "{}", ran.err);
    }
    let none = &["no token", "OUTRIDER_TOKEN", "--token-file", "admin-token"];
    served.run_as("", queue).failed(NOT_ALLOWED, none);
    Ran::of(served.command(queue).env_remove("OUTRIDER_TOKEN")).failed(NOT_ALLOWED, none);
    let empty = home.write("project/empty", "\n");
    let mut command = served.command(queue);
    command
        .env_remove("OUTRIDER_TOKEN")
        .env("OUTRIDER_TOKEN_FILE", &empty);
    Ran::of(&mut command).failed(BAD_SETTINGS, &["does not hold a token"]);
    command.env("OUTRIDER_TOKEN_FILE", "/no/such/file");
    Ran::of(&mut command).failed(NOT_FOUND, &["/no/such/file", "--token-file"]);

    let class = served.class_token("acme/linux");
    let ran = served.run_as(&class, queue);
    ran.failed(NOT_ALLOWED, &["acme/linux", "admin token"]);

    let tokens = served.run(&["token", "list", "--json"]).good().json();
    let of_class = |token: &&serde_json::Value| token["scope"]["class"] == "acme/linux";
    let token = tokens["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(of_class)
        .unwrap();
    served
        .run(&["token", "revoke", token["id"].as_str().unwrap()])
        .good();
    let data = home.path("runner");
    let runner = &["runner", "start", "--data", data.to_str().unwrap()];
    let ran = served.run_as(&class, runner);
    ran.failed(
        NOT_ALLOWED,
        &[
            "does not accept this runner's token",
            "outrider token create",
        ],
    );
    served
        .run(&["token", "revoke", NOBODY])
        .failed(NOT_FOUND, &["token", "token list"]);
    served.still_works();
}

#[test]
fn ids() {
    let home = Home::new();
    let served = Served::start(&home, &[]);
    let verbs: [(&[&str], &str); 6] = [
        (&["explain"], "task"),
        (&["job", "show"], "job"),
        (&["job", "logs"], "job"),
        (&["job", "cancel"], "job"),
        (&["pipeline", "show"], "pipeline"),
        (&["pipeline", "cancel"], "pipeline"),
    ];
    for (verb, kind) in verbs {
        let ran = served.run(&[verb, &[NOBODY]].concat());
        ran.failed(NOT_FOUND, &[kind, NOBODY, "outrider pipeline list"]);
        let ran = served.run(&[verb, &["42"]].concat());
        ran.failed(USAGE, &["42", kind, "an id looks like"]);
    }
    served.still_works();
}

#[test]
fn a_config_that_the_server_refuses() {
    let home = Home::new();
    let served = Served::start(&home, &[]);
    let trigger = &["pipeline", "trigger"];
    served
        .run(trigger)
        .failed(NOT_FOUND, &[".circleci/config.yml", "Name the config"]);
    home.project("version: 2.1\njobs:\n  build:\n    machine: true\n    stepz: []\n");
    served
        .run(trigger)
        .failed(INVALID_CONFIG, &["config.yml:5:5", "stepz", "^"]);
    let ran = served.run(&["pipeline", "trigger", "--git", "/no/such/repository"]);
    ran.failed(NOT_FOUND, &["/no/such/repository", "--git"]);
    assert!(home.leftovers().is_empty());
    let list = served.run(&["pipeline", "list"]).good();
    assert!(list.out.contains("There are no pipelines"), "{}", list.out);
    served.still_works();
}

#[test]
fn a_port_or_a_folder_that_another_server_has() {
    let home = Home::new();
    let served = Served::start(&home, &[]);
    let server = |data: &str, port: &str| {
        let data = home.path(data);
        let listen = format!("127.0.0.1:{port}");
        home.run(&[
            "server",
            "--data",
            data.to_str().unwrap(),
            "--listen",
            &listen,
        ])
    };
    server("other", served.port()).failed(IN_USE, &[served.port(), "in use", "--listen"]);
    server("data", "0").failed(IN_USE, &["another server", "--data"]);
    served.still_works();
}

#[test]
fn two_runners_in_one_folder() {
    let home = Home::new();
    let served = Served::start(&home, &[]);
    let token = served.class_token("acme/linux");
    let data = home.path("runner");
    let start = ["runner", "start", "--data", data.to_str().unwrap()];
    let mut first = Running::start(served.command(&start).env("OUTRIDER_TOKEN", &token));
    first.line("Runner ");
    // The lock is taken soon after.
    let lock = data.join("spool/lock");
    while !lock.exists() {
        std::thread::yield_now();
    }
    let ran = served.run_as(&token, &start);
    ran.failed(IN_USE, &["another runner", "of its own"]);
    served.still_works();
}

#[test]
fn folders_that_cannot_be_written() {
    let home = Home::new();
    let file = home.write("project/file", "");
    // Root can write everywhere, but nobody can below a file or in /proc.
    for folder in [file.join("below").to_str().unwrap(), "/proc/outrider"] {
        let server = ["server", "--listen", "127.0.0.1:0", "--data", folder];
        home.run(&server).failed(CANNOT_WRITE, &[folder, "--data"]);
        let runner = ["runner", "start", "--token", "x", "--data", folder];
        home.run(&runner).failed(CANNOT_WRITE, &[folder, "--data"]);
        home.project("version: 2.1\njobs:\n  build:\n    machine: true\n    steps: [checkout]\n");
        let mut run = home.command(&["run"]);
        Ran::of(run.env("TMPDIR", folder)).failed(CANNOT_WRITE, &["temporary folder", "TMPDIR"]);
    }
}

#[test]
fn listening_to_others_without_tls() {
    let home = Home::new();
    let data = home.path("data");
    let server = [
        "server",
        "--listen",
        "0.0.0.0:0",
        "--data",
        data.to_str().unwrap(),
    ];
    let words = &["other hosts", "--tls-cert", "--behind-tls-proxy"];
    home.run(&server).failed(BAD_SETTINGS, words);
    let mut without_key = server.to_vec();
    without_key.extend(["--tls-cert", "chain.pem"]);
    home.run(&without_key).failed(USAGE, &["--tls-key"]);
    let mut no_file = without_key;
    no_file.extend(["--tls-key", "key.pem"]);
    home.run(&no_file)
        .failed(BAD_SETTINGS, &["chain.pem", "TLS files"]);
    let served = Served::start(&home, &["--listen", "0.0.0.0:0", "--behind-tls-proxy"]);
    served.still_works();
}

#[test]
fn settings_of_a_runner() {
    let home = Home::new();
    let start = |content: &str| {
        let file = home.write("project/runner.yaml", content);
        home.run(&["runner", "start", "--config", file.to_str().unwrap()])
    };
    start("slots: [4\n").failed(BAD_SETTINGS, &["runner.yaml", "one setting a line"]);
    start("slotz: 4\n").failed(BAD_SETTINGS, &["slotz", "Did you mean `slots`?"]);
    start("warm_images: [a, b]\n").failed(BAD_SETTINGS, &["Did you mean `warm-image`?"]);
    start("rooms: 4\n").failed(BAD_SETTINGS, &["rooms", "slots", "max-run-time"]);
    start("slots: many\n").failed(USAGE, &["many", "--slots"]);
    start("max-run-time: 5 days\n").failed(USAGE, &["5 days", "90s, 10m or 5h"]);
    let ran = home.run(&["runner", "start", "--config", "no-such.yaml"]);
    ran.failed(NOT_FOUND, &["no-such.yaml", "--config"]);
}

#[test]
fn a_server_that_is_not_there() {
    let home = Home::new();
    let ask = |url: &str| home.run(&["queue", "--token", "x", "--url", url]);
    // Nobody listens on the port of a listener that is gone.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    ask(&url).failed(UNAVAILABLE, &[&url, "outrider server", "OUTRIDER_URL"]);
    ask("127.0.0.1:8080").failed(BAD_SETTINGS, &["127.0.0.1:8080", "http://"]);
}

#[test]
fn commands_that_do_not_exist() {
    let home = Home::new();
    home.run(&["pipline", "list"])
        .failed(USAGE, &["pipline", "pipeline"]);
    home.run(&["run", "--workflo", "x"])
        .failed(USAGE, &["--workflo", "--workflow"]);
}
