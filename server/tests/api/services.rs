//! Services that tests call directly: `ready` needs no type annotation.

use std::convert::Infallible;

use http::{Request, Response};
use http_body_util::BodyExt;
use lacewing_server::{RequestBody, service_fn};
use tower::{Service, ServiceExt};

async fn path(request: Request<RequestBody>) -> Result<Response<String>, Infallible> {
    Ok(Response::new(request.uri().path().to_owned()))
}

#[tokio::test]
async fn functions_need_no_annotation() {
    let mut service = service_fn(path);
    let request = Request::get("/path").body(RequestBody::empty()).unwrap();
    let response = service.ready().await.unwrap().call(request).await.unwrap();
    assert_eq!(response.into_body(), "/path");
}

#[tokio::test]
async fn layers_around_functions_need_none_either() {
    let layered = tower::ServiceBuilder::new().concurrency_limit(1);
    let mut service = layered.service(service_fn(path));
    let request = Request::get("/layered").body(RequestBody::empty()).unwrap();
    let response = service.ready().await.unwrap().call(request).await.unwrap();
    assert_eq!(response.into_body(), "/layered");
}

#[cfg(feature = "axum")]
#[tokio::test]
async fn routers_with_upgrades_need_none_either() {
    let router = axum::Router::new().fallback(async || "hello");
    let mut service = lacewing_server::axum::Upgrades::new(router);
    let request = Request::get("/").body(RequestBody::empty()).unwrap();
    let response = service.ready().await.unwrap().call(request).await.unwrap();
    let body = response.into_body().collect().await.unwrap();
    assert_eq!(body.to_bytes(), "hello");
}

#[tokio::test]
async fn one_shot_needs_none_either() {
    let request = Request::get("/once").body(RequestBody::empty()).unwrap();
    let response = service_fn(path).oneshot(request).await.unwrap();
    let body = response.into_body();
    assert_eq!(body.collect().await.unwrap().to_bytes(), "/once");
}
