//! The part of the Kubernetes API that kubectl asks for.

use http::{Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use lacewing_kube::server::{CommandOffer, CommandStreams, ForwardOffer, Rejection};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::{command, forward};

const POD: &str = "/api/v1/namespaces/default/pods/mypod";

pub(crate) fn answer(mut request: Request<Incoming>) -> Response<String> {
    let path = request.uri().path().trim_end_matches('/').to_owned();
    let result = match path.strip_prefix(POD) {
        Some("/exec") => start_command(&mut request, false),
        Some("/attach") => start_command(&mut request, true),
        Some("/portforward") => start_forward(&mut request),
        _ if request.method() == Method::GET => discover(&path),
        _ => Err(Rejection::new(StatusCode::METHOD_NOT_ALLOWED, "read only")),
    };
    result.unwrap_or_else(Rejection::into_response)
}

fn start_command(
    request: &mut Request<Incoming>,
    attach: bool,
) -> Result<Response<String>, Rejection> {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let streams = CommandStreams::from_query(&query);
    if streams.is_empty() {
        let text = "you must specify at least 1 of stdin, stdout, stderr";
        return Err(Rejection::new(StatusCode::BAD_REQUEST, text));
    }
    let argv = match attach {
        // The process of the pod: greets, and echoes.
        true => ["sh", "-c", "echo attached; exec cat"]
            .map(str::to_owned)
            .to_vec(),
        false => arguments(&query),
    };
    let (response, pending) = CommandOffer::new(streams).accept(request)?;
    tokio::spawn(async move {
        let ended = match pending.session().await {
            Ok(session) => command::run(session, argv).await,
            Err(error) => Err(error),
        };
        if let Err(error) = ended {
            eprintln!("command: {error}");
        }
    });
    Ok(response.map(|()| String::new()))
}

fn start_forward(request: &mut Request<Incoming>) -> Result<Response<String>, Rejection> {
    let (response, pending) = ForwardOffer::new().accept(request)?;
    tokio::spawn(async move {
        match pending.session().await {
            Ok(session) => forward::run(session).await,
            Err(error) => eprintln!("port-forward: {error}"),
        }
    });
    Ok(response.map(|()| String::new()))
}

/// The values of `command`, in order.
fn arguments(query: &str) -> Vec<String> {
    query
        .split('&')
        .filter_map(|pair| pair.strip_prefix("command="))
        .map(|value| {
            let spaced = value.replace('+', " ");
            percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
        })
        .collect()
}

fn discover(path: &str) -> Result<Response<String>, Rejection> {
    let found = match path {
        "/api" => json!({ "kind": "APIVersions", "versions": ["v1"] }),
        "/apis" => json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": [] }),
        "/api/v1" => json!({
            "kind": "APIResourceList", "groupVersion": "v1",
            "resources": [
                { "name": "pods", "singularName": "pod", "namespaced": true, "kind": "Pod", "shortNames": ["po"], "verbs": ["get"] },
            ],
        }),
        "/version" => json!({ "major": "1", "minor": "33", "gitVersion": "v1.33.0" }),
        POD => pod(),
        _ => return Err(Rejection::new(StatusCode::NOT_FOUND, "404 page not found")),
    };
    let mut response = Response::new(found.to_string());
    let json = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    Ok(response)
}

fn pod() -> Value {
    json!({
        "kind": "Pod", "apiVersion": "v1",
        "metadata": { "name": "mypod", "namespace": "default" },
        "spec": { "containers": [{ "name": "c1", "image": "none", "stdin": true, "tty": true }] },
        "status": {
            "phase": "Running",
            "containerStatuses": [{
                "name": "c1", "ready": true, "image": "none", "imageID": "", "restartCount": 0,
                "state": { "running": {} },
            }],
        },
    })
}
