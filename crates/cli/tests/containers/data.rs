//! Caches, workspaces, artifacts and the helper, between containers and with processes.

use outrider_testkit::docker::Image;
use serde_json::json;

use crate::program::Home;
use crate::steps::{attach, persist, restore, run, save, says, show};
use crate::support::*;
use crate::{steps, support};

#[tokio::test]
async fn what_one_container_saved_another_finds_whoever_it_runs_as() {
    let images = [
        Image::Debian,
        Image::BusyboxAsUser,
        Image::Busybox,
        Image::DebianAsUser,
    ];
    let home = Home::new();
    for (number, image) in images.into_iter().enumerate() {
        let write = run("mkdir -p kept && echo good > kept/file && chmod 640 kept/file");
        let look = run("stat -c 'mode %a' kept/file; [ -O kept/file ] && echo mine");
        let steps = match number {
            0 => json!([write, save("k", "kept")]),
            _ => json!([restore("k"), show(), look]),
        };
        let job = job_in(&image.provide().await, steps);
        let said = ran(&home, &alone(job), &[]).good().out;
        if number > 0 {
            says(&said, &["found: good\n", "mode 640\n", "mine\n"]);
        }
    }
}

#[tokio::test]
async fn a_workspace_goes_from_container_to_container_and_to_a_process() {
    let write = |name: &str| run(&format!("mkdir -p out && echo {name} > out/{name}"));
    let look = run("for file in out/*; do [ -O $file ] && echo \"mine: $(cat $file)\"; done");
    let jobs = json!({
        "root": job_in(&Image::Busybox.provide().await, json!([write("root"), persist("out")])),
        "ci": job_in(&Image::DebianAsUser.provide().await, json!([attach(), write("ci"), persist("out/ci")])),
        "host": steps::job(json!([attach(), look])),
        "last": job_in(&Image::BusyboxAsUser.provide().await, json!([attach(), look])),
    });
    let order = json!([
        "root",
        {"ci": {"requires": ["root"]}},
        {"host": {"requires": ["ci"]}},
        {"last": {"requires": ["ci"]}},
    ]);
    let home = Home::new();
    let said = support::ran(&home, &steps::config(jobs, order), &[])
        .good()
        .out;
    for words in ["mine: root\n", "mine: ci\n"] {
        assert_eq!(said.matches(words).count(), 2, "{said}");
    }
}

#[tokio::test]
async fn artifacts_of_containers_are_copied_to_a_folder() {
    let store = json!({"store_artifacts": {"path": "out", "destination": "logs"}});
    let job = job_in(
        &Image::BusyboxAsUser.provide().await,
        json!([
            run("mkdir out && echo one > out/a.txt && head -c 300000 /dev/zero > out/big"),
            store
        ]),
    );
    let home = Home::new();
    let folder = home.path("artifacts");
    let more = ["--artifacts", folder.to_str().unwrap()];
    ran(&home, &alone(job), &more).good();
    let text = std::fs::read_to_string(folder.join("build/logs/a.txt")).unwrap();
    assert_eq!(text, "one\n");
    let big = std::fs::metadata(folder.join("build/logs/big")).unwrap();
    assert_eq!(big.len(), 300_000);
}

#[tokio::test]
async fn tests_are_split_by_the_timings_of_the_run_before() {
    let script = "\
        touch a_test b_test c_test\n\
        circleci tests glob '*_test' | circleci tests split --split-by=timings > share\n\
        sed \"s/^/task $CIRCLE_NODE_INDEX got /\" share\n\
        mkdir -p results\n\
        (echo '<testsuite>'; while read t; do time=1; [ $t = a_test ] && time=9\n\
        echo \"<testcase classname=\\\"c\\\" name=\\\"$t\\\" file=\\\"$t\\\" time=\\\"$time\\\"/>\"; done < share\n\
        echo '</testsuite>') > results/junit.xml";
    let mut job = job_in(
        &Image::Busybox.provide().await,
        json!([run(script), {"store_test_results": {"path": "results"}}]),
    );
    job["parallelism"] = json!(2);
    let home = Home::new();
    ran(&home, &alone(job.clone()), &[]).good();
    let said = ran(&home, &alone(job), &[]).good().out;
    let task = |test: &str| {
        let end = said.find(&format!(" got {test}\n")).expect(&said);
        &said[end - 1..end]
    };
    assert_ne!(task("a_test"), task("b_test"), "{said}");
    assert_eq!(task("b_test"), task("c_test"), "{said}");
}
