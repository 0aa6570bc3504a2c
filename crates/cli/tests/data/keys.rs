//! Keys that mean harm, or no good.

use serde_json::{Value, json};

use crate::support::*;

#[tokio::test]
async fn a_key_is_only_a_name() {
    let (world, _processes) = start().await;
    for key in [
        "../../../../outside",
        "/etc/outside",
        "a%_*'\"; drop",
        "ä\u{202e}🦀",
    ] {
        passes(&world, &saving(key, "good")).await;
        says(&passes(&world, &restoring(key)).await, &["found: good"]);
    }
    // `_` and `%` fit only themselves.
    passes(&world, &saving("x_y", "underscore")).await;
    for key in ["x%", "x_z", "xay", "%"] {
        says(
            &passes(&world, &restoring(key)).await,
            &["No cache is found"],
        );
    }
    assert!(!world.path("outside").exists());
}

#[tokio::test]
async fn a_key_that_cannot_be_is_the_fault_of_the_config() {
    let (world, _processes) = start().await;
    let long = "a".repeat(901);
    for (value, problem) in [
        ("a\u{1}b", "control character"),
        ("a\nb", "control character"),
        (long.as_str(), "has 901 characters"),
        ("", "is empty"),
    ] {
        for step in [
            save("{{ .Environment.X }}", "."),
            restore("{{ .Environment.X }}"),
        ] {
            let log = fails(&world, &with_variable(value, &step)).await;
            says(&log, &["the cache key `{{ .Environment.X }}`", problem]);
        }
    }
    let most = "a".repeat(900);
    passes(
        &world,
        &with_variable(&most, &restore("{{ .Environment.X }}")),
    )
    .await;
}

fn with_variable(value: &str, step: &Value) -> String {
    let mut job = job(json!([step]));
    job["environment"] = json!({"X": value});
    config(json!({"build": job}), json!(["build"]))
}
