//! Secrets from the command line to the steps of a job, and nowhere else.

#[expect(dead_code, reason = "the other tests use the rest")]
mod support;

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use support::{Home, Ran, Running, Served};

const PLAIN: &str = "plain-hunter2-plain";

/// All files below a folder in which this stands, as it is.
fn holding(folder: &Path, secret: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if let Ok(bytes) = std::fs::read(&path)
                && bytes
                    .windows(secret.len())
                    .any(|part| part == secret.as_bytes())
            {
                found.push(path);
            }
        }
    }
    found
}

/// A command that reads this from stdin.
fn with_stdin(served: &Served<'_>, arguments: &[&str], stdin: &str) -> Ran {
    let mut command = served.command(arguments);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(stdin.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap().into()
}

fn config(context: &str, steps: &str) -> String {
    format!(
        "version: 2.1\njobs:\n  build:\n    machine: true\n    environment: {{FROM_JOB: job}}\n    \
         steps:\n{steps}workflows:\n  main:\n    jobs: [{{build: {{context: [{context}]}}}}]\n"
    )
}

fn trigger(served: &Served<'_>, config: &str) -> String {
    let path = served.home.write("project/config.yml", config);
    let path = path.to_str().unwrap();
    let made = served
        .run(&[
            "pipeline",
            "trigger",
            "--config",
            path,
            "--project",
            "acme/shop",
            "--json",
        ])
        .good();
    made.json()["id"].as_str().unwrap().to_owned()
}

/// The first job of a pipeline once it has ended.
fn ended(served: &Served<'_>, pipeline: &str) -> Value {
    loop {
        let shown = served
            .run(&["pipeline", "show", pipeline, "--json"])
            .good()
            .json();
        let job = &shown["workflows"][0]["jobs"][0];
        if !job["finished_at"].is_null() {
            let id = job["id"].as_str().unwrap();
            return served.run(&["job", "show", id, "--json"]).good().json();
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

fn log(served: &Served<'_>, job: &Value) -> String {
    let id = job["job"]["id"].as_str().unwrap();
    served.run(&["job", "logs", id]).good().out
}

#[test]
fn a_local_run_gets_contexts_and_shows_no_secret() {
    let home = Home::new();
    home.project(config(
        "deploy, extra",
        "      - run: |
          echo \"context: $BOTH ${#BOTH}\"
          echo \"project: $PROJECT ${#PROJECT}\"
          test \"$CIRCLE_JOB\" = build
          test \"$FROM_JOB\" = job
          test \"$FROM_ARGUMENT\" = argument
          test \"${#EXTRA}\" = 12
",
    ));
    home.write(
        "project/.env",
        format!("BOTH=from-the-project\nPROJECT={PLAIN}\nCIRCLE_JOB=x-secret\n"),
    );
    home.write(
        "project/deploy.env",
        "BOTH=from-the-context\nFROM_JOB=weaker-one\nFROM_ARGUMENT=weaker-two\n",
    );
    home.write("project/extra.env", "EXTRA='extra-secret'\n");
    let arguments = [
        "run",
        "--keep",
        "-v",
        "--secret-env-file",
        ".env",
        "--context",
        "deploy=deploy.env",
        "--context",
        "extra=extra.env",
        "-e",
        "FROM_ARGUMENT=argument",
    ];
    let ran = home.run(&arguments).good();
    assert!(ran.out.contains("context: **** 16"), "{}", ran.out);
    assert!(ran.out.contains("project: **** 19"), "{}", ran.out);
    for secret in [
        PLAIN,
        "from-the-context",
        "from-the-project",
        "extra-secret",
    ] {
        assert!(!ran.out.contains(secret) && !ran.err.contains(secret));
        assert_eq!(holding(&home.path("home"), secret), [] as [PathBuf; 0]);
    }
}

#[test]
fn a_local_run_goes_on_without_a_context_and_says_so() {
    let home = Home::new();
    home.project(config(
        "deploy, extra",
        "      - run: 'test -z \"$TOKEN\"'\n",
    ));
    home.write("project/deploy.env", "TOKEN=secret\n");
    let given = home.run(&["run", "--context", "deploy=deploy.env"]);
    given.failed_with_note("extra", 1);
    // What an earlier run was given is not there any more.
    let ran = home.run(&["run", "--verbose"]).good();
    for name in ["deploy", "extra"] {
        let note = format!("note: there is no context \"{name}\" here");
        assert_eq!(ran.err.matches(&note).count(), 1, "{}", ran.err);
        let said = format!("There is no context \"{name}\"");
        assert!(ran.out.contains(&said), "{}", ran.out);
    }
    home.run(&["run", "--context", "deploy=none.env"])
        .failed(66, &["none.env"]);
}

impl Ran {
    /// It failed, and there was one note about a missing context.
    fn failed_with_note(&self, context: &str, code: i32) {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.err);
        assert_eq!(self.err.matches("note: ").count(), 1, "{}", self.err);
        assert!(
            self.err.contains(&format!("no context \"{context}\"")),
            "{}",
            self.err
        );
    }
}

#[test]
fn secrets_are_kept_sealed_and_reach_their_jobs() {
    let home = Home::new();
    let served = Served::start(&home, &["--with-runner"]);
    let listed = served.run(&["context", "list"]).good();
    assert_eq!(listed.out, "There are no contexts.\n");
    served.run(&["context", "create", "deploy"]).good();
    let set = ["context", "env", "set", "--context", "deploy", "TOKEN"];
    with_stdin(&served, &set, &format!("{PLAIN}\n")).good();
    let file = home.write("project/value", "line one\nline two\n");
    let from_file = ["--from-file", file.to_str().unwrap()];
    let set = ["project", "env", "set", "--project", "acme/shop", "LINES"];
    served.run(&[&set[..], &from_file].concat()).good();
    for list in [
        ["context", "env", "list", "--context", "deploy"],
        ["project", "env", "list", "--project", "acme/shop"],
    ] {
        let listed = served.run(&list).good();
        assert!(!listed.out.contains(PLAIN) && !listed.out.contains("line one"));
        assert_eq!(listed.out.lines().count(), 2, "{}", listed.out);
    }

    let pipeline = trigger(
        &served,
        &config(
            "deploy",
            "      - run: |
          echo \"token $TOKEN\"
          test \"$(printf '%s' \"$LINES\" | wc -l)\" = 1
",
        ),
    );
    let job = ended(&served, &pipeline);
    assert_eq!(job["job"]["status"], "passed", "{}", log(&served, &job));
    assert!(log(&served, &job).contains("token ****"));
    assert_eq!(holding(&home.path("data"), PLAIN), [] as [PathBuf; 0]);
    assert_eq!(holding(&home.path("data"), "line one"), [] as [PathBuf; 0]);

    served.run(&["context", "delete", "deploy"]).good();
    let missing = trigger(&served, &config("deploy", "      - run: echo never\n"));
    let job = ended(&served, &missing);
    assert_eq!(job["job"]["status"], "failed", "{job}");
    assert_eq!(log(&served, &job), "");
    let task = job["tasks"][0]["id"].as_str().unwrap();
    let explained = served.run(&["explain", task]).good().out;
    assert!(
        explained.contains("there is no context \"deploy\""),
        "{explained}"
    );
    assert!(explained.contains("outrider context create"), "{explained}");
}

#[test]
fn the_key_can_be_changed_and_its_loss_is_told() {
    let home = Home::new();
    let served = Served::start(&home, &["--with-runner"]);
    let set = ["project", "env", "set", "--project", "acme/shop", "TOKEN"];
    with_stdin(&served, &set, PLAIN).good();
    drop(served);
    let file = home.path("data/secret-key");
    let mode = file.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let old = std::fs::read_to_string(&file).unwrap();
    let new = "11".repeat(32);

    // Both keys: all is sealed anew.
    std::fs::write(&file, format!("{new}\n{old}")).unwrap();
    let served = Served::start(&home, &["--with-runner"]);
    let rotated = served.run(&["secrets", "rotate"]).good();
    assert_eq!(rotated.out, "1 secret sealed anew.\n");
    assert_eq!(
        served.run(&["secrets", "rotate"]).good().out,
        "0 secrets sealed anew.\n"
    );
    drop(served);

    // The new one alone is enough; the old one alone is not.
    let steps = config("", "      - run: test -n \"$TOKEN\"\n");
    std::fs::write(&file, &new).unwrap();
    let served = Served::start(&home, &["--with-runner"]);
    let job = ended(&served, &trigger(&served, &steps));
    assert_eq!(job["job"]["status"], "passed", "{job}");
    drop(served);
    std::fs::write(&file, &old).unwrap();
    let served = Served::start(&home, &["--with-runner"]);
    let status = served.run(&["secrets", "status", "--json"]).good().json();
    assert_eq!(status["items"][1]["role"], "lost");
    served
        .run(&["secrets", "rotate"])
        .failed(1, &["1 secret could not be opened", "status"]);
    let job = ended(&served, &trigger(&served, &steps));
    assert_eq!(job["job"]["status"], "failed", "{job}");
    let task = job["tasks"][0]["id"].as_str().unwrap();
    let explained = served.run(&["explain", task]).good().out;
    assert!(
        explained.contains("the server does not have"),
        "{explained}"
    );
    served.running.signal(rustix::process::Signal::TERM);
    let (_, seen) = served.running.end();
    assert!(
        seen.contains("the key of these secrets is not here"),
        "{seen}"
    );
}

#[test]
fn a_key_that_others_can_read_or_that_is_none_is_refused() {
    let home = Home::new();
    let file = home.write("project/keys", "11".repeat(32));
    let set_mode = |mode| std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
    let data = home.path("data");
    let arguments = [
        "server",
        "--listen",
        "127.0.0.1:0",
        "--data",
        data.to_str().unwrap(),
    ];
    let with_file = [&arguments[..], &["--secret-key-file", "keys"]].concat();
    set_mode(0o640);
    home.run(&with_file)
        .failed(78, &["others can read keys", "chmod 600"]);
    set_mode(0o600);
    let mut both = home.command(&with_file);
    both.env("OUTRIDER_SECRET_KEY", "22".repeat(32));
    Ran::of(&mut both).failed(78, &["OUTRIDER_SECRET_KEY", "one way"]);
    let mut wrong = home.command(&arguments);
    wrong.env("OUTRIDER_SECRET_KEY", "hunter2");
    let refused = Ran::of(&mut wrong).failed(78, &["line 1 is no key", "openssl rand"]);
    assert!(!refused.err.contains("hunter2"), "{}", refused.err);
    std::fs::write(&file, "# none\n").unwrap();
    home.run(&with_file).failed(78, &["there is no key in it"]);
    home.run(&[&arguments[..], &["--secret-key-file", "gone"]].concat())
        .failed(66, &["gone"]);

    let mut right = home.command(&arguments);
    right.env(
        "OUTRIDER_SECRET_KEY",
        format!("{},{}", "11".repeat(32), "22".repeat(32)),
    );
    Running::start(&mut right).line("Outrider serves");
    assert!(!data.join("secret-key").exists());
}

/// A new key without a passphrase: its file, and its public half.
fn ssh_key(home: &Home, name: &str) -> (PathBuf, String) {
    let file = home.path(format!("project/{name}"));
    let mut keygen = Command::new("ssh-keygen");
    keygen
        .args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"])
        .arg(&file);
    assert!(keygen.status().unwrap().success());
    let public = std::fs::read_to_string(file.with_extension("pub")).unwrap();
    (file, public.trim().to_owned())
}

fn key_step(fingerprint: &str, then: &str) -> String {
    let steps = format!(
        "      - add_ssh_keys: {{fingerprints: [\"{fingerprint}\"]}}
      - run: |
          {then}
"
    );
    config("", &steps)
}

#[test]
fn ssh_keys_are_held_by_an_agent_that_ends_with_the_job() {
    let home = Home::new();
    let served = Served::start(&home, &["--with-runner"]);
    let project = ["--project", "acme/shop"];
    let (first, public) = ssh_key(&home, "first");
    let add = ["project", "ssh-key", "add", first.to_str().unwrap()];
    let added = served.run(&[&add[..], &project].concat()).good();
    let fingerprint = added.first_line().to_owned();
    let (second, other_public) = ssh_key(&home, "second");
    let private = std::fs::read_to_string(&second).unwrap();
    let add = ["project", "ssh-key", "add", "--host", "git.example"];
    with_stdin(&served, &[&add[..], &project].concat(), &private).good();
    let list = [&["project", "ssh-key", "list", "--json"][..], &project].concat();
    let listed = served.run(&list).good();
    assert_eq!(listed.json()["items"].as_array().unwrap().len(), 2);
    let secret = private.lines().nth(2).unwrap();
    assert!(!listed.out.contains(secret));

    let job = |fingerprint: &str, then: &str| {
        let job = ended(&served, &trigger(&served, &key_step(fingerprint, then)));
        let log = log(&served, &job);
        (job["job"]["status"].as_str().unwrap().to_owned(), log)
    };
    let (status, log) = job(&fingerprint, "ssh-add -L; echo \"at $SSH_AUTH_SOCK\"");
    assert_eq!(status, "passed", "{log}");
    assert!(
        log.contains(&public) && !log.contains(&other_public),
        "{log}"
    );
    let socket = log
        .lines()
        .find_map(|line| line.strip_prefix("at "))
        .unwrap();
    assert!(!Path::new(socket).exists());
    let agents = std::fs::read_dir("/proc").unwrap().flatten();
    let agent = agents
        .map(|process| process.path().join("cmdline"))
        .find(|path| {
            let line = std::fs::read(path).unwrap_or_default();
            line.windows(socket.len())
                .any(|part| part == socket.as_bytes())
        });
    assert_eq!(agent, None);

    // A key for one host is in the config that git uses, and for that host only.
    let md5 = listed.json()["items"]
        .as_array()
        .unwrap()
        .iter()
        .find_map(|key| {
            let is_second = key["host"] == "git.example";
            is_second.then(|| format!("MD5:{}", key["fingerprint_md5"].as_str().unwrap()))
        });
    let files =
        "for host in git.example other.example; do eval \"$GIT_SSH_COMMAND -G $host\"; done";
    let (status, log) = job(
        &md5.unwrap(),
        &format!("ssh-add -L; {files} | grep -c '[0-9][.]pub'"),
    );
    assert_eq!(status, "passed", "{log}");
    assert!(log.contains(&other_public) && log.ends_with("1\n"), "{log}");

    let (status, log) = job("aa:bb", "echo never");
    assert_eq!(status, "failed");
    assert!(
        log.contains("no SSH key with the fingerprint aa:bb"),
        "{log}"
    );
    assert!(
        log.contains(&fingerprint) && !log.contains("never"),
        "{log}"
    );
    assert_eq!(holding(&home.path("data"), secret), [] as [PathBuf; 0]);

    let delete = [
        &["project", "ssh-key", "delete", &fingerprint][..],
        &project,
    ]
    .concat();
    served.run(&delete).good();
    served.run(&delete).failed(66, &["there is no SSH key"]);
}
