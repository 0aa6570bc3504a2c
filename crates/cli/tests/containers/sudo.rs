//! `sudo` in an image that has it, whose user is not root.

use outrider_testkit::docker::Image;
use serde_json::{Value, json};

use crate::steps::{run, says};
use crate::support::*;

async fn job() -> Value {
    let image = Image::DebianAsUser.provide().await;
    job_in(&image, json!([run("echo I am $(sudo id -un)")]))
}

#[tokio::test]
async fn a_step_that_calls_sudo_in_vain_is_told_what_to_do() {
    let mut job = job().await;
    job["steps"] = json!([run("sudo id -un")]);
    let said = fails(job, 1, &[]);
    says(
        &said,
        &["The step calls sudo", "user: root", "--allow-sudo"],
    );
}

#[tokio::test]
async fn it_works_where_the_runners_owner_allows_it() {
    says(&passes(job().await, &["--allow-sudo"]), &["I am root\n"]);
}
