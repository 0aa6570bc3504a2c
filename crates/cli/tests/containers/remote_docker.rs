//! `setup_remote_docker`.

use outrider_testkit::docker::Image;
use serde_json::{Value, json};

use crate::steps::{run, says};
use crate::support::*;

/// Asks the Engine for its version, with what every Debian has.
const ASK: &str = r#"
perl -MIO::Socket::UNIX -e '
  my ($path) = $ENV{DOCKER_HOST} =~ m{^unix://(.*)} or die "no DOCKER_HOST\n";
  my $engine = IO::Socket::UNIX->new($path) or die "$path: $!\n";
  print $engine "GET /version HTTP/1.0\r\n\r\n";
  print "the Engine says $1\n" if join("", <$engine>) =~ /"(ApiVersion)"/;'
"#;

const NO_SOCKET: &str = "! ls /var/run/docker.sock && echo no socket";

fn asking(image: &str, first: &[Value]) -> Value {
    let mut steps = first.to_vec();
    steps.push(run(ASK));
    job_in(image, Value::from(steps))
}

#[tokio::test]
async fn it_is_refused_unless_the_runners_owner_allows_it() {
    let image = Image::Debian.provide().await;
    let steps = [run(NO_SOCKET), json!("setup_remote_docker")];
    let said = fails(asking(&image, &steps), 1, &[]);
    says(
        &said,
        &["no socket\n", "root on its host", "--allow-docker-socket"],
    );
    assert!(!said.contains("the Engine says"), "{said}");
}

#[tokio::test]
async fn root_and_others_reach_the_engine_where_it_is_allowed() {
    for image in [Image::Debian, Image::DebianAsUser] {
        let image = image.provide().await;
        let steps = [run("echo I am $USER"), json!("setup_remote_docker")];
        let said = passes(asking(&image, &steps), &["--allow-docker-socket"]);
        says(
            &said,
            &[
                "WARNING: from here on this job uses the Docker Engine",
                "the Engine says ApiVersion\n",
            ],
        );
    }
}

#[tokio::test]
async fn who_does_not_ask_has_no_socket_although_it_is_allowed() {
    let image = Image::Busybox.provide().await;
    let said = passes(
        job_in(&image, json!([run(NO_SOCKET)])),
        &["--allow-docker-socket"],
    );
    says(&said, &["no socket\n"]);
}
