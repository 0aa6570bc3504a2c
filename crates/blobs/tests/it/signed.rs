//! URLs for others: a plain HTTP client uses them as a runner does.

use std::time::Duration;

use outrider_blobs::{Blobs, SignedUrl, Validity};
use outrider_model::Timestamp;
use outrider_service::{Clock, SystemClock};
use outrider_testkit::s3::S3Server;
use reqwest::{Method, StatusCode};

use crate::support::{bytes, get, name, open, put};

fn now() -> Timestamp {
    SystemClock.now()
}

fn for_a_minute() -> Validity {
    Validity {
        from: now(),
        lasts: Duration::from_secs(60),
    }
}

async fn request(method: Method, signed: &SignedUrl, body: Vec<u8>) -> reqwest::Response {
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(10))
        .build()
        .unwrap();
    let mut request = client.request(method, &signed.url).body(body);
    for (name, value) in &signed.headers {
        request = request.header(name, value);
    }
    request
        .send()
        .await
        .unwrap_or_else(|error| panic!("{error:?} {:?}", signed.headers))
}

/// A bucket with a prefix: keys in URLs have it too.
fn blobs(server: &S3Server) -> Blobs {
    open(&server.location().replace("blobs?", "blobs/ci/one?"))
}

#[tokio::test]
async fn others_put_and_get_with_a_signed_url() {
    let server = S3Server::start();
    let blobs = blobs(&server);
    let content = bytes(1_000_000, 1);
    let name = name(&content, 1);
    let signed = blobs.sign_put(&name, 1_000_000, for_a_minute()).await;
    let signed = signed.unwrap().expect("buckets sign");
    let answer = request(Method::PUT, &signed, content.clone()).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(get(&blobs, &name, 0..1_000_000).await.unwrap() == content);
    let signed = blobs.sign_get(&name, for_a_minute()).await;
    let signed = signed.unwrap().expect("buckets sign");
    let answer = request(Method::GET, &signed, Vec::new()).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.bytes().await.unwrap() == content);
}

#[tokio::test]
async fn a_signed_url_is_for_one_thing_and_one_time() {
    let server = S3Server::start();
    let blobs = blobs(&server);
    let content = bytes(1_000, 1);
    let name = put(&blobs, &content, 1).await;
    let signed = blobs
        .sign_put(&name, 1_000, for_a_minute())
        .await
        .unwrap()
        .unwrap();
    let get = blobs
        .sign_get(&name, for_a_minute())
        .await
        .unwrap()
        .unwrap();
    let past = Validity {
        from: now() - Duration::from_secs(3_600),
        lasts: Duration::from_secs(60),
    };
    let late = blobs.sign_get(&name, past).await.unwrap().unwrap();
    let late_put = blobs.sign_put(&name, 1_000, past).await.unwrap().unwrap();
    let mut elsewhere = get.clone();
    elsewhere.url = elsewhere.url.replace("-1?", "-2?");
    let mut longer = signed.clone();
    longer.headers = vec![("content-length".to_owned(), "1001".to_owned())];
    let refusals = [
        (Method::GET, &late, 0),
        (Method::PUT, &late_put, 1_000),
        (Method::PUT, &get, 1_000),
        (Method::DELETE, &signed, 1_000),
        (Method::GET, &elsewhere, 0),
        (Method::PUT, &longer, 1_001),
    ];
    for (method, signed, length) in refusals {
        let answer = request(method.clone(), signed, bytes(length, 2)).await;
        assert!(
            answer.status().is_client_error(),
            "{method} {length}: {answer:?}"
        );
    }
    assert!(crate::support::get(&blobs, &name, 0..1_000).await.unwrap() == content);
}

#[tokio::test]
async fn where_nobody_can_sign_there_is_no_url() {
    let server = S3Server::start();
    let folder = tempfile::tempdir().unwrap();
    let unsigned = format!("{}&signed_urls=false", server.location());
    for location in ["memory:", folder.path().to_str().unwrap(), &unsigned] {
        let blobs = open(location);
        let name = name(b"text", 1);
        assert_eq!(
            blobs.sign_put(&name, 4, for_a_minute()).await.unwrap(),
            None
        );
        assert_eq!(blobs.sign_get(&name, for_a_minute()).await.unwrap(), None);
    }
}
