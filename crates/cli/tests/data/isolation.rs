//! Who sees whose caches.

use outrider_api::pipelines::SubmitPipeline;
use outrider_model::Outcome;

use crate::common::{World, submission};
use crate::support::*;

async fn run_as(world: &World, untrusted: bool, config: &str) -> String {
    let submission = SubmitPipeline {
        untrusted,
        ..submission(config)
    };
    let (outcome, log) = ran(world, &submission).await;
    assert_eq!(outcome, Outcome::Passed, "{log}");
    log
}

#[tokio::test]
async fn what_an_untrusted_pipeline_saves_no_trusted_one_ever_sees() {
    let (world, _processes) = start().await;
    run_as(&world, true, &saving("from-a-fork", "poison")).await;
    run_as(&world, false, &saving("from-us", "good")).await;
    for (untrusted, key, found) in [
        (false, "from-a-fork", "found: nothing"),
        (true, "from-a-fork", "found: poison"),
        (false, "from-us", "found: good"),
        (true, "from-us", "found: good"),
        (false, "from", "found: good"),
    ] {
        let log = run_as(&world, untrusted, &restoring(key)).await;
        says(&log, &[found]);
    }
}

#[tokio::test]
async fn an_untrusted_pipeline_neither_replaces_nor_blocks_a_trusted_key() {
    let (world, _processes) = start().await;
    run_as(&world, true, &saving("k", "poison")).await;
    let log = run_as(&world, false, &saving("k", "good")).await;
    assert!(!log.contains("already"), "{log}");
    says(
        &run_as(&world, false, &restoring("k")).await,
        &["found: good"],
    );
}

#[tokio::test]
async fn projects_do_not_share() {
    let (world, _processes) = start().await;
    let of = |project: &str, config: &str| SubmitPipeline {
        project: project.to_owned(),
        ..submission(config)
    };
    ran(&world, &of("acme/one", &saving("k", "of-one"))).await;
    let (_, log) = ran(&world, &of("acme/two", &restoring("k"))).await;
    says(&log, &["No cache is found", "found: nothing"]);
    // The same bytes are stored for each of them.
    ran(&world, &of("acme/two", &saving("k", "of-one"))).await;
    assert_eq!(stored(&world).len(), 4);
    for project in ["acme/one", "acme/two"] {
        let (_, log) = ran(&world, &of(project, &restoring("k"))).await;
        says(&log, &["found: of-one"]);
    }
}
