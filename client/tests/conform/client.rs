//! Our client against an odd server.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use lacewing_client::{
    Connection, ConnectionConfig, PushPolicy, Version,
    conform::{Case, Need, Report, Segmentation, Target, client_cases, run},
};
use tokio::io::DuplexStream;

use crate::{conditions, filter};

/// A client that makes requests for as long as it can; with bodies where the
/// case needs one.
fn connect(case: &Case) -> DuplexStream {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let mut config = ConnectionConfig::default();
    if case.needs().contains(&Need::Push) {
        config = config.accept_push(PushPolicy::default());
    }
    let (connection, task) = Connection::handshake(theirs, Version::Http2, config);
    tokio::spawn(task);
    let upload = case.needs().contains(&Need::RequestBody);
    // Two at once make the second request of a case come; an upload has the
    // connection's window for itself.
    let at_once = if upload { 1 } else { 2 };
    for _ in 0..at_once {
        let connection = connection.clone();
        tokio::spawn(async move {
            while connection.is_open() {
                let request = if upload {
                    let body = Bytes::from(vec![b'x'; 128 * 1024]);
                    Request::post("http://localhost/upload").body(Full::new(body))
                } else {
                    Request::get("http://localhost/").body(Full::default())
                };
                let response = connection.request(request.unwrap()).await;
                if let Ok(response) = response {
                    let _ = response.into_body().collect().await;
                }
                tokio::task::yield_now().await;
            }
        });
    }
    ours
}

async fn check(segmentation: Segmentation) {
    let conditions = conditions(segmentation);
    let target = Target::new("http", "localhost");
    let mut report = Report::new(format!("our client, {segmentation:?}"));
    for case in client_cases(Version::Http2) {
        if filter().admits(&case) {
            let outcome = run(&case, connect(&case), &target, &conditions).await;
            report.add(&case, outcome);
        }
    }
    assert!(report.is_success(), "{report}");
    assert_eq!(report.skipped(), 0, "{report}");
}

#[tokio::test(start_paused = true)]
async fn whole_frames() {
    for _ in 0..3 {
        check(Segmentation::Whole).await;
    }
}

#[tokio::test(start_paused = true)]
async fn single_bytes() {
    check(Segmentation::Bytes).await;
}
