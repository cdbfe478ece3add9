//! `kubectl exec`: a whole server in 60 lines, with axum. See the README.

use std::{io, time::Duration};

use axum::extract::{Query, Request};
use axum::routing::{any, get};
use axum::{Json, Router, http::Response, serve::ListenerExt};
use lacewing_kube::CommandOutcome;
use lacewing_kube::server::{CommandOffer, CommandStreams};
use serde_json::json;
use tokio::process::Command;

type Pairs = Query<Vec<(String, String)>>;

/// Accepts the client's request, and runs its command when the transport is there.
async fn exec(Query(pairs): Pairs, mut request: Request) -> Response<String> {
    let streams = CommandStreams::from_query(request.uri().query().unwrap_or_default());
    let words = pairs.into_iter().filter(|(name, _)| name == "command");
    let words: Vec<String> = words.map(|(_, word)| word).collect();
    let (response, pending) = match CommandOffer::new(streams).accept(&mut request) {
        Ok(accepted) => accepted,
        Err(rejection) => return rejection.into_response(),
    };
    tokio::spawn(async move {
        let mut session = pending.session().await?;
        let mut command = Command::new(words.first().map_or("true", String::as_str));
        command.args(words.iter().skip(1));
        let ran = session.run(command, Duration::from_secs(2)).await;
        let outcome = ran.unwrap_or_else(|error| CommandOutcome::Failed(error.to_string()));
        session.finish(outcome).await
    });
    response.map(|()| String::new())
}

#[tokio::main]
async fn main() -> io::Result<()> {
    // kubectl reads this part of the API before it runs a command. Behind a kubelet, omit it.
    let versions = json!({ "kind": "APIVersions", "versions": ["v1"] });
    let groups = json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": [] });
    let pods = json!({ "name": "pods", "namespaced": true, "kind": "Pod", "verbs": ["get"] });
    let v1 = json!({ "kind": "APIResourceList", "groupVersion": "v1", "resources": [pods] });
    let pod = json!({
        "kind": "Pod", "apiVersion": "v1", "metadata": { "name": "mypod", "namespace": "default" },
        "spec": { "containers": [{ "name": "c1" }] }, "status": { "phase": "Running" },
    });
    let app = Router::new()
        .route("/api", get(async || Json(versions)))
        .route("/apis", get(async || Json(groups)))
        .route("/api/v1", get(async || Json(v1)))
        .route(
            "/api/v1/namespaces/default/pods/mypod",
            get(async || Json(pod)),
        )
        .route("/api/v1/namespaces/default/pods/mypod/exec", any(exec));
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8001".into());
    let listener = tokio::net::TcpListener::bind(address).await?;
    let no_delay = listener.tap_io(|io| drop(io.set_nodelay(true)));
    axum::serve(no_delay, app).await
}
