//! What steps find.

use std::path::PathBuf;

use outrider_model::plan::{RunStep, Source};

use crate::support::rig::{Rig, soon};
use crate::support::tasks::{run, task};

fn map(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

#[tokio::test]
async fn variables_have_their_order_of_precedence() {
    let mut rig = Rig::new();
    rig.settings
        .inherited_environment
        .extend(map(&[("LANG", "runner"), ("TZ", "runner")]));
    rig.settings.extra_environment.extend(map(&[
        ("TZ", "extra"),
        ("CIRCLE_JOB", "extra"),
        ("A", "extra"),
        ("B", "extra"),
        ("C", "extra"),
    ]));
    let mut work = task([RunStep {
        environment: map(&[("C", "step")]).into_iter().collect(),
        ..run("print x")
    }]);
    work.payload
        .spec
        .environment
        .extend(map(&[("B", "job"), ("C", "job")]));
    work.payload.trigger.branch = Some("main".to_owned());
    let life = rig.start();
    let attempt = work.attempt.to_string();
    let id = rig.server.queue(work);
    soon(rig.server.finished(id)).await;
    let seen = rig.world.with(|world| world.execs[0].environment.clone());
    for (name, value) in [
        ("LANG", "runner"),
        ("TZ", "extra"),
        ("CIRCLE_JOB", "extra"),
        ("A", "extra"),
        ("B", "job"),
        ("C", "step"),
        ("CI", "true"),
        ("CIRCLECI", "true"),
        ("OUTRIDER", "true"),
        ("OUTRIDER_ATTEMPT", &attempt),
        ("CIRCLE_BRANCH", "main"),
        ("CIRCLE_BUILD_NUM", "42"),
        ("CIRCLE_NODE_TOTAL", "2"),
        ("CIRCLE_PIPELINE_NUMBER", "7"),
        ("CIRCLE_PROJECT_USERNAME", "acme"),
        ("CIRCLE_PROJECT_REPONAME", "shop"),
    ] {
        assert_eq!(seen.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert!(!seen.contains_key("CIRCLE_TAG"));
    assert!(seen["CIRCLE_WORKING_DIRECTORY"].ends_with("/project"));
    rig.end(life).await;
}

#[tokio::test]
async fn secrets_of_the_runner_reach_neither_steps_nor_its_own_words() {
    let mut rig = Rig::new();
    let secret = "outrider_class_0123456789";
    let agent = map(&[
        ("OUTRIDER_TOKEN", secret),
        ("AWS_SECRET_ACCESS_KEY", secret),
    ]);
    rig.settings.inherited_environment.extend(agent);
    rig.settings
        .extra_environment
        .extend(map(&[("PASSWORD", "given on purpose")]));
    assert!(!format!("{:?}", rig.settings).contains(secret));
    assert!(!format!("{:?}", rig.settings).contains("on purpose"));
    let life = rig.start();
    let id = rig
        .server
        .queue(task([run("env OUTRIDER_TOKEN\nenv PASSWORD")]));
    soon(rig.server.finished(id)).await;
    assert_eq!(
        rig.server.log(id),
        "OUTRIDER_TOKEN=unset\nPASSWORD=given on purpose\n"
    );
    let seen = rig.world.with(|world| world.execs[0].environment.clone());
    assert!(!seen.values().any(|value| value == secret));
    rig.end(life).await;
}

#[tokio::test]
async fn steps_find_the_program() {
    let mut rig = Rig::new();
    rig.settings.program = Some("/opt/outrider".into());
    let life = rig.start();
    let mut from_a_folder = task([run("env OUTRIDER_PROGRAM\nenv OUTRIDER_UNCOMMITTED")]);
    from_a_folder.payload.trigger.source = Source::Directory {
        path: "/src".to_owned(),
        committed: false,
    };
    let mut committed = from_a_folder.clone();
    committed.payload.trigger.source = Source::Directory {
        path: "/src".to_owned(),
        committed: true,
    };
    for (task, expected) in [(from_a_folder, "true"), (committed, "unset")] {
        let id = rig.server.queue(task);
        soon(rig.server.finished(id)).await;
        assert_eq!(
            rig.server.log(id),
            format!("OUTRIDER_PROGRAM=/opt/outrider\nOUTRIDER_UNCOMMITTED={expected}\n")
        );
    }
    rig.end(life).await;
}

#[tokio::test]
async fn the_file_for_exports_is_there_and_empty() {
    let rig = Rig::new();
    let life = rig.start();
    let script = "print x\ngate go";
    let id = rig.server.queue(task([run(script)]));
    soon(rig.world.running(script)).await;
    let seen = rig.world.with(|world| world.execs[0].environment.clone());
    assert_eq!(seen["BASH_ENV"], seen["CIRCLE_SHELL_ENV"]);
    assert_eq!(std::fs::read(&seen["BASH_ENV"]).unwrap(), b"");
    rig.world.open("go");
    soon(rig.server.finished(id)).await;
    rig.end(life).await;
}

#[tokio::test]
async fn shells_and_directories_come_from_the_step_then_from_the_job() {
    let rig = Rig::new();
    let life = rig.start();
    let mut work = task([
        run("print job"),
        RunStep {
            shell: Some("/bin/sh -e".to_owned()),
            working_directory: Some("sub".to_owned()),
            ..run("print step")
        },
    ]);
    work.payload.spec.shell = Some("zsh -eu".to_owned());
    let id = rig.server.queue(work);
    soon(rig.server.finished(id)).await;
    let seen = rig.world.with(|world| {
        let exec = |exec: &outrider_executor::ExecRequest| {
            (exec.shell.clone(), exec.working_directory.clone())
        };
        world
            .execs
            .iter()
            .map(exec)
            .collect::<Vec<(Vec<String>, PathBuf)>>()
    });
    assert_eq!(seen[0].0, ["zsh", "-eu"]);
    assert!(seen[0].1.ends_with("project"));
    assert_eq!(seen[1].0, ["/bin/sh", "-e"]);
    assert!(seen[1].1.ends_with("project/sub"));
    rig.end(life).await;

    let rig = Rig::new();
    let life = rig.start();
    let id = rig.server.queue(task([run("print x")]));
    soon(rig.server.finished(id)).await;
    let shell = rig.world.with(|world| world.execs[0].shell.clone());
    assert_eq!(shell[1..], ["-eo", "pipefail"]);
    rig.end(life).await;
}
