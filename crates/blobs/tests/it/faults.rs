//! A network between us and the bucket that breaks.

use std::time::Duration;

use outrider_blobs::{Blobs, Patience, Trouble};
use outrider_testkit::relay::{Fate, Relay};
use outrider_testkit::s3::{self, S3Server};

use crate::folder::assert_trouble;
use crate::support::{body, bytes, get, keys, name, open, patience, put};

const SIZE: usize = 8_000_000;

#[tokio::test]
async fn what_is_cut_half_way_is_done_again() {
    let server = S3Server::start();
    let direct = open(&server.location());
    let content = bytes(SIZE, 1);
    let there = put(&direct, &content, 1).await;
    // Uploads are sent again from the start; downloads go on where they were.
    for fates in [
        [Fate::CutRequest(SIZE / 2), Fate::CutRequest(100)],
        [Fate::CutRequest(SIZE / 3), Fate::CutAnswer(10)],
    ] {
        let relay = Relay::start(server.address(), &fates).await;
        let blobs = open(&s3::location_at(relay.address));
        let sent = put(&blobs, &bytes(SIZE, 2), 2).await;
        assert_eq!(relay.met(), 2);
        assert_eq!(direct.size(&sent).await.unwrap(), Some(SIZE as u64));
        direct.delete(&[sent]).await.unwrap();
    }
    let fates = [
        Fate::CutAnswer(SIZE / 2),
        Fate::CutAnswer(SIZE / 4),
        Fate::CutAnswer(50),
    ];
    let relay = Relay::start(server.address(), &fates).await;
    let blobs = open(&s3::location_at(relay.address));
    assert!(get(&blobs, &there, 0..SIZE as u64).await.unwrap() == content);
    assert_eq!(relay.met(), 3);
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_given_up_and_the_next_one_taken() {
    let server = S3Server::start();
    let relay = Relay::start(server.address(), &[Fate::Hold]).await;
    let blobs = impatient(&relay, Duration::from_secs(2));
    let content = bytes(10_000, 1);
    let name = put(&blobs, &content, 1).await;
    assert_eq!(relay.met(), 1);
    assert!(get(&blobs, &name, 0..10_000).await.unwrap() == content);
}

#[tokio::test]
async fn a_bucket_that_never_answers_is_an_error_after_a_while() {
    let server = S3Server::start();
    let relay = Relay::start(server.address(), &[Fate::Hold; 100]).await;
    let blobs = impatient(&relay, Duration::from_millis(200));
    let content = bytes(10_000, 1);
    let refused = blobs.put(&name(&content, 1), 10_000, body(&content)).await;
    assert_trouble(refused, Trouble::Silent);
    assert!(relay.met() > 0);
    assert_eq!(keys(&open(&server.location())).await, [""; 0]);
}

fn impatient(relay: &Relay, silence: Duration) -> Blobs {
    let patience = Patience {
        silence,
        total: silence * 10,
        ..patience()
    };
    let location = s3::location_at(relay.address).parse().unwrap();
    Blobs::open(&location, &s3::environment(), patience).unwrap()
}
