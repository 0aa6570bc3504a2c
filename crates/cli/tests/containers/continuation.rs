//! Jobs of setup configs that continue their pipeline from a container. The server listens on the
//! loopback of its host, which no container reaches.

use outrider_model::Outcome;
use outrider_testkit::docker::Image;
use serde_json::{Value, json};

use crate::common::submission;
use crate::program::Home;
use crate::steps::{self, run, says};
use crate::support::*;

/// The config that the pipeline goes on with.
const MORE: &str = "{version: 2.1, parameters: {who: {type: string, default: nobody}}, \
                    jobs: {more: {machine: true, steps: [run: 'echo hello << pipeline.parameters.who >>']}}, \
                    workflows: {second: {jobs: [more]}}}";

/// A setup config whose job runs in this image.
async fn setup(image: Image, steps: Value) -> String {
    let config = alone(job_in(&image.provide().await, steps));
    let mut config: Value = serde_json::from_str(&config).unwrap();
    config["setup"] = json!(true);
    config.to_string()
}

/// A step that writes the config.
fn write_more() -> Value {
    // It is expanded when it is the pipeline's config, not before.
    let text = MORE.replace("<<", "\\<<");
    run(&format!("cat > more.yml \\<<'END'\n{text}\nEND"))
}

#[tokio::test]
async fn they_reach_the_server_through_the_runner() {
    let go_on = run("outrider pipeline continue more.yml --parameter who=world");
    for image in [Image::Busybox, Image::DebianAsUser] {
        let home = Home::new();
        let config = setup(image, json!([write_more(), go_on])).await;
        let ran = ran(&home, &config, &[]).good();
        says(&ran.out, &["hello world\n", "✓ pipeline passed"]);
    }
}

#[tokio::test]
async fn they_do_on_a_server_too_once_and_only_with_their_own_key() {
    let mut world = crate::common::World::new();
    let _server = world.start_server(&SOON).await;
    let engine = outrider_testkit::docker::engine();
    let _runner = world
        .start_runner("runner", &["--docker-host", &engine])
        .await;
    let call = "outrider pipeline continue more.yml";
    let script = format!(
        "CIRCLE_CONTINUATION_KEY=stolen {call} 2>&1 || echo refused\n\
         echo '{{version: 2.1, jobs: {{}}, workflows: {{a: {{jobs: [none]}}}}}}' > wrong.yml\n\
         outrider pipeline continue wrong.yml 2>&1 || echo refused\n\
         wget -qO- $OUTRIDER_URL/api/v1/queue 2>&1 || echo refused\n\
         {call}\n\
         {call} 2>&1 || echo refused"
    );
    let config = setup(Image::Busybox, json!([write_more(), run(&script)])).await;
    let (outcome, log) = steps::ran(&world, &submission(&config)).await;
    assert_eq!(outcome, Outcome::Passed, "{log}");
    assert_eq!(log.matches("refused\n").count(), 4, "{log}");
    says(
        &log,
        &[
            "not the continuation key of this job",
            "none",
            "404",
            "hello nobody\n",
        ],
    );
}
