//! Jobs in containers, and ways to run them.

use std::path::Path;

use outrider_testkit::docker::engine;
use serde_json::{Value, json};

use crate::common::{Process, World};
use crate::program::{Home, Ran};
use crate::steps;

/// A server that looks after leases from its start on. Containers take their time: claims do not
/// run out sooner than usual.
pub const SOON: [&str; 2] = ["--startup-grace", "0s"];

/// A job whose steps run in this image.
pub fn job_in(image: &str, steps: Value) -> Value {
    job_beside(image, &[], steps)
}

/// The same, with these services.
pub fn job_beside(image: &str, services: &[Value], steps: Value) -> Value {
    let mut images = vec![json!({"image": image})];
    images.extend_from_slice(services);
    Value::from_iter([("docker", Value::from(images)), ("steps", steps)])
}

/// A config with this job alone.
pub fn alone(job: Value) -> String {
    steps::config(Value::from_iter([("build", job)]), json!(["build"]))
}

/// `outrider run --verbose` of a config, at the Engine of the tests.
pub fn ran(home: &Home, config: &str, more: &[&str]) -> Ran {
    home.project(config);
    let engine = engine();
    home.run(&[&["run", "--verbose", "--docker-host", &engine], more].concat())
}

/// The same with a config of one job, which passes.
#[track_caller]
pub fn passes(job: Value, more: &[&str]) -> String {
    let home = Home::new();
    let ran = ran(&home, &alone(job), more).good();
    assert_eq!(home.leftovers(), [""; 0].map(Path::new));
    ran.out
}

/// The same with one that fails with this exit code; all that was said.
#[track_caller]
pub fn fails(job: Value, code: i32, more: &[&str]) -> String {
    let home = Home::new();
    let ran = ran(&home, &alone(job), more);
    assert_eq!(ran.code, Some(code), "{}{}", ran.out, ran.err);
    assert_eq!(home.leftovers(), [""; 0].map(Path::new));
    ran.out + &ran.err
}

/// A server, and a runner for containers with these arguments.
pub async fn start(more: &[&str]) -> (World, [Process; 2]) {
    let mut world = World::new();
    let server = world.start_server(&SOON).await;
    let runner = start_runner(&world, more).await;
    (world, [server, runner])
}

/// Another runner of that kind, or the same again.
pub async fn start_runner(world: &World, more: &[&str]) -> Process {
    let engine = engine();
    let fixed = ["--executor", "docker", "--docker-host", &engine];
    world.start_runner("runner", &[&fixed, more].concat()).await
}
