//! Dynamic config: setup configs that use the orbs which are in the program.

#[expect(dead_code, reason = "the other tests use the rest")]
mod support;

use std::path::Path;
use std::process::Command;

use support::{Home, Ran, Served};

const MONOREPO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/monorepo/.");

/// The config that a pipeline goes on with.
const MORE: &str = "version: 2.1\nparameters:\n  image: {type: string, default: none}\n  \
                    deploy: {type: boolean, default: false}\njobs:\n  more:\n    machine: true\n    \
                    steps:\n      - run: 'echo \"[<< pipeline.parameters.image >> \
                    << pipeline.parameters.deploy >>]\"'\nworkflows: {second: {jobs: [more]}}\n";

/// A continuation that uses an orb, and this orb.
const USES_TOOLS: &str = "version: 2.1\norbs: {tools: acme/tools@1.2.3}\nworkflows: {second: \
                          {jobs: [tools/hello]}}\n";
const TOOLS: &str = "version: 2.1\njobs:\n  hello: {machine: true, steps: [run: echo hello from \
                     tools]}\n";

/// The example, with all of it committed on `main`, on a branch of it.
fn monorepo() -> Home {
    let home = Home::new();
    let mut copy = Command::new("cp");
    copy.arg("-r").arg(MONOREPO).arg(home.path("project"));
    assert!(copy.status().unwrap().success());
    home.git(&["init", "--quiet", "--initial-branch=main"]);
    commit(&home, "all");
    home.git(&["switch", "--quiet", "--create", "change"]);
    home
}

fn commit(home: &Home, message: &str) {
    home.git(&["add", "."]);
    home.git(&["commit", "--quiet", "--message", message]);
}

/// Adds a line to a file.
fn touch(home: &Home, file: &str) {
    let path = home.path("project").join(file);
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    std::fs::write(path, before + "# changed\n").unwrap();
}

/// Runs the project offline: the public orbs are never asked for.
fn run(home: &Home) -> Ran {
    home.run(&["run", "--offline", "-v"])
}

/// Which of the example's services were tested.
#[track_caller]
fn tested(ran: &Ran) -> Vec<&str> {
    let services = ["basket", "prices"];
    let is_tested = |service: &&str| {
        let line = format!("{service}: all is well");
        ran.out.lines().any(|one| one == line)
    };
    services.into_iter().filter(is_tested).collect()
}

/// A setup config whose job has these steps, with `circleci/continuation` as `go`.
fn config(steps: &str) -> String {
    format!(
        "version: 2.1\nsetup: true\norbs: {{go: circleci/continuation@1.0.0}}\njobs:\n  first:\n    \
         machine: true\n    steps:\n      - checkout\n{steps}workflows: {{setup: {{jobs: [first]}}}}\n"
    )
}

/// A project with such a config.
fn setup(steps: &str) -> Home {
    let home = Home::new();
    home.project(config(steps));
    home.write("project/.circleci/more.yml", MORE);
    home
}

#[test]
fn only_what_has_changed_is_tested() {
    let home = monorepo();
    touch(&home, "services/prices/prices.sh");
    commit(&home, "prices");
    let ran = run(&home).good();
    assert_eq!(tested(&ran), ["prices"], "{}", ran.out);
    assert!(ran.out.contains("✓ workflow prices passed"), "{}", ran.out);
    assert!(!ran.out.contains("workflow basket"), "{}", ran.out);

    touch(&home, "shared/assert.sh");
    commit(&home, "shared");
    assert_eq!(tested(&run(&home).good()), ["basket", "prices"]);
    assert!(!home.path("project/.circleci/orbs.lock").exists());
    assert!(home.leftovers().is_empty(), "{:?}", home.leftovers());
}

#[test]
fn files_that_are_not_committed_count_as_one_commit_more() {
    let home = monorepo();
    touch(&home, "services/basket/basket.sh");
    commit(&home, "basket");
    touch(&home, "services/prices/new.sh");
    assert_eq!(tested(&run(&home).good()), ["basket", "prices"]);
    let committed = home.run(&["run", "--offline", "-v", "--committed"]).good();
    assert_eq!(tested(&committed), ["basket"], "{}", committed.out);

    home.git(&["switch", "--quiet", "main"]);
    assert_eq!(tested(&run(&home).good()), ["prices"]);
}

#[test]
fn where_nothing_is_concerned_the_pipeline_passes_with_its_setup() {
    let home = monorepo();
    touch(&home, "services/prices/NOTES.md");
    commit(&home, "notes");
    let ran = run(&home).good();
    assert_eq!(tested(&ran), [""; 0]);
    assert!(ran.out.contains("✓ pipeline passed"), "{}", ran.out);
}

#[test]
fn a_base_revision_that_is_not_there_is_told_with_what_to_do() {
    let home = monorepo();
    touch(&home, "shared/assert.sh");
    commit(&home, "shared");
    home.git(&["branch", "--quiet", "-D", "main"]);
    let ran = run(&home);
    assert_eq!(ran.code, Some(66), "{ran:?}");
    assert!(
        ran.out.contains("there is no base revision `main`") && ran.out.contains("git fetch"),
        "{}",
        ran.out
    );
    // Where only the origin has it, it is taken from there.
    home.git(&["update-ref", "refs/remotes/origin/main", "HEAD~1"]);
    assert_eq!(tested(&run(&home).good()), ["basket", "prices"]);
}

#[test]
fn several_configs_become_one_and_files_are_handed_over() {
    let home = monorepo();
    home.project(
        "version: 2.1\nsetup: true\norbs: {paths: circleci/path-filtering@0.1.7}\nworkflows:\n  \
         changes:\n    jobs:\n      - paths/filter:\n          tag: '3.8'\n          \
         mapping: .circleci/mapping\n          exclude: ''\n          \
         parameter_for_files_changed: files\n",
    );
    home.write(
        "project/.circleci/mapping",
        "# which config is for which folder\na/.* .circleci/a.yml\nb/.* who bob .circleci/b.yml\n",
    );
    let job = |name: &str| {
        format!(
            "jobs:\n  {name}: {{machine: true, steps: [run: \"{name}.sh\"]}}\nworkflows: {{{name}: {{jobs: [{name}]}}}}\n"
        )
    };
    let script = |text: &str, word: &str| text.replace("b.sh", word).replace("a.sh", "echo in a");
    let a = job("a") + "version: 2.1\nparameters:\n  files: {type: string}\n";
    let b = job("b") + "parameters:\n  who: {type: string}\n";
    home.write("project/.circleci/a.yml", script(&a, ""));
    let says = "echo << pipeline.parameters.who >> of << pipeline.parameters.files >>";
    home.write("project/.circleci/b.yml", script(&b, says));
    commit(&home, "configs");
    home.git(&["branch", "--force", "main"]);
    for file in ["project/a/1", "project/b/2"] {
        home.write(file, "");
    }
    commit(&home, "both");
    let ran = run(&home).good();
    for line in ["in a", "bob of a/1,b/2"] {
        assert!(
            ran.out.lines().any(|one| one == line),
            "{line}: {}",
            ran.out
        );
    }
}

#[test]
fn a_pipeline_is_continued_with_parameters() {
    let home = Home::new();
    home.project(
        "version: 2.1\nsetup: true\norbs: {go: circleci/continuation@volatile}\nworkflows:\n  \
         setup:\n    jobs:\n      - go/continue:\n          \
         configuration_path: .circleci/more.yml\n          \
         parameters: '{\"image\": \"v1.2\", \"deploy\": true}'\n",
    );
    home.write("project/.circleci/more.yml", MORE);
    let ran = run(&home).good();
    assert!(ran.out.contains("\n[v1.2 true]\n"), "{}", ran.out);
    assert!(ran.out.contains("✓ workflow second passed"), "{}", ran.out);
}

#[test]
fn a_pipeline_that_is_finished_is_not_continued() {
    let home = setup("      - go/finish\n");
    let ran = run(&home).good();
    assert!(!ran.out.contains("second"), "{}", ran.out);

    let more = "{configuration_path: .circleci/more.yml}";
    for steps in [
        format!("      - go/finish\n      - go/continue: {more}\n"),
        format!("      - go/continue: {more}\n      - go/continue: {more}\n"),
    ] {
        let ran = run(&setup(&steps));
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(
            ran.out.contains("the pipeline has been continued already"),
            "{}",
            ran.out
        );
    }
}

#[test]
fn what_is_wrong_with_a_continuation_stands_in_the_output() {
    let home = setup("      - go/continue: {configuration_path: .circleci/more.yml}\n");
    home.write(
        "project/.circleci/more.yml",
        MORE.replace("jobs: [more]", "jobs: [mroe]"),
    );
    let ran = run(&home);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    for words in [
        "the config does not compile",
        "mroe",
        "did you mean `more`?",
    ] {
        assert!(ran.out.contains(words), "no {words} in {}", ran.out);
    }
}

#[test]
fn orbs_of_a_continuation_come_from_where_the_run_has_them() {
    let home = setup("      - go/continue: {configuration_path: .circleci/more.yml}\n");
    home.write("project/.circleci/more.yml", USES_TOOLS);
    let ran = run(&home);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    for words in [
        "the orb acme/tools@1.2.3 is not at hand",
        "--offline",
        "--orbs",
    ] {
        assert!(ran.out.contains(words), "no {words} in {}", ran.out);
    }
    home.write("orbs/acme/tools/1.2.3.yml", TOOLS);
    let orbs = home.path("orbs");
    let with_orbs = ["run", "--offline", "-v", "--orbs", orbs.to_str().unwrap()];
    let ran = home.run(&with_orbs).good();
    assert!(ran.out.contains("\nhello from tools\n"), "{}", ran.out);
    let lock = std::fs::read_to_string(home.path("project/.circleci/orbs.lock")).unwrap();
    assert!(
        lock.contains("acme/tools@1.2.3") && !lock.contains("continuation"),
        "{lock}"
    );
}

#[test]
fn on_a_server_a_job_brings_the_orbs_that_the_server_lacks() {
    let home = Home::new();
    let orbs = home.path("orbs");
    let more = |arguments: &str| {
        format!("      - run: $OUTRIDER_PROGRAM pipeline continue .circleci/more.yml {arguments}\n")
    };
    let with_orbs = format!("--offline --orbs {}", orbs.display());
    home.project(config(&more(&with_orbs)));
    home.write("project/.circleci/more.yml", USES_TOOLS);
    home.write("orbs/acme/tools/1.2.3.yml", TOOLS);
    home.git(&["init", "--quiet", "--initial-branch=main"]);
    commit(&home, "all");
    let server = Served::start(&home, &["--with-runner"]);
    let project = home.path("project");
    let project = project.to_str().unwrap();
    let trigger = ["pipeline", "trigger", "--offline", "-f", "--git", project];
    let ran = server.run(&trigger).good();
    assert!(ran.out.contains("✓ second/tools/hello"), "{}", ran.out);

    home.project(config(&more("--offline")));
    commit(&home, "without");
    let ran = server.run(&trigger);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let missing = "the orb acme/tools@1.2.3 is not at hand";
    assert!(ran.out.contains(missing), "{}", ran.out);
}

#[test]
fn the_orbs_say_that_they_are_built_in_and_folders_take_their_place() {
    let home = setup("      - go/finish\n");
    let job = "orbs: {go: circleci/continuation@1.0.0}\nworkflows: {setup: {jobs: [go/continue: \
               {configuration_path: x.yml}]}}\n";
    home.project(format!("version: 2.1\nsetup: true\n{job}"));
    let processed = home.run(&["config", "process", "--offline"]).good();
    let origin = "# from job go/continue of circleci/continuation (built into Outrider), line ";
    assert!(processed.out.contains(origin), "{}", processed.out);

    let own = "version: 2.1\njobs:\n  continue:\n    parameters: {configuration_path: {type: string}}\n    \
               machine: true\n    steps: [run: echo mine]\n";
    home.write("orbs/circleci/continuation.yml", own);
    let orbs = home.path("orbs");
    let process = [
        "config",
        "process",
        "--offline",
        "--orbs",
        orbs.to_str().unwrap(),
    ];
    let processed = home.run(&process).good();
    assert!(processed.out.contains("echo mine"), "{}", processed.out);
}

/// Every setting that the public orbs of these names have had in a config is accepted.
#[test]
fn settings_of_the_public_orbs_are_known() {
    let home = Home::new();
    home.project(
        "version: 2.1\nsetup: true\norbs:\n  paths: circleci/path-filtering@2.0.4\n  \
         go: circleci/continuation@2.0.1\nexecutors: {own: {machine: true}}\njobs:\n  custom:\n    \
         executor: {name: paths/default, tag: '3.8'}\n    steps:\n      - checkout\n      \
         - paths/set-parameters:\n          base-revision: main\n          mapping: a b c\n          \
         exclude: x\n          output-path: /tmp/p.json\n          config-path: c.yml\n          \
         same-base-run: false\n      - paths/generate-config:\n          \
         config-list-path: /tmp/list\n          generated-config-path: /tmp/c.yml\n      \
         - go/continue:\n          configuration_path: /tmp/c.yml\n          parameters: /tmp/p.json\n          \
         circleci_domain: ci.example.com\n          when: always\n          files_changed: /tmp/f\n          \
         parameter_for_files_changed: files\n      - go/finish: {circleci_domain: ci.example.com}\n\
         workflows:\n  all:\n    jobs:\n      - custom\n      - paths/filter:\n          \
         base-revision: main\n          mapping: a b c\n          config-path: c.yml\n          \
         circleci_domain: x\n          output-path: /tmp/p.json\n          resource_class: medium\n          \
         executor: own\n          circleci_ip_ranges: false\n          checkout: false\n          \
         exclude: x\n          same-base-run: false\n          debug: true\n          \
         parameter_for_files_changed: f\n          checkout_method: blobless\n          \
         workspace_path: ''\n      - go/continue:\n          \
         configuration_path: c.yml\n          parameters: '{}'\n          circleci_domain: x\n          \
         checkout: false\n          workspace_path: ''\n          resource_class: small\n          \
         circleci_ip_ranges: true\n          executor: {name: go/default, tag: edge}\n",
    );
    let ran = home.run(&["config", "validate", "--offline"]).good();
    assert_eq!(ran.err, "", "{}", ran.out);
}

#[test]
fn a_shallow_history_and_a_bad_mapping_are_told_with_what_to_do() {
    let home = monorepo();
    touch(&home, "shared/assert.sh");
    commit(&home, "shared");
    let origin = format!("file://{}", home.path("project").display());
    home.git(&["clone", "--quiet", "--depth=1", &origin, "../shallow"]);
    let changes = |arguments: &[&str]| {
        let mut command = home.command(&[&["pipeline", "changes"], arguments].concat());
        Ran::of(command.current_dir(home.path("shallow")))
    };
    let base = ["--base", "HEAD"];
    changes(&base).failed(
        66,
        &["the history was cut off", "method: full", "--unshallow"],
    );
    let line = ["--mapping", "a b c\n\na b c d e"];
    changes(&line).failed(
        78,
        &[
            "the mapping, line 3",
            "5 words",
            "PATH [PARAMETER VALUE] [CONFIG]",
        ],
    );
    let path = ["--exclude", "("];
    changes(&path).failed(78, &["the excluded paths, line 1", "no regular expression"]);
    let outside = |folder: &Path| {
        let mut command = home.command(&["pipeline", "changes"]);
        Ran::of(command.current_dir(folder))
    };
    outside(&home.path("home")).failed(66, &["no git repository", "Check out"]);
}

#[test]
fn what_follows_from_changes_is_printed_as_json() {
    let home = monorepo();
    touch(&home, "services/basket/ä b.sh");
    commit(&home, "basket");
    let mapping = "$FOLDER/.* basket true";
    let arguments = ["pipeline", "changes", "--json", "--mapping", mapping];
    let ran = Ran::of(home.command(&arguments).env("FOLDER", "services/basket"));
    let found = ran.good().json();
    assert_eq!(
        found["files"],
        serde_json::json!(["services/basket/ä b.sh"])
    );
    assert_eq!(found["parameters"], serde_json::json!({"basket": true}));
    assert_eq!(found["configs"][0], ".circleci/continue_config.yml");

    home.git(&["branch", "--force", "main"]);
    let same = home.run(&[&arguments[..], &["--same-base-run", "false"]].concat());
    assert_eq!(same.good().json()["files"], serde_json::json!([]));
    let before = home.run(&arguments).good().json();
    assert_eq!(
        before["files"],
        serde_json::json!(["services/basket/ä b.sh"])
    );
}
