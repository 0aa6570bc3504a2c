//! `outrider bench docker`.

use outrider_testkit::docker::{Image, engine};
use serde_json::Value;

use crate::common::outrider;

/// No figure is judged here: this host may be busy. But all jobs passed, and nothing is left.
#[tokio::test]
async fn it_measures_and_leaves_nothing() {
    let image = Image::Busybox.provide().await;
    let output = outrider()
        .args(["bench", "docker", "--quick", "--json", "--image", &image])
        .env("DOCKER_HOST", engine())
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let printed: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    let figures = &printed["docker"];
    assert_eq!(figures["left_behind"], 0, "{figures}");
    for figure in [
        "/cold_ratio",
        "/step_ms_p50",
        "/warm_first_byte_ms/p50",
        "/warm_first_byte_ms/p99",
        "/twenty_jobs_ratio",
        "/runner_rss_mb",
        "/floors/docker_run_first_byte_ms",
    ] {
        let figure = figures.pointer(figure);
        assert!(figure.is_some_and(Value::is_number), "{figures}");
    }
}
