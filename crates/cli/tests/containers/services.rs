//! Service containers.

use outrider_testkit::docker::Image;
use serde_json::{Value, json};

use crate::steps::{run, says};
use crate::support::*;

/// A service of busybox that runs this script.
async fn script(name: &str, text: &str) -> Value {
    let image = Image::Busybox.provide().await;
    json!({"image": image, "name": name, "command": ["sh", "-c", text]})
}

#[tokio::test]
async fn steps_reach_all_services_by_localhost_and_by_name() {
    let image = Image::Busybox.provide().await;
    let services = [
        json!({"image": Image::Service.provide().await, "name": "web"}),
        json!({"image": Image::Redis.provide().await, "name": "store.example"}),
        script(
            "second",
            "echo again > /srv/index.html; exec httpd -f -p 8081 -h /srv",
        )
        .await,
    ];
    let script = "\
        until wget -qO- http://second:8081/; do sleep 0.1; done\n\
        wget -qO- http://localhost:8080/ http://web:8080/\n\
        printf 'SET who %s\\r\\nGET who\\r\\nQUIT\\r\\n' $CIRCLE_NODE_INDEX | nc store.example 6379";
    let mut job = job_beside(&image, &services, json!([run(script)]));
    job["parallelism"] = json!(2);
    let said = passes(job, &["--runners", "2"]);
    assert_eq!(said.matches("hello from a service\n").count(), 4, "{said}");
    assert_eq!(said.matches("again\n").count(), 2, "{said}");
    says(
        &said,
        &["$1\r\n0\r\n", "$1\r\n1\r\n", "Ready to accept connections"],
    );
}

#[tokio::test]
async fn a_service_that_ends_is_shown_and_fails_nothing() {
    let image = Image::Busybox.provide().await;
    let services = [
        script("early", "echo early words; exit 3").await,
        script("late", "nc -l -p 7000; echo late words; exit 4").await,
    ];
    let script = "until nc localhost 7000 < /dev/null; do sleep 0.1; done; sleep 1";
    let said = passes(job_beside(&image, &services, json!([run(script)])), &[]);
    says(
        &said,
        &[
            "early words\n",
            "It has ended with code 3.",
            "late words\n",
            "It has ended with code 4.",
        ],
    );
}

#[tokio::test]
async fn a_service_that_ends_before_it_is_ready_is_shown_and_fails_nothing() {
    let image = Image::Busybox.provide().await;
    let service = json!({
        "image": Image::Service.provide().await, "name": "web",
        "entrypoint": ["sh", "-c", "echo no license; exit 5"],
    });
    let said = passes(
        job_beside(&image, &[service], json!([run("echo a step")])),
        &[],
    );
    says(
        &said,
        &["a step\n", "no license\n", "It has ended with code 5."],
    );
}

#[tokio::test]
async fn a_service_that_cannot_start_fails_the_job_and_is_named() {
    let image = Image::Busybox.provide().await;
    let wrong = [
        json!({"image": Image::Service.provide().await, "name": "db", "entrypoint": ["/no/such"]}),
        json!({"image": &image, "name": "db", "user": "nobody-knows"}),
    ];
    for service in wrong {
        let said = fails(
            job_beside(&image, &[service], json!([run("echo a step")])),
            1,
            &[],
        );
        says(&said, &["service", "(db)", "look at "]);
        assert!(!said.contains("step \""), "no step is to blame:\n{said}");
        assert!(!said.contains("a step"), "{said}");
    }
}

#[tokio::test]
async fn all_that_a_service_wrote_is_there_although_it_never_ends() {
    let image = Image::Busybox.provide().await;
    let talker = "seq 1 30000; nc -l -p 7000; echo farewell; nc -l -p 7001; sleep 1000000";
    let services = [script("talker", talker).await];
    let script =
        "for port in 7000 7001; do until nc localhost $port < /dev/null; do sleep 0.1; done; done";
    let said = passes(job_beside(&image, &services, json!([run(script)])), &[]);
    says(&said, &["\n1\n2\n3\n", "\n29999\n30000\nfarewell\n"]);
}
