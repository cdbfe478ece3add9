//! The examples that have both ends, run to their end.

#![allow(clippy::unwrap_used, clippy::expect_used, dead_code, missing_docs)]

#[path = "../../examples/grpc.rs"]
mod grpc;
#[path = "../../examples/layers.rs"]
mod layers;
#[path = "../../examples/push.rs"]
mod push;
#[path = "../../examples/sse.rs"]
mod sse;
#[path = "../../examples/upload.rs"]
mod upload;

use std::{error::Error, time::Duration};

/// The output of an example. A hang is a failure.
async fn printed(run: impl AsyncFnOnce(&mut Vec<u8>) -> Result<(), Box<dyn Error>>) -> String {
    let mut output = Vec::new();
    let done = tokio::time::timeout(Duration::from_secs(60), run(&mut output)).await;
    done.expect("it hangs").unwrap();
    String::from_utf8(output).unwrap()
}

#[tokio::test]
async fn grpc_has_answers_and_statuses() {
    let output = printed(async |output| grpc::run(output).await).await;
    assert_eq!(output, "hello\nInvalidArgument: say something\n");
}

#[tokio::test]
async fn events_come_one_by_one() {
    let output = printed(async |output| sse::run(output).await).await;
    assert_eq!(output, "tick 1\ntick 2\ntick 3\n");
}

#[tokio::test]
async fn an_upload_reports_its_progress() {
    let output = printed(async |output| upload::run(output).await).await;
    let (progress, end) = output.split_once("the server has ").unwrap();
    assert_eq!(end, "4194304 bytes\n");
    let progress: Vec<u32> = progress
        .lines()
        .map(|line| line.trim_end_matches(" %").parse().unwrap())
        .collect();
    assert!(progress.is_sorted() && !progress.is_empty(), "{progress:?}");
}

#[tokio::test]
async fn a_style_sheet_is_pushed_in_every_protocol() {
    let output = printed(async |output| push::run(output).await).await;
    let lines: Vec<_> = output.lines().collect();
    assert_eq!(lines.len(), 4, "{output}");
    for line in lines {
        let end = ": a page of 37 bytes, and /style.css of 20 bytes";
        assert!(line.ends_with(end), "{line}");
    }
}

#[tokio::test]
async fn layers_follow_redirects_and_decompress() {
    let output = printed(async |output| layers::run(output).await).await;
    let first = "/new for layers/1.0, which accepts gzip\n";
    let length = first.len() + 5_000;
    let expected = format!("{length} bytes, still coded: false\n{first}");
    assert_eq!(output, expected);
}
