//! Caches that later pipelines find.

use std::time::Duration;

use outrider_service::{Clock, SystemClock};
use serde_json::json;

use crate::common::World;
use crate::support::*;

const DAY: Duration = Duration::from_secs(24 * 3_600);

#[tokio::test]
async fn the_next_pipeline_finds_what_the_first_one_saved() {
    let (world, _processes) = start().await;
    let config = one(json!([
        restore("deps-v1"),
        show(),
        run("mkdir -p kept && echo first > kept/file"),
        save("deps-v1", "kept"),
    ]));
    let first = passes(&world, &config).await;
    says(
        &first,
        &["No cache is found for\n  deps-v1", "found: nothing"],
    );
    says(&first, &["Saving kept under the key deps-v1"]);
    let second = passes(&world, &config).await;
    says(&second, &["Restoring the cache deps-v1", "found: first"]);
    says(&second, &["There is a cache with the key deps-v1 already"]);
}

#[tokio::test]
async fn a_key_is_never_written_twice() {
    let (world, _processes) = start().await;
    passes(&world, &saving("k", "first")).await;
    passes(&world, &saving("k", "second")).await;
    says(&passes(&world, &restoring("k")).await, &["found: first"]);
}

#[tokio::test]
async fn the_newest_that_begins_with_a_key_wins_and_keys_go_in_order() {
    let (world, _processes) = start().await;
    for (key, content) in [("a-", "whole"), ("b", "other"), ("a-1", "newer")] {
        passes(&world, &saving(key, content)).await;
    }
    says(&passes(&world, &restoring("a-")).await, &["found: newer"]);
    let several = |spec| one(json!([{"restore_cache": spec}, show()]));
    for (spec, found) in [
        (json!({"keys": ["none", "b", "a-"]}), "found: other"),
        (json!({"key": "b", "keys": ["a-1"]}), "found: other"),
        (json!({"key": "none", "keys": ["a-1", "b"]}), "found: newer"),
    ] {
        says(&passes(&world, &several(spec)).await, &[found]);
    }
}

#[tokio::test]
async fn another_checksum_is_another_cache() {
    let (world, _processes) = start().await;
    let key = "v1-{{ checksum \"lock\" }}";
    let pipeline = |lock: &str| {
        one(json!([
            run(&format!("echo {lock} > lock")),
            restore(key),
            show(),
            run(&format!("mkdir -p kept && echo of-{lock} > kept/file")),
            save(key, "kept"),
        ]))
    };
    for (lock, found) in [
        ("one", "found: nothing"),
        ("two", "found: nothing"),
        ("one", "found: of-one"),
        ("two", "found: of-two"),
    ] {
        says(&passes(&world, &pipeline(lock)).await, &[found]);
    }
    let log = fails(&world, &restoring(key)).await;
    says(&log, &["needs the checksum of lock", "No such file"]);
}

#[tokio::test]
async fn files_come_back_as_they_were() {
    let (world, _processes) = start().await;
    let make = r#"
        mkdir -p kept/empty kept/read-only
        ln -s nowhere kept/link
        echo x > kept/program; chmod 751 kept/program; touch -d @1600000000 kept/program
        ln kept/program kept/other-name
        truncate -s 1M kept/sparse; printf end >> kept/sparse
        echo in > kept/read-only/file; chmod 555 kept/read-only
        printf odd > "$(printf 'kept/a\nb\377')"
    "#;
    let check = r#"
        [ -d kept/empty ] && [ -z "$(ls kept/empty)" ]
        [ "$(readlink kept/link)" = nowhere ]
        [ "$(stat -c '%a %Y' kept/program)" = '751 1600000000' ]
        [ kept/program -ef kept/other-name ]
        [ "$(stat -c %s kept/sparse)" = 1048579 ] && [ "$(stat -c %b kept/sparse)" -lt 200 ]
        [ "$(tail -c 3 kept/sparse)" = end ]
        [ "$(stat -c %a kept/read-only)" = 555 ] && [ "$(cat kept/read-only/file)" = in ]
        [ "$(cat "$(printf 'kept/a\nb\377')")" = odd ]
    "#;
    passes(
        &world,
        &one(json!([run(make), run(check), save("k", "kept")])),
    )
    .await;
    passes(&world, &one(json!([restore("k"), run(check)]))).await;
}

#[tokio::test]
async fn paths_are_of_the_home_of_the_host_or_of_the_job() {
    let (world, _processes) = start().await;
    let (home, tools) = (world.path("home"), world.path("tools"));
    let pipeline = |steps| {
        let mut job = job(steps);
        job["environment"] = json!({"HOME": home});
        config(json!({"build": job}), json!(["build"]))
    };
    let tools = tools.to_str().unwrap();
    let make = format!("mkdir -p ~/.tool rel {tools} && touch ~/.tool/a {tools}/b rel/c");
    let paths = json!(["~/.tool", tools, "rel", "~/project/none"]);
    let saving = json!([run(&make), {"save_cache": {"key": "k", "paths": paths}}]);
    let log = passes(&world, &pipeline(saving)).await;
    says(&log, &["There is no ~/project/none: it is left out."]);
    std::fs::remove_dir_all(&home).unwrap();
    std::fs::remove_dir_all(tools).unwrap();
    let check = format!("test -e ~/.tool/a -a -e {tools}/b -a -e rel/c");
    let restoring = json!([restore("k"), run(&check)]);
    passes(&world, &pipeline(restoring)).await;
    assert!(home.join(".tool/a").exists(), "the home of the test");
}

#[tokio::test]
async fn a_job_says_for_how_many_days_its_caches_stay() {
    let mut world = World::new();
    let mut server = world.start_server(&[]).await;
    let _runner = world.start_runner("runner", &[]).await;
    let mut short = job(json!([run("mkdir kept"), save("short", "kept")]));
    short["retention"] = json!({"caches": "2d"});
    passes(&world, &config(json!({"build": short}), json!(["build"]))).await;
    passes(&world, &saving("long", "long")).await;
    server.kill9();
    let (store, now) = (open_store(&world), SystemClock.now());
    for (age, left) in [(1, 2), (3, 1), (14, 1), (16, 0)] {
        store.expire_data(now + DAY * age, 100).await.unwrap();
        let usage = store.data_usage().await.unwrap();
        assert_eq!(usage.caches.count, left, "after {age} days");
    }
}
