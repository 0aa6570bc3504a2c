//! Workspaces: layer on layer.

use outrider_model::Outcome;

use super::data::{TRUSTED, hash};
use super::world::{World, build, held, job, kind, requires, tasks};
use crate::{LayerRecord, RawClaimedTask};

async fn workspace(w: &World, task: &RawClaimedTask) -> Vec<LayerRecord> {
    w.store.workspace(held(task)).await.unwrap()
}

fn places(layers: &[LayerRecord]) -> Vec<(&str, u32, u32)> {
    layers
        .iter()
        .map(|layer| (layer.job_name.as_str(), layer.index, layer.step))
        .collect()
}

pub async fn layers_lie_in_upstream_order(w: World) {
    let hold = requires("hold", &["left"]);
    let jobs = vec![
        requires("last", &["right", "hold"]),
        requires("right", &["first"]),
        requires("left", &["first"]),
        kind(hold, outrider_model::plan::JobKind::NoOp),
        tasks("first", 2),
        job("beside"),
    ];
    let pipeline = w.submit_from(TRUSTED, jobs).await;
    let mut last = None;
    while let Some(task) = w.claim(1).await.pop() {
        w.start(&task).await;
        let name = super::world::payload(&task).job_name;
        if name == "last" {
            last = Some(task);
            break;
        }
        let blobs = [format!("{name}-{}", task.index)];
        for step in [4, 1] {
            w.layer(&task, step, &[&blobs[0]]).await;
        }
        w.end(&task, Outcome::Passed).await;
    }
    let layers = workspace(&w, &last.unwrap()).await;
    let expected = [
        ("first", 0, 1),
        ("first", 0, 4),
        ("first", 1, 1),
        ("first", 1, 4),
        ("right", 0, 1),
        ("right", 0, 4),
        ("left", 0, 1),
        ("left", 0, 4),
    ];
    assert_eq!(places(&layers), expected, "and nothing from beside");
    let first = w.job_id(pipeline, "first").await;
    let after: Vec<_> = layers.iter().map(|layer| layer.after.clone()).collect();
    assert_eq!(after[0], []);
    assert_eq!(after[7], [first]);
    assert_eq!(layers[0].manifest, hash("first-0"));
    assert_eq!((layers[0].entries, layers[0].size), (3, 300));
}

pub async fn a_layer_is_replaced_by_the_same_step(w: World) {
    w.submit_from(TRUSTED, vec![job("a"), requires("b", &["a"])])
        .await;
    let a = w.claim_and_start().await;
    w.layer(&a, 1, &["one"]).await;
    w.layer(&a, 1, &["two"]).await;
    w.layer(&a, 1, &["two"]).await;
    assert_eq!(workspace(&w, &a).await, [], "a job does not see its own");
    w.end(&a, Outcome::Passed).await;
    let b = w.claim_and_start().await;
    let layers = workspace(&w, &b).await;
    assert_eq!(layers.len(), 1);
    assert_eq!(layers[0].manifest, hash("two"));
}

pub async fn only_the_newest_attempt_counts(w: World) {
    let mut a = job("a");
    build(&mut a).spec.retry_when_lost = true;
    w.submit_from(TRUSTED, vec![a, requires("b", &["a"])]).await;
    let lost = w.claim_and_start().await;
    w.layer(&lost, 1, &["lost"]).await;
    w.layer(&lost, 2, &["lost"]).await;
    w.pass(super::world::RUNNING);
    w.store.expire_leases(w.now(), 9).await.unwrap();
    let again = w.claim_and_start().await;
    w.layer(&again, 1, &["kept"]).await;
    w.end(&again, Outcome::Passed).await;
    let b = w.claim_and_start().await;
    assert_eq!(places(&workspace(&w, &b).await), [("a", 0, 1)]);
}
