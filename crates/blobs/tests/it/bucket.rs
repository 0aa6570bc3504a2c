//! What a bucket says when it is not as it should be.

use std::net::TcpListener;

use outrider_blobs::{Blobs, BlobsError, Environment, Trouble};
use outrider_service::OsRandom;
use outrider_testkit::s3::{self, S3Server};

use crate::folder::assert_trouble;
use crate::support::{bytes, get, open, open_as, patience, put};

fn environment(key: &str, secret: &str) -> Environment {
    [
        ("AWS_ACCESS_KEY_ID", key),
        ("AWS_SECRET_ACCESS_KEY", secret),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

#[tokio::test]
async fn what_is_wrong_with_a_bucket_is_told_apart() {
    let server = S3Server::start();
    let location = server.location();
    let stranger = environment("somebody", "else");
    let refused = open_as(&location, &stranger).check(&OsRandom::new()).await;
    assert_trouble(refused, Trouble::BadCredentials);
    let liar = environment(s3::ACCESS_KEY, "wrong");
    let blobs = open_as(&location, &liar);
    let name = crate::support::name(b"text", 1);
    let content = crate::support::body(b"text");
    assert_trouble(blobs.put(&name, 4, content).await, Trouble::BadCredentials);
    let elsewhere = location.replace("//blobs", "//no-such-bucket");
    assert_trouble(
        open(&elsewhere).check(&OsRandom::new()).await,
        Trouble::NoBucket,
    );
}

#[tokio::test]
async fn a_server_that_is_not_there_is_said() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let location = s3::location_at(free.local_addr().unwrap());
    drop(free);
    let mut patience = patience();
    patience.total = std::time::Duration::from_secs(1);
    let location = location.parse().unwrap();
    let blobs = Blobs::open(&location, &s3::environment(), patience).unwrap();
    let refused = blobs.check(&OsRandom::new()).await;
    let Err(BlobsError::Store(error)) = refused else {
        panic!("{refused:?}");
    };
    assert!(
        matches!(error.trouble, Trouble::Unreachable | Trouble::Silent),
        "{error:?}"
    );
}

#[tokio::test]
async fn secrets_are_not_in_errors() {
    let server = S3Server::start();
    let liar = environment(s3::ACCESS_KEY, "hunter2hunter2");
    let refused = open_as(&server.location(), &liar)
        .check(&OsRandom::new())
        .await;
    let text = format!("{refused:?}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[tokio::test]
async fn a_server_that_was_away_for_a_moment_is_not_noticed() {
    let mut server = S3Server::start();
    let blobs = open(&server.location());
    let content = bytes(5_000_000, 1);
    let name = put(&blobs, &content, 1).await;
    server.kill();
    let (away, back) = tokio::join!(get(&blobs, &name, 0..5_000_000), async {
        // The first try has failed for certain, or will see the new server.
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        tokio::task::spawn_blocking(move || {
            server.start_again();
            server
        })
        .await
    });
    assert!(away.unwrap() == content);
    drop(back);
}
