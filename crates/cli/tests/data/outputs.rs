//! Artifacts, test results, and tests that are split by how long they took.

use std::collections::BTreeSet;

use outrider_model::Outcome;
use outrider_store::{ArtifactRecord, TestCounts};
use serde_json::{Value, json};

use crate::common::{Process, World};
use crate::support::*;

fn artifacts(path: &str) -> Value {
    json!({"store_artifacts": {"path": path}})
}

/// What the server has of the first job of a pipeline. It ends for that.
async fn kept(world: &World, server: &mut Process, job: outrider_model::JobId) -> Kept {
    server.kill9();
    let store = open_store(world);
    let results = store.test_results(job).await.unwrap();
    Kept {
        artifacts: store.artifacts(job).await.unwrap(),
        counts: results.iter().map(|one| one.counts).collect(),
    }
}

struct Kept {
    artifacts: Vec<ArtifactRecord>,
    counts: Vec<TestCounts>,
}

impl Kept {
    fn paths(&self) -> Vec<&str> {
        self.artifacts.iter().map(|one| one.path.as_str()).collect()
    }
}

const JUNIT: &str = r#"<testsuites><testsuite name="s"><testcase classname="c" name="good" time="0.5"/><testcase classname="c" name="bad" time="1"><failure message="no"/></testcase></testsuite></testsuites>"#;

/// As pytest writes it.
const PYTEST: &str = r#"<testsuite name="pytest" tests="2"><testcase classname="t.test_a" name="one" time="2.0"/><testcase classname="t.test_a" name="two" time="0.0"><skipped type="pytest.skip" message="later"/></testcase></testsuite>"#;

#[tokio::test]
async fn artifacts_and_results_are_kept_also_after_a_failed_step() {
    let (world, [mut server, _runner]) = start().await;
    let make = format!(
        "mkdir -p out/deep results && echo a > out/a && echo b > out/deep/b\n\
         echo '{JUNIT}' > results/junit.xml\necho '{PYTEST}' > results/pytest.xml\nfalse"
    );
    let config = one(json!([
        run(&make),
        artifacts("out"),
        artifacts("nowhere"),
        {"store_artifacts": {"path": "out/a", "destination": "under/name"}},
        {"store_test_results": {"path": "results"}},
        {"store_test_results": {"path": "no-results"}},
    ]));
    let id = world.submit(&config).await;
    assert_eq!(world.outcome(id).await, Outcome::Failed);
    let log = logs(&world, id).await;
    says(&log, &["There is no nowhere: nothing is stored."]);
    says(
        &log,
        &["There is no no-results: there are no test results."],
    );
    says(&log, &["4 tests in 2 reports: 1 failed, 1 skipped"]);
    let job = world.jobs(id).await[0].id;
    let kept = kept(&world, &mut server, job).await;
    assert_eq!(kept.paths(), ["out/a", "out/deep/b", "under/name"]);
    let [counts] = kept.counts[..] else {
        panic!("{:?}", kept.counts)
    };
    assert_eq!((counts.tests, counts.failed, counts.skipped), (4, 1, 1));
    assert_eq!(counts.millis, 3_500);
}

#[tokio::test]
async fn nothing_is_stored_after_a_cancellation() {
    let (world, [mut server, _runner]) = start().await;
    let ready = world.path("ready");
    let make = format!("echo a > a; touch {}; sleep 1000", ready.display());
    let id = world
        .submit(&one(json!([run(&make), artifacts("a")])))
        .await;
    world.reaches(id, &ready).await;
    world.admin().cancel_pipeline(id).await.unwrap();
    assert_eq!(world.outcome(id).await, Outcome::Canceled);
    let job = world.jobs(id).await[0].id;
    world.ended(world.task(id).await).await;
    assert!(kept(&world, &mut server, job).await.paths().is_empty());
}

/// Twelve tests in four tasks: test 7 takes as long as all others together.
fn split(world: &World, round: &str) -> String {
    let script = format!(
        r#"
        mkdir -p tests results {folder}
        for n in $(seq 12); do touch tests/$n.sh; done
        circleci tests glob 'tests/*.sh' | circleci tests split --split-by=timings > mine
        {{
            echo '<testsuite name="s">'
            for test in $(cat mine); do
                time=1; if [ $test = tests/7.sh ]; then time=11; fi
                echo "<testcase name=\"t\" file=\"$test\" time=\"$time\"/>"
            done
            echo '</testsuite>'
        }} > results/junit.xml
        cp mine {folder}/$CIRCLE_NODE_INDEX
        "#,
        folder = world.path(round).display()
    );
    let results = json!({"store_test_results": {"path": "results"}});
    let mut split = job(json!([run(&script), results]));
    split["parallelism"] = json!(4);
    config(json!({"test": split}), json!(["test"]))
}

/// Which tests each of the tasks had.
fn shares(world: &World, round: &str) -> Vec<BTreeSet<String>> {
    let of = |index| {
        let lines = world.read(&format!("{round}/{index}"));
        lines.lines().map(str::to_owned).collect()
    };
    (0..4).map(of).collect()
}

#[tokio::test]
async fn the_next_run_splits_by_what_the_last_one_took() {
    let (world, _processes) = start_with(&[], &["--slots", "4"]).await;
    for round in ["first", "second"] {
        passes(&world, &split(&world, round)).await;
        let shares = shares(&world, round);
        let all: BTreeSet<_> = shares.iter().flatten().collect();
        assert_eq!(all.len(), 12, "complete: {shares:?}");
        let sum: usize = shares.iter().map(BTreeSet::len).sum();
        assert_eq!(sum, 12, "disjoint: {shares:?}");
    }
    let slow = shares(&world, "second")
        .into_iter()
        .find(|share| share.contains("tests/7.sh"));
    assert_eq!(slow.unwrap().len(), 1, "the slow one is alone");
}

#[tokio::test]
async fn an_artifact_of_many_parts_is_whole() {
    let (world, [mut server, _runner]) = start().await;
    let make = "seq 1 2500000 > big; : > empty; printf x > one";
    let id = world
        .submit(&one(json!([
            run(make),
            artifacts("big"),
            artifacts("empty"),
            artifacts("one")
        ])))
        .await;
    assert_eq!(world.outcome(id).await, Outcome::Passed);
    let job = world.jobs(id).await[0].id;
    let kept = kept(&world, &mut server, job).await;
    let sizes: Vec<_> = kept.artifacts.iter().map(|one| one.size).collect();
    let expected: String = (1..=2_500_000).map(|n| format!("{n}\n")).collect();
    assert_eq!(kept.paths(), ["big", "empty", "one"]);
    assert_eq!(sizes, [expected.len() as u64, 0, 1]);
    let store = open_store(&world);
    let big = &kept.artifacts[0];
    let content = store.artifact(big.task, "big".to_owned()).await.unwrap();
    let mut bytes = Vec::new();
    for part in &content.parts {
        let name = format!("{}-{}", part.object.hash, part.object.row);
        let stored = stored(&world);
        let object = stored.iter().find(|path| path.ends_with(&name)).unwrap();
        bytes.extend(std::fs::read(object).unwrap());
    }
    assert!(content.parts.len() > 1 && bytes == expected.as_bytes());
}
