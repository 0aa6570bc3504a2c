//! What CircleCI's own command line sends, and what it gets.

#[expect(dead_code, reason = "the other tests use the rest")]
mod common;

use common::World;
use outrider_api::tokens::{CreateToken, TokenScope};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

const V3: &str = "/api/v3/configs/compile";
const V2: &str = "/api/v2/compile-config-with-defaults";

const CONFIG: &str = "\
version: 2.1
parameters:
  name: {type: string, default: you}
  count: {type: integer, default: 1}
jobs:
  build:
    machine: true
    parallelism: << pipeline.parameters.count >>
    steps: [run: echo << pipeline.parameters.name >> on << pipeline.git.branch >>]
";

const EXPANDED: &str = "\
version: 2
jobs:
  # from job build, line 6
  build:
    machine: true
    parallelism: 3
    steps:
    - run:
        command: echo me on main
workflows:
  version: 2
  workflow:
    jobs:
    - build
";

const WRONG: &str = "version: 2.1\njobs: {build: {machine: true, stepz: [], steps: [checkout]}}\n";

/// A server, and a token that its owner gave to the command line.
struct Served {
    world: World,
    token: String,
}

impl Served {
    async fn start() -> Self {
        let world = World::start().await;
        let request = CreateToken {
            scope: TokenScope::Admin {},
            nickname: "circleci".to_owned(),
        };
        let token = world.admin.create_token(&request).await.unwrap().token;
        Self { world, token }
    }

    fn post(&self, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.world.url);
        reqwest::Client::new()
            .post(url)
            .header("accept", "application/json")
    }

    /// As version 1 and later send it.
    async fn v3(&self, body: &Value) -> Value {
        answer(self.post(V3).bearer_auth(&self.token).json(body)).await
    }

    /// As version 0 sends it.
    async fn v2(&self, body: &Value) -> Value {
        answer(self.post(V2).header("circle-token", &self.token).json(body)).await
    }
}

async fn send(request: RequestBuilder) -> Response {
    request.send().await.unwrap()
}

async fn answer(request: RequestBuilder) -> Value {
    let response = send(request).await;
    assert_eq!(response.status(), StatusCode::OK);
    let kind = response.headers()["content-type"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(kind.contains("application/json"), "{kind}");
    response.json().await.unwrap()
}

#[tokio::test]
async fn version_1_expands_a_config() {
    let served = Served::start().await;
    let body = json!({"data": {
        "attributes": {
            "config": CONFIG,
            "enable_next_preview": true,
            "pipeline_parameters": {"name": "me", "count": 3},
            "pipeline_values": {"pipeline.git.branch": "main", "pipeline.number": 1, "pipeline.git.branch.is_default": false},
        },
        "references": {"org": {"id": "6f5ee5f5-0000-4000-8000-000000000000"}},
    }});
    let expected = json!({
        "data": {"attributes": {"phase": "ended", "outcome": "succeeded", "compiled_config": EXPANDED}},
        "meta": {"messages": []},
    });
    assert_eq!(served.v3(&body).await, expected);
}

#[tokio::test]
async fn version_1_hears_what_is_wrong() {
    let served = Served::start().await;
    let body = json!({"data": {"attributes": {"config": WRONG}}});
    let title = "config.yml:2:31: a job has no key `stepz` (did you mean `steps`?)";
    let expected = json!({
        "data": {"attributes": {"phase": "ended", "outcome": "failed", "compiled_config": ""}},
        "meta": {"messages": [{"title": title}]},
    });
    assert_eq!(served.v3(&body).await, expected);
}

#[tokio::test]
async fn version_0_expands_a_config() {
    let served = Served::start().await;
    // It has the parameters twice: by themselves, and among the values.
    let body = json!({
        "config_yaml": CONFIG,
        "options": {
            "owner_id": "",
            "pipeline_parameters": {"name": "me"},
            "pipeline_values": {
                "pipeline.git.branch": "main",
                "pipeline.number": 1,
                "pipeline.parameters.name": "nobody",
                "pipeline.parameters.count": 3,
            },
        },
    });
    let expected = json!({
        "valid": true, "source-yaml": CONFIG, "output-yaml": EXPANDED, "errors": [],
    });
    assert_eq!(served.v2(&body).await, expected);
}

#[tokio::test]
async fn version_0_hears_what_is_wrong() {
    let served = Served::start().await;
    let nothing = json!({"pipeline_parameters": null, "pipeline_values": null});
    let answer = served
        .v2(&json!({"config_yaml": WRONG, "options": nothing}))
        .await;
    assert_eq!(answer["valid"], false);
    assert_eq!(answer["output-yaml"], "");
    let message = answer["errors"][0]["message"].as_str().unwrap();
    assert!(message.contains("stepz"), "{message}");
}

/// It asks with nothing first; 404 would mean to it that the server is too old.
#[tokio::test]
async fn version_0_finds_out_what_the_server_can_do() {
    let served = Served::start().await;
    let response = send(served.post(V2).header("circle-token", &served.token)).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert!(response.json::<Value>().await.unwrap().is_object());
}

#[tokio::test]
async fn a_token_is_needed_in_one_of_three_ways() {
    let served = Served::start().await;
    let body = json!({"data": {"attributes": {"config": CONFIG}}});
    let ways = [
        served.post(V3).bearer_auth(&served.token),
        served.post(V3).header("circle-token", &served.token),
        served.post(V3).basic_auth(&served.token, Some("")),
    ];
    for way in ways {
        assert_eq!(send(way.json(&body)).await.status(), StatusCode::OK);
    }
    let wrong = [
        served.post(V3),
        served.post(V3).header("circle-token", "wrong"),
        served.post(V3).basic_auth("wrong", Some(&served.token)),
        served.post(V3).header("authorization", "Basic %%%"),
    ];
    for way in wrong {
        assert_eq!(
            send(way.json(&body)).await.status(),
            StatusCode::UNAUTHORIZED
        );
    }
}

#[tokio::test]
async fn a_config_that_is_too_large_is_an_answer_like_any_other() {
    let served = Served::start().await;
    let config = "a: b # padding\n".repeat(100_000);
    let answer = served
        .v3(&json!({"data": {"attributes": {"config": config}}}))
        .await;
    assert_eq!(answer["data"]["attributes"]["outcome"], "failed");
    let title = answer["meta"]["messages"][0]["title"].as_str().unwrap();
    assert!(title.contains("limit"), "{title}");
}
