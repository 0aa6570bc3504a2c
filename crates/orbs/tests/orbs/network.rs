//! URL orbs and the registry, against real servers on loopback.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::common::{Asked, Home, Peer, Reply, complaint, text};
use outrider_model::secret::Token;
use outrider_orbs::{ContentHash, Network, Settings};
use serde_json::{Value, json};

/// Settings that allow orbs below `/orbs` of a server.
fn allowing(home: &Home, peer: &Peer) -> Settings {
    Settings {
        url_prefixes: vec![format!("{}/orbs", peer.url).parse().unwrap()],
        network: peer.network(),
        offline: false,
        ..home.settings()
    }
}

#[tokio::test]
async fn a_url_orb_is_fetched_once_and_then_offline() {
    let home = Home::new();
    let peer = Peer::https(|_| Reply::ok("the orb")).await;
    let url = format!("{}/orbs/a.yml", peer.url);
    let settings = allowing(&home, &peer);
    let first = home.resolve(&settings, &[&url]).await.unwrap();
    assert_eq!(text(&first, &url), "the orb");
    let lock = home.read("orbs.lock");
    assert!(lock.contains(&ContentHash::of("the orb").to_string()));
    for offline in [false, true] {
        let settings = Settings {
            offline,
            ..settings.clone()
        };
        let again = home.resolve(&settings, &[&url]).await.unwrap();
        assert_eq!(text(&again, &url), "the orb");
    }
    let asked = peer.asked();
    assert_eq!(asked.len(), 1);
    for header in ["authorization", "cookie", "referer"] {
        assert!(!asked[0].headers.contains_key(header), "{asked:?}");
    }
}

#[tokio::test]
async fn a_url_that_no_prefix_allows_is_not_asked() {
    let home = Home::new();
    let peer = Peer::https(|_| Reply::ok("the orb")).await;
    let url = format!("{}/others/a.yml", peer.url);
    let resolution = home.resolve(&allowing(&home, &peer), &[&url]).await;
    let complaint = complaint(&resolution.unwrap());
    assert!(complaint.contains("no prefix allows"), "{complaint}");
    let advice = format!("--orb-url-prefix {}/others/", peer.url);
    assert!(complaint.contains(&advice), "{complaint}");
    assert!(peer.asked().is_empty());
}

#[tokio::test]
async fn a_redirect_leads_to_where_a_prefix_allows_only() {
    let home = Home::new();
    let peer = Peer::https(|asked| match asked.path.as_str() {
        "/orbs/near" => Reply::Redirect("/orbs/a.yml".to_owned()),
        "/orbs/far" => Reply::Redirect("/others/a.yml".to_owned()),
        "/orbs/plain" => Reply::Redirect("http://127.0.0.1/orbs/a.yml".to_owned()),
        "/orbs/round" => Reply::Redirect("/orbs/round".to_owned()),
        _ => Reply::ok("the orb"),
    })
    .await;
    let settings = allowing(&home, &peer);
    let near = format!("{}/orbs/near", peer.url);
    let resolution = home.resolve(&settings, &[&near]).await.unwrap();
    assert_eq!(text(&resolution, &near), "the orb");
    for (path, says) in [
        ("far", "no prefix allows"),
        ("plain", "over https only"),
        ("round", "leads on more than 5 times"),
    ] {
        let url = format!("{}/orbs/{path}", peer.url);
        let resolution = home.resolve(&settings, &[&url]).await.unwrap();
        let complaint = complaint(&resolution);
        assert!(complaint.contains(says), "{complaint}");
    }
    let asked = peer.asked();
    assert!(asked.iter().all(|asked| asked.path != "/others/a.yml"));
}

#[tokio::test]
async fn what_is_no_orb_is_refused() {
    let home = Home::new();
    let peer = Peer::https(|asked| match asked.path.as_str() {
        "/orbs/large" => Reply::ok("a".repeat(1024 * 1024 + 1)),
        _ => Reply::Status(404, "nothing".to_owned()),
    })
    .await;
    for (path, says) in [
        ("large", "sent more than 1048576 bytes"),
        ("none", "answered HTTP 404"),
    ] {
        let url = format!("{}/orbs/{path}", peer.url);
        let resolution = home.resolve(&allowing(&home, &peer), &[&url]).await;
        let complaint = complaint(&resolution.unwrap());
        assert!(complaint.contains(says), "{complaint}");
    }
    assert_eq!(home.files(), [""; 0]);
}

#[tokio::test]
async fn a_server_that_says_nothing_is_left() {
    let home = Home::new();
    let peer = Peer::https(|_| Reply::Never).await;
    let url = format!("{}/orbs/a.yml", peer.url);
    let settings = Settings {
        network: Network {
            timeout: Duration::from_millis(300),
            ..peer.network()
        },
        ..allowing(&home, &peer)
    };
    let resolution = home.resolve(&settings, &[&url]).await.unwrap();
    let complaint = complaint(&resolution);
    assert!(complaint.contains("in time"), "{complaint}");
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused() {
    let home = Home::new();
    let peer = Peer::https(|_| Reply::ok("the orb")).await;
    let url = format!("{}/orbs/a.yml", peer.url);
    let settings = Settings {
        network: Network::default(),
        ..allowing(&home, &peer)
    };
    let resolution = home.resolve(&settings, &[&url]).await.unwrap();
    let complaint = complaint(&resolution);
    assert!(complaint.contains("cannot be reached"), "{complaint}");
    assert!(peer.asked().is_empty());
}

#[tokio::test]
async fn a_url_orb_that_changed_is_refused_until_it_is_accepted() {
    let home = Home::new();
    let changed = Arc::new(AtomicBool::new(false));
    let now = changed.clone();
    let peer = Peer::https(move |_| {
        Reply::ok(if now.load(Ordering::SeqCst) {
            "after"
        } else {
            "before"
        })
    })
    .await;
    let url = format!("{}/orbs/a.yml", peer.url);
    let settings = Settings {
        cache: None,
        ..allowing(&home, &peer)
    };
    home.resolve(&settings, &[&url]).await.unwrap();
    changed.store(true, Ordering::SeqCst);
    let resolution = home.resolve(&settings, &[&url]).await.unwrap();
    let complaint = complaint(&resolution);
    for text in ["before", "after"] {
        let hash = ContentHash::of(text).to_string();
        assert!(complaint.contains(&hash), "{complaint}");
    }
    assert!(
        complaint.contains("accept it with --update-orbs"),
        "{complaint}"
    );

    let update = Settings {
        update: true,
        ..settings.clone()
    };
    home.resolve(&update, &[&url]).await.unwrap();
    let accepted = home.resolve(&settings, &[&url]).await.unwrap();
    assert_eq!(text(&accepted, &url), "after");
}

/// Answers as the registry does, with one release of one orb.
fn registry(asked: &Asked, version: &str, source: &str) -> Reply {
    assert_eq!(asked.path, "/graphql-unstable");
    let question: Value = serde_json::from_str(&asked.body).unwrap();
    assert!(question["query"].as_str().unwrap().contains("orbVersion("));
    let reference = question["variables"]["orbVersionRef"].as_str().unwrap();
    let orb = reference
        .starts_with("circleci/node@")
        .then(|| json!({ "version": version, "source": source }));
    Reply::ok(json!({ "data": { "orbVersion": orb } }).to_string())
}

fn asking(home: &Home, peer: &Peer) -> Settings {
    Settings {
        registry: peer.url.clone(),
        offline: false,
        ..home.settings()
    }
}

#[tokio::test]
async fn the_registry_is_asked_once() {
    let home = Home::new();
    let peer = Peer::http(|asked| registry(asked, "5.1.3", "node")).await;
    let settings = asking(&home, &peer);
    let reference = "circleci/node@5.1";
    let first = home.resolve(&settings, &[reference]).await.unwrap();
    assert_eq!(text(&first, reference), "node");
    assert!(home.read("orbs.lock").contains("circleci/node@5.1.3"));
    let exact = "circleci/node@5.1.3";
    let again = home.resolve(&settings, &[reference, exact]).await.unwrap();
    assert_eq!(text(&again, reference), "node");
    assert_eq!(text(&again, exact), "node");
    let asked = peer.asked();
    assert_eq!(asked.len(), 1);
    assert!(!asked[0].headers.contains_key("authorization"));
}

#[tokio::test]
async fn offline_asks_nobody() {
    let home = Home::new();
    let peer = Peer::http(|asked| registry(asked, "5.1.3", "node")).await;
    let settings = Settings {
        offline: true,
        ..asking(&home, &peer)
    };
    let resolution = home
        .resolve(&settings, &["circleci/node@5.1"])
        .await
        .unwrap();
    assert!(complaint(&resolution).contains("--offline"));
    assert!(peer.asked().is_empty());
}

#[tokio::test]
async fn the_token_goes_to_the_registry_and_no_further() {
    let home = Home::new();
    let elsewhere = Peer::http(|_| Reply::ok("")).await;
    let to = elsewhere.url.clone();
    let peer = Peer::http(move |_| Reply::Redirect(to.clone())).await;
    let settings = Settings {
        token: Some(Token::presented("s3cret")),
        ..asking(&home, &peer)
    };
    let resolution = home
        .resolve(&settings, &["circleci/node@5.1"])
        .await
        .unwrap();
    let complaint = complaint(&resolution);
    assert!(complaint.contains("answered HTTP 302"), "{complaint}");
    assert_eq!(peer.asked()[0].headers["authorization"], "s3cret");
    assert!(elsewhere.asked().is_empty());
}

#[tokio::test]
async fn what_the_registry_says_is_told() {
    let home = Home::new();
    let error = json!({ "data": null, "errors": [{ "message": "go\u{1b}[31m away" }] });
    for (answer, says) in [
        (
            json!({ "data": { "orbVersion": null } }).to_string(),
            "has no circleci/node@5.1",
        ),
        (error.to_string(), "says: go [31m away"),
        ("<html>".to_owned(), "not a registry's answer"),
        (
            json!({ "data": { "orbVersion": { "version": "6.0.0", "source": "" } } }).to_string(),
            "answered version 6.0.0, not circleci/node@5.1",
        ),
        (
            json!({ "data": { "orbVersion": { "version": "../x", "source": "" } } }).to_string(),
            "answered version ../x",
        ),
    ] {
        let peer = Peer::http(move |_| Reply::ok(answer.clone())).await;
        let resolution = home
            .resolve(&asking(&home, &peer), &["circleci/node@5.1"])
            .await
            .unwrap();
        let complaint = complaint(&resolution);
        assert!(complaint.contains(says), "{complaint}");
    }
    assert_eq!(home.files(), [""; 0]);
}

#[tokio::test]
async fn without_the_registry_the_newest_in_the_cache_is_used_and_told() {
    let home = Home::new();
    let up = Arc::new(AtomicBool::new(true));
    let is_up = up.clone();
    let peer = Peer::http(move |asked| {
        if is_up.load(Ordering::SeqCst) {
            registry(asked, "5.1.3", "node")
        } else {
            Reply::Status(503, String::new())
        }
    })
    .await;
    let settings = asking(&home, &peer);
    home.resolve(&settings, &["circleci/node@5.1"])
        .await
        .unwrap();
    up.store(false, Ordering::SeqCst);
    let resolution = home.resolve(&settings, &["circleci/node@5"]).await.unwrap();
    assert_eq!(text(&resolution, "circleci/node@5"), "node");
    let [warning] = &resolution.warnings[..] else {
        panic!("{:?}", resolution.warnings);
    };
    assert!(
        warning.contains("circleci/node@5.1.3") && warning.contains("503"),
        "{warning}"
    );
}

#[tokio::test]
async fn a_damaged_file_in_the_cache_is_fetched_again() {
    let home = Home::new();
    let peer = Peer::http(|asked| registry(asked, "5.1.3", "node")).await;
    let settings = asking(&home, &peer);
    let reference = "circleci/node@5.1.3";
    home.resolve(&settings, &[reference]).await.unwrap();
    let cached = home
        .files()
        .into_iter()
        .find(|path| path.ends_with("circleci/node/5.1.3.yml"))
        .unwrap();
    let whole = home.read(&cached);
    home.write(&cached, &whole[..whole.len() - 2]);
    let resolution = home.resolve(&settings, &[reference]).await.unwrap();
    assert_eq!(text(&resolution, reference), "node");
    assert_eq!(home.read(&cached), whole);
}

#[tokio::test]
async fn a_cache_that_cannot_be_written_is_a_warning() {
    let home = Home::new();
    home.write("cache", "a file");
    let peer = Peer::http(|asked| registry(asked, "5.1.3", "node")).await;
    let resolution = home
        .resolve(&asking(&home, &peer), &["circleci/node@5.1"])
        .await
        .unwrap();
    assert_eq!(text(&resolution, "circleci/node@5.1"), "node");
    let warnings = resolution.warnings.join("\n");
    assert!(warnings.contains("the cache"), "{warnings}");
}

#[tokio::test]
async fn a_registry_that_does_not_answer_is_left_alone() {
    let home = Home::new();
    let peer = Peer::http(|_| Reply::Never).await;
    let settings = Settings {
        network: Network {
            timeout: Duration::from_millis(300),
            ..Network::default()
        },
        ..asking(&home, &peer)
    };
    let roots: Vec<String> = (0..40).map(|number| format!("acme/a{number}@1")).collect();
    let roots: Vec<&str> = roots.iter().map(String::as_str).collect();
    let resolution = home.resolve(&settings, &roots).await.unwrap();
    assert_eq!(resolution.unresolved.len(), 40);
    for unresolved in &resolution.unresolved {
        let text = unresolved.to_string();
        assert!(text.contains("did not answer in time"), "{text}");
    }
    let asked = peer.asked().len();
    assert!(asked < 40, "asked {asked} times");
}

#[tokio::test]
async fn a_registry_without_encryption_is_refused() {
    let settings = Settings {
        registry: "http://registry.test".to_owned(),
        ..Settings::default()
    };
    let error = outrider_orbs::Resolver::new(&settings).err().unwrap();
    assert!(error.to_string().contains("use https"), "{error}");
}
