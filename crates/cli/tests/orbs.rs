//! Orbs, from where they are kept to the job that uses them.

#[expect(dead_code, reason = "the other tests use the rest")]
mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

use support::{Home, Served};

const INVALID_CONFIG: i32 = 65;
const NOT_FOUND: i32 = 66;
const BAD_SETTINGS: i32 = 78;

/// A config whose job runs a job of an orb.
const CONFIG: &str = "version: 2.1
orbs:
  hi: acme/hi@1
workflows:
  main:
    jobs: [hi/greet]
";

/// An orb whose job says this.
fn orb(words: &str) -> String {
    format!(
        "version: 2.1\njobs:\n  greet:\n    machine: true\n    steps:\n      - run: echo {words}\n"
    )
}

/// A registry that has one orb and answers once: then it is gone. It ends with what it was asked.
fn registry(version: &str, source: &str) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let release = serde_json::json!({ "version": version, "source": source });
    let answer = serde_json::json!({ "data": { "orbVersion": release } }).to_string();
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let line = line.to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n", answer.len());
        write!(stream, "{head}connection: close\r\n\r\n{answer}").unwrap();
        String::from_utf8(body).unwrap()
    });
    (url, serving)
}

#[test]
fn an_orb_is_fetched_once_and_then_runs_offline() {
    let home = Home::new();
    home.project(CONFIG);
    let (url, serving) = registry("1.2.3", &orb("from the registry"));
    let ran = home.run(&["run", "-v", "--orb-registry", &url]).good();
    assert!(ran.out.contains("from the registry"), "{ran:?}");
    assert!(serving.join().unwrap().contains("acme/hi@1"));
    let lock = std::fs::read_to_string(home.path("project/.circleci/orbs.lock")).unwrap();
    assert!(lock.contains("acme/hi@1.2.3"), "{lock}");

    let again = home.run(&["run", "-v", "--orb-registry", &url]).good();
    assert!(again.out.contains("from the registry"), "{again:?}");
    assert!(!again.err.contains("warning"), "{again:?}");
    home.run(&["run", "--orb-registry", &url, "--offline"])
        .good();
}

#[test]
fn an_orb_that_is_not_at_hand_has_its_line_and_both_ways_to_supply_it() {
    let home = Home::new();
    home.project(CONFIG);
    let words = [
        "config.yml:3:7",
        "the orb acme/hi@1 is not at hand",
        "the network is not used: --offline",
        "orbs/acme/hi.yml and say --orbs orbs",
        "connect once",
    ];
    let ran = home.run(&["run", "--offline"]);
    ran.failed(INVALID_CONFIG, &words);
    assert!(!home.path("project/.circleci/orbs.lock").exists());
    assert!(home.leftovers().is_empty());
}

#[test]
fn a_folder_of_orbs_and_its_lock() {
    let home = Home::new();
    home.project(CONFIG);
    home.write("project/orbs/acme/hi/1.0.0.yml", orb("hello one"));
    let run = ["run", "-v", "--offline", "--orbs", "orbs"];
    assert!(home.run(&run).good().out.contains("hello one"));
    home.write("project/orbs/acme/hi/1.1.0.yml", orb("hello two"));
    assert!(home.run(&run).good().out.contains("hello one"));
    let update = [&run[..], &["--update-orbs"]].concat();
    assert!(home.run(&update).good().out.contains("hello two"));

    home.write("project/orbs/acme/hi/1.1.0.yml", orb("something else"));
    let words = ["acme/hi@1.1.0", "has changed", "sha256:", "--update-orbs"];
    home.run(&run).failed(INVALID_CONFIG, &words);
}

#[test]
fn settings_that_cannot_be() {
    let home = Home::new();
    home.project(CONFIG);
    let lock = home.write("project/.circleci/orbs.lock", "<<<<<<< HEAD\n");
    let words = ["orbs.lock:1", "--update-orbs"];
    home.run(&["run", "--offline"])
        .failed(INVALID_CONFIG, &words);
    std::fs::remove_file(lock).unwrap();
    home.run(&["run", "--orbs", "nowhere"])
        .failed(NOT_FOUND, &["nowhere is not a folder"]);
    home.run(&["run", "--orb-registry", "http://registry.test"])
        .failed(BAD_SETTINGS, &["use https"]);
}

#[test]
fn a_trigger_sends_the_orbs_that_the_repository_locks() {
    let home = Home::new();
    home.project(CONFIG);
    home.write("project/orbs/acme/hi/1.0.0.yml", orb("hello one"));
    home.run(&["run", "--offline", "--orbs", "orbs"]).good();
    home.git(&["init", "--quiet", "--initial-branch=main"]);
    home.git(&["add", "."]);
    home.git(&["commit", "--quiet", "-m", "first"]);
    // The newest version has no such job: only the locked one compiles.
    home.write("project/orbs/acme/hi/1.1.0.yml", "version: 2.1\n");

    let served = Served::start(&home, &[]);
    let project = home.path("project").display().to_string();
    let trigger = ["pipeline", "trigger", "--offline", "--orbs", "orbs"];
    for source in [&["--git", &project][..], &[]] {
        let submitted = served.run(&[&trigger[..], source].concat()).good();
        let id = submitted.first_line();
        let shown = served.run(&["pipeline", "show", id, "--json"]).good();
        assert_eq!(shown.json()["workflows"][0]["jobs"][0]["name"], "hi/greet");
    }
    let without = ["pipeline", "trigger", "--offline"];
    served
        .run(&without)
        .failed(INVALID_CONFIG, &["config.yml:3:7", "acme/hi@1.0.0"]);
    served.still_works();
}

#[test]
fn a_server_has_folders_of_its_own() {
    let home = Home::new();
    home.project(CONFIG);
    home.write("shared/acme/hi/1.0.0.yml", orb("from the server"));
    let folder = home.path("shared").display().to_string();
    let served = Served::start(&home, &["--orbs", &folder]);
    let config = home.path("project/.circleci/config.yml");
    let config = config.display().to_string();
    let trigger = ["pipeline", "trigger", "--offline", "--config", &config];
    let submitted = served.run(&trigger).good();
    let shown = served.run(&["pipeline", "show", submitted.first_line(), "--json"]);
    assert_eq!(
        shown.good().json()["workflows"][0]["jobs"][0]["name"],
        "hi/greet"
    );
}

#[test]
fn a_server_without_its_folder_does_not_start() {
    let home = Home::new();
    home.run(&["server", "--data", "data", "--orbs", "gone"])
        .failed(NOT_FOUND, &["gone is not a folder"]);
    assert!(!home.path("data").exists());
}
