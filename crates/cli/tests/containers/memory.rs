//! Steps for which there is not enough memory.

use outrider_model::reason::EndReason;
use outrider_testkit::docker::Image;
use serde_json::json;

use crate::common::World;
use crate::steps::{self, run, says};
use crate::support::*;

const LIMIT: &[&str] = &["--container-limit-memory", "64Mi"];

/// More than the limit, in one process.
const GREEDY: &str = "echo starts; head -c 200000000 /dev/zero | tail -c 190000000 | wc -c";

/// The same; and the init is the first process that the kernel takes for it.
const SUICIDAL: &str = "echo starts; echo 1000 > /proc/1/oom_score_adj; head -c 200000000 /dev/zero | \
                        tail -c 190000000 | wc -c";

#[tokio::test]
async fn a_step_that_wants_too_much_memory_is_told_the_limit() {
    let image = Image::Busybox.provide().await;
    let always = json!({"run": {"command": "echo still there", "when": "always"}});
    let said = fails(job_in(&image, json!([run(GREEDY), always])), 1, LIMIT);
    says(
        &said,
        &[
            "starts\n",
            "was ended for lack of memory: the limit is 64 MiB",
            "larger resource_class",
            "still there\n",
        ],
    );
}

#[tokio::test]
async fn the_server_knows_that_it_was_memory() {
    let (world, _processes) = start(LIMIT).await;
    let image = Image::Busybox.provide().await;
    for script in [GREEDY, SUICIDAL] {
        let after = json!({"run": {"command": "echo after", "when": "always"}});
        let config = alone(job_in(&image, json!([run(script), after])));
        let log = steps::fails(&world, &config).await;
        says(&log, &["starts\n", "the limit is 64 MiB"]);
        assert!(!log.contains("Could not be run"), "it did run:\n{log}");
    }
    for reason in reasons(&world).await {
        let EndReason::OutOfMemory { limit_bytes, .. } = reason else {
            panic!("{reason:?}");
        };
        assert_eq!(limit_bytes, 64 << 20);
    }
}

/// Why the tasks of all pipelines have ended.
async fn reasons(world: &World) -> Vec<EndReason> {
    let mut reasons = Vec::new();
    for pipeline in world
        .admin()
        .pipelines(&Default::default())
        .await
        .unwrap()
        .items
    {
        let task = world.task(pipeline.id).await;
        let attempts = world.attempts(task).await.unwrap().attempts;
        reasons.extend(attempts.into_iter().filter_map(|attempt| attempt.reason));
    }
    assert_eq!(reasons.len(), 2);
    reasons
}
