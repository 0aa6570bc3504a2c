//! What jobs hand on to those that come after them.

use serde_json::{Value, json};

use crate::support::*;

/// Writes a file and persists it.
fn writes(file: &str, content: &str) -> Value {
    job(json!([
        run(&format!("echo {content} > {file}")),
        persist(file)
    ]))
}

/// Attaches the workspace and runs a script.
fn reads(script: &str) -> Value {
    job(json!([attach(), run(script)]))
}

fn after(job: &str, requires: &[&str]) -> Value {
    json!({job: {"requires": requires}})
}

#[tokio::test]
async fn of_three_layers_the_later_one_wins() {
    let (world, _processes) = start().await;
    let jobs = json!({
        "one": job(json!([run("echo one | tee a b c"), persist("[abc]")])),
        "two": job(json!([attach(), run("echo two | tee b c"), persist("[bc]")])),
        "three": writes("c", "three"),
        "end": reads("test \"$(cat a b c | tr '\\n' ' ')\" = 'one two three '"),
    });
    let order = json!([
        "one",
        after("two", &["one"]),
        after("three", &["two"]),
        after("end", &["three"]),
    ]);
    let log = passes(&world, &config(jobs, order)).await;
    says(
        &log,
        &[
            "Attaching what \"one\"",
            "Attaching what \"two\"",
            "Attaching what \"three\"",
        ],
    );
}

#[tokio::test]
async fn two_jobs_side_by_side_may_not_persist_one_file() {
    let (world, _processes) = start_with(&[], &["--slots", "2"]).await;
    let jobs = json!({
        "left": writes("report.txt", "left"),
        "right": writes("report.txt", "right"),
        "end": reads("true"),
    });
    let order = json!(["left", "right", after("end", &["left", "right"])]);
    let log = fails(&world, &config(jobs, order)).await;
    says(
        &log,
        &["\"left\"", "\"right\"", "have persisted report.txt"],
    );
}

#[tokio::test]
async fn neither_may_two_tasks_of_one_job() {
    let (world, _processes) = start_with(&[], &["--slots", "2"]).await;
    let mut both = writes("same", "$CIRCLE_NODE_INDEX");
    both["parallelism"] = json!(2);
    let jobs = json!({"both": both, "end": reads("true")});
    let order = json!(["both", after("end", &["both"])]);
    let log = fails(&world, &config(jobs, order)).await;
    says(
        &log,
        &["both \"both\" and \"both\" (task 1) have persisted same"],
    );
    // Files of their own are put together.
    let mut own = job(json!([
        run("touch own-$CIRCLE_NODE_INDEX"),
        persist("own-*")
    ]));
    own["parallelism"] = json!(2);
    let jobs = json!({"both": own, "end": reads("test -e own-0 -a -e own-1")});
    let order = json!(["both", after("end", &["both"])]);
    passes(&world, &config(jobs, order)).await;
}

#[tokio::test]
async fn nothing_to_attach_is_no_failure_and_nothing_to_persist_is_one() {
    let (world, _processes) = start().await;
    let log = passes(&world, &one(json!([attach()]))).await;
    says(&log, &["there is nothing to attach"]);
    let log = fails(&world, &one(json!([run("true"), persist("none-*")]))).await;
    says(&log, &["`none-*` matches nothing"]);
}

#[tokio::test]
async fn globs_choose_what_is_handed_on() {
    let (world, _processes) = start().await;
    let make = "mkdir -p out/deep src && touch out/a.txt out/deep/b.txt out/c.bin src/d.rs e";
    let chosen = json!({"root": ".", "paths": ["out/**/*.txt", "src", "none*"]});
    let jobs = json!({
        "make": job(json!([run(make), {"persist_to_workspace": chosen}])),
        "end": job(json!([
            {"attach_workspace": {"at": "there"}},
            run("find there -type f | sort | tr '\\n' ' '"),
        ])),
    });
    let log = passes(
        &world,
        &config(jobs, json!(["make", after("end", &["make"])])),
    )
    .await;
    says(&log, &["`none*` matches nothing"]);
    says(
        &log,
        &["there/out/a.txt there/out/deep/b.txt there/src/d.rs "],
    );
}

#[tokio::test]
async fn a_task_that_is_run_again_hands_on_what_it_made_the_last_time() {
    let (world, _processes) = start().await;
    let before = world.path("before");
    let script = format!(
        "if [ -e {0} ]; then touch second; else touch first {0}; fi",
        before.display()
    );
    let fail = "test -e second";
    let jobs = json!({
        "shaky": job(json!([run(&script), persist("*"), run(fail)])),
        "end": reads("test -e second -a ! -e first"),
    });
    let main = json!({
        "max_auto_reruns": 1,
        "jobs": ["shaky", after("end", &["shaky"])],
    });
    let text = json!({"version": 2.1, "jobs": jobs, "workflows": {"main": main}}).to_string();
    passes(&world, &text).await;
}
