//! Lacewing's HTTP/2 server against the scripted peer.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use lacewing_conform::{Report, Segmentation, Target, run, server_cases};
use lacewing_server::{
    ExtendedConnect, RequestBody, ServerOptions, Version, serve_connection, service_fn,
};
use tokio::io::DuplexStream;

use crate::{conditions, filter};

/// The moment of a handler's response.
#[derive(Clone, Copy, Debug)]
enum Answers {
    AtOnce,
    /// After the whole request, and a moment.
    Late,
}

async fn answer(
    request: Request<RequestBody>,
    answers: Answers,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let content = match request.uri().path() {
        "/large" => Bytes::from(vec![b'x'; 300 * 1024]),
        "/huge" => Bytes::from(vec![b'x'; 8 << 20]),
        _ => Bytes::from_static(b"hello, world"),
    };
    let mut response = Response::new(Full::new(content));
    // The content of a tunnel does not end.
    let tunnel = request.method() == Method::CONNECT;
    if matches!(answers, Answers::Late) && !tunnel {
        // The peer of a broken request sees no response.
        if request.into_body().collect().await.is_err() {
            *response.status_mut() = StatusCode::BAD_REQUEST;
        }
        tokio::time::sleep(Duration::from_millis(70)).await;
    }
    Ok(response)
}

fn connect(answers: Answers, extended: ExtendedConnect) -> DuplexStream {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let service = service_fn(move |request| answer(request, answers));
    let options = ServerOptions::default().extended_connect(extended);
    tokio::spawn(async move {
        // The cases judge the end of the connection.
        let _ = serve_connection(theirs, Version::Http2, options, service).await;
    });
    ours
}

async fn check(answers: Answers, segmentation: Segmentation) {
    for extended in [ExtendedConnect::Offer, ExtendedConnect::Off] {
        check_with(answers, segmentation, extended).await;
    }
}

async fn check_with(answers: Answers, segmentation: Segmentation, extended: ExtendedConnect) {
    let conditions = conditions(segmentation);
    let mut target = Target::new("http", "localhost");
    target.large_path = "/large".into();
    target.post_path = "/post".into();
    let seen = target.probe(connect(answers, extended), &conditions).await;
    assert!(target.abilities.upload, "{seen:#?}");
    let mut report = Report::new(format!("our server, answers {answers:?}, {segmentation:?}"));
    for case in server_cases(&target) {
        if filter().admits(&case) {
            let outcome = run(&case, connect(answers, extended), &target, &conditions).await;
            report.add(&case, outcome);
        }
    }
    assert!(report.is_success(), "{report}");
    // The cases for extended CONNECT, or those without it.
    assert!(report.skipped() <= 6, "{report}");
}

/// Runs the cases with the page at this path.
async fn with_page(path: &str) -> Report {
    let conditions = conditions(Segmentation::Whole);
    let server = || connect(Answers::AtOnce, ExtendedConnect::Off);
    let mut target = Target::new("http", "localhost");
    target.path = path.into();
    target.large_path = "/large".into();
    target.post_path = "/post".into();
    target.probe(server(), &conditions).await;
    let mut report = Report::new(format!("our server, with the page {path}"));
    for case in server_cases(&target) {
        let outcome = run(&case, server(), &target, &conditions).await;
        report.add(&case, outcome);
    }
    report
}

#[tokio::test(start_paused = true)]
async fn a_page_larger_than_the_windows_passes() {
    let report = with_page("/large").await;
    assert!(report.is_success(), "{report}");
    assert!(report.skipped() <= 6, "{report}");
}

#[tokio::test(start_paused = true)]
async fn a_huge_page_skips_the_cases_that_wait_for_it() {
    let report = with_page("/huge").await;
    assert!(report.is_success(), "{report}");
    assert!(report.passed() > 150, "{report}");
    let text = report.to_json();
    assert!(text.contains("is larger than 524288 bytes"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn answers_at_once() {
    check(Answers::AtOnce, Segmentation::Whole).await;
}

#[tokio::test(start_paused = true)]
async fn answers_late() {
    check(Answers::Late, Segmentation::Whole).await;
}

#[tokio::test(start_paused = true)]
async fn answers_at_once_to_single_bytes() {
    check(Answers::AtOnce, Segmentation::Bytes).await;
}

#[tokio::test(start_paused = true)]
async fn answers_late_to_single_bytes() {
    check(Answers::Late, Segmentation::Bytes).await;
}
