//! The suite detects errors: runs on peers that break the rules.

use bytes::BytesMut;
use lacewing_client::Version;
use lacewing_conform::{Outcome, Segmentation, Target, client_cases, run, server_cases};
use lacewing_frames::http2::{Decoder, DecoderLimits, Encoder, HeaderField, Message, Sensitivity};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use crate::conditions;

type List = Vec<(HeaderField, Sensitivity)>;

/// A wrong server's reaction to a message.
type Answer = fn(&Message<List>, &mut Encoder, &mut BytesMut);

/// A server that decodes frames, and reacts with `answer`.
fn server(answer: Answer) -> DuplexStream {
    let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
    tokio::spawn(async move {
        let mut encoder = Encoder::new();
        let mut decoder = Decoder::<List>::new(DecoderLimits::default());
        let (mut input, mut output) = (BytesMut::new(), BytesMut::new());
        encoder.settings(&mut output, &[]);
        let mut preface = [0; 24];
        if theirs.read_exact(&mut preface).await.is_err() {
            return;
        }
        loop {
            while let Ok(Some(message)) = decoder.decode(&mut input) {
                answer(&message, &mut encoder, &mut output);
            }
            if theirs.write_all_buf(&mut output).await.is_err()
                || !matches!(theirs.read_buf(&mut input).await, Ok(1..))
            {
                return;
            }
        }
    });
    ours
}

/// Acknowledges SETTINGS and answers PING, and ignores every error.
fn polite(message: &Message<List>, encoder: &mut Encoder, output: &mut BytesMut) {
    match message {
        Message::Settings(_) => encoder.settings_ack(output),
        Message::Ping { payload } => encoder.ping_ack(output, *payload),
        _ => {}
    }
}

/// Sends more than any window allows.
fn greedy(message: &Message<List>, encoder: &mut Encoder, output: &mut BytesMut) {
    polite(message, encoder, output);
    if let Message::Headers { stream_id, .. } = message {
        let head = lacewing_frames::http2::HeadersHead::new(*stream_id, false);
        encoder.headers(output, head, |block| {
            block.field(b":status", b"200", Sensitivity::Normal);
        });
        for last in [false, false, false, false, true] {
            encoder.data_head(output, *stream_id, 16_384, last);
            output.extend_from_slice(&[b'x'; 16_384]);
        }
    }
}

/// Sends a connection-specific field, which HTTP/2 forbids.
fn old_fashioned(message: &Message<List>, encoder: &mut Encoder, output: &mut BytesMut) {
    polite(message, encoder, output);
    if let Message::Headers { stream_id, .. } = message {
        let head = lacewing_frames::http2::HeadersHead::new(*stream_id, true);
        encoder.headers(output, head, |block| {
            block.field(b":status", b"200", Sensitivity::Normal);
            block.field(b"connection", b"close", Sensitivity::Normal);
        });
    }
}

async fn outcome(id: &str, answer: Answer) -> Outcome {
    let target = Target::new("http", "localhost");
    let cases = server_cases(&target);
    let case = cases.iter().find(|case| case.id() == id).unwrap();
    run(
        case,
        server(answer),
        &target,
        &conditions(Segmentation::Whole),
    )
    .await
}

fn complaint(outcome: Outcome) -> String {
    match outcome {
        Outcome::Failed(failure) => failure.got,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_passes_no_case() {
    let target = Target::new("http", "localhost");
    let conditions = conditions(Segmentation::Whole);
    for case in server_cases(&target)
        .iter()
        .chain(&client_cases(Version::Http2))
    {
        let (io, _silent) = tokio::io::duplex(64 * 1024);
        let outcome = run(case, io, &target, &conditions).await;
        assert_ne!(outcome, Outcome::Passed, "{}: {}", case.id(), case.title());
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_ignores_errors_fails_their_cases() {
    for id in [
        "3.4/4",
        "4.1/2",
        "4.2/3",
        "5.1/1",
        "5.1.1/1",
        "6.5.2/1",
        "6.9/1",
        "7541/6.1/2",
        "8.3.1/28",
    ] {
        assert!(!outcome(id, polite).await.is_success(), "{id}");
    }
    assert_eq!(outcome("6.7/1", polite).await, Outcome::Passed);
    assert_eq!(outcome("4.1/1", polite).await, Outcome::Passed);
}

#[tokio::test(start_paused = true)]
async fn the_frames_of_the_tested_side_are_checked_in_every_case() {
    let got = complaint(outcome("8.3.1/28", greedy).await);
    assert!(got.contains("beyond its window"), "{got}");
    let got = complaint(outcome("8.3.1/28", old_fashioned).await);
    assert!(
        got.contains("the connection-specific field connection"),
        "{got}"
    );
}
