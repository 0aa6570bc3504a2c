//! Secrets and SSH keys in containers.

use std::process::Command;

use outrider_testkit::docker::Image;
use serde_json::json;

use crate::common::{World, outrider};
use crate::program::{Home, Ran};
use crate::steps::{self, run, says};
use crate::support::*;

#[tokio::test]
async fn secrets_are_masked_in_all_that_containers_write() {
    let image = Image::Busybox.provide().await;
    let home = Home::new();
    let file = home.write("secrets", "PASSWORD=correct-horse-battery\n");
    let service = json!({
        "image": &image, "command": ["sh", "-c", "echo service: correct-horse-battery; sleep 1000000"],
    });
    let script = "echo \"step: $PASSWORD\"; echo ${#PASSWORD} letters; sleep 1";
    let config = alone(job_beside(&image, &[service], json!([run(script)])));
    let said = ran(
        &home,
        &config,
        &["--secret-env-file", file.to_str().unwrap()],
    )
    .good();
    says(&said.out, &["step: ****", "service: ****", "21 letters\n"]);
    assert!(!said.out.contains("correct-horse"), "{}", said.out);
}

/// Gives the project of this world a key: its fingerprint.
fn give_key(world: &World) -> String {
    let key = world.path("key");
    let mut keygen = Command::new("ssh-keygen");
    keygen
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&key);
    assert!(keygen.status().unwrap().success());
    let of_project = |arguments: &[&str]| {
        let mut command = outrider();
        command.args(["project", "ssh-key"]).args(arguments);
        command.args([
            "--project",
            "acme/shop",
            "--url",
            &world.url(),
            "--token-file",
        ]);
        Ran::of(command.arg(world.path("server/admin-token"))).good()
    };
    of_project(&["add", key.to_str().unwrap()]);
    let listed = of_project(&["list", "--json"]).json();
    listed["items"][0]["fingerprint"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// A config whose job has this key.
fn keyed(image: &str, fingerprint: &str, script: &str) -> String {
    let keys = json!({"add_ssh_keys": {"fingerprints": [fingerprint]}});
    alone(job_in(image, json!([keys, run(script)])))
}

#[tokio::test]
async fn an_agent_in_the_container_holds_the_keys_for_the_steps_user() {
    let (world, _processes) = start(&[]).await;
    let fingerprint = give_key(&world);
    for image in [Image::Debian, Image::DebianAsUser] {
        let script = "ssh-add -l; echo \"I am $USER\"; stat -c 'socket of %U, %a' $SSH_AUTH_SOCK";
        let config = keyed(&image.provide().await, &fingerprint, script);
        let said = steps::passes(&world, &config).await;
        says(&said, &["(ED25519)", ", 600\n"]);
        let after = |before: &str| {
            let (_, rest) = said.split_once(before).expect(&said);
            rest.split([',', '\n']).next().unwrap().to_owned()
        };
        assert_eq!(after("socket of "), after("I am "), "{said}");
    }
}

#[tokio::test]
async fn an_image_without_openssh_says_what_is_missing() {
    let (world, _processes) = start(&[]).await;
    let fingerprint = give_key(&world);
    let image = Image::Busybox.provide().await;
    let said = steps::fails(&world, &keyed(&image, &fingerprint, "echo a step")).await;
    says(&said, &["ssh-agent is not here: install OpenSSH's client"]);
    assert!(!said.contains("a step"), "{said}");
}
