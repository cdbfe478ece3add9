//! The suite detects errors: runs on peers that break the rules.

use bytes::BytesMut;
use lacewing_client::Version;
use lacewing_conform::{
    Case, Conditions, Outcome, Segmentation, Target, client_cases, run, server_cases,
};
use lacewing_frames::http2::{
    Decoder, DecoderLimits, Encoder, ErrorCode, HeaderField, HeadersHead, Message, PREFACE,
    Sensitivity, Setting, SettingId,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use crate::conditions;

type List = Vec<(HeaderField, Sensitivity)>;

/// A wrong server's reaction to a message.
type Answer = fn(&Message<List>, &mut Encoder, &mut BytesMut);

/// A server that decodes frames, and reacts with `answer`.
fn server(answer: Answer) -> DuplexStream {
    server_with(&[], answer)
}

/// The same with these SETTINGS.
fn server_with(settings: &[(SettingId, u32)], answer: Answer) -> DuplexStream {
    let entries: Vec<Setting> = settings
        .iter()
        .map(|&(id, value)| Setting { id, value })
        .collect();
    let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
    tokio::spawn(async move {
        let mut output = BytesMut::new();
        Encoder::new().settings(&mut output, &entries);
        let mut preface = [0; 24];
        if theirs.read_exact(&mut preface).await.is_ok() {
            let table = entries
                .iter()
                .find(|entry| entry.id == SettingId::HEADER_TABLE_SIZE);
            react(theirs, output, table.map(|entry| entry.value), answer).await;
        }
    });
    ours
}

/// A client that makes one request, and reacts with `answer`.
fn client(answer: Answer) -> DuplexStream {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    tokio::spawn(async move {
        let mut output = BytesMut::from(&PREFACE[..]);
        let mut encoder = Encoder::new();
        encoder.settings(&mut output, &[]);
        encoder.headers(&mut output, HeadersHead::new(1, true), |block| {
            for (name, value) in [
                (":method", "GET"),
                (":scheme", "http"),
                (":path", "/"),
                (":authority", "localhost"),
            ] {
                // Not indexed: the loop below has another encoder.
                block.field(name.as_bytes(), value.as_bytes(), Sensitivity::Sensitive);
            }
        });
        react(theirs, output, None, answer).await;
    });
    ours
}

/// Sends `output`, decodes frames, and reacts with `answer`. Ignores what does not
/// decode.
async fn react(mut io: DuplexStream, mut output: BytesMut, table: Option<u32>, answer: Answer) {
    let mut encoder = Encoder::new();
    let mut decoder = Decoder::<List>::new(DecoderLimits::default());
    let mut input = BytesMut::new();
    loop {
        while let Ok(Some(message)) = decoder.decode(&mut input) {
            if let (Message::SettingsAck, Some(size)) = (&message, table) {
                decoder.set_header_table_size(size);
            }
            answer(&message, &mut encoder, &mut output);
        }
        if io.write_all_buf(&mut output).await.is_err()
            || !matches!(io.read_buf(&mut input).await, Ok(1..))
        {
            return;
        }
    }
}

/// A server that names every error PROTOCOL_ERROR.
fn blunt() -> DuplexStream {
    let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
    tokio::spawn(async move {
        let mut encoder = Encoder::new();
        let mut decoder = Decoder::<List>::new(DecoderLimits::default());
        let (mut input, mut output) = (BytesMut::new(), BytesMut::new());
        encoder.settings(&mut output, &[]);
        let mut preface = [0; 24];
        let _ = theirs.read_exact(&mut preface).await;
        loop {
            match decoder.decode(&mut input) {
                Ok(Some(message)) => polite(&message, &mut encoder, &mut output),
                Ok(None) => {
                    if theirs.write_all_buf(&mut output).await.is_err()
                        || !matches!(theirs.read_buf(&mut input).await, Ok(1..))
                    {
                        return;
                    }
                }
                Err(_) => {
                    encoder.go_away(&mut output, 0, ErrorCode::PROTOCOL_ERROR, b"");
                    let _ = theirs.write_all_buf(&mut output).await;
                    return;
                }
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
        let head = HeadersHead::new(*stream_id, false);
        encoder.headers(output, head, |block| {
            block.field(b":status", b"200", Sensitivity::Normal);
        });
        for last in [false, false, false, false, true] {
            encoder.data_head(output, *stream_id, 16_384, last);
            output.extend_from_slice(&[b'x'; 16_384]);
        }
    }
}

/// Leaves a rest of the window unused, and goes on when the window is larger.
fn frugal(message: &Message<List>, encoder: &mut Encoder, output: &mut BytesMut) {
    match message {
        Message::WindowUpdate {
            stream_id: id @ 1..,
            ..
        } => {
            encoder.data_head(output, *id, 16_384, true);
            output.extend_from_slice(&[b'x'; 16_384]);
        }
        Message::Headers { stream_id, .. } => {
            let head = HeadersHead::new(*stream_id, false);
            encoder.headers(output, head, |block| {
                block.field(b":status", b"200", Sensitivity::Normal);
            });
            for _ in 0..3 {
                encoder.data_head(output, *stream_id, 16_384, false);
                output.extend_from_slice(&[b'x'; 16_384]);
            }
        }
        message => polite(message, encoder, output),
    }
}

/// Sends a connection-specific field, which HTTP/2 forbids.
fn old_fashioned(message: &Message<List>, encoder: &mut Encoder, output: &mut BytesMut) {
    polite(message, encoder, output);
    if let Message::Headers { stream_id, .. } = message {
        let head = HeadersHead::new(*stream_id, true);
        encoder.headers(output, head, |block| {
            block.field(b":status", b"200", Sensitivity::Normal);
            block.field(b"connection", b"close", Sensitivity::Normal);
        });
    }
}

/// Answers each request with a status, and no content.
fn status(code: &'static [u8], message: &Message<List>, out: (&mut Encoder, &mut BytesMut)) {
    let (encoder, output) = out;
    polite(message, encoder, output);
    if let Message::Headers { stream_id, .. } = message {
        encoder.headers(output, HeadersHead::new(*stream_id, true), |block| {
            block.field(b":status", code, Sensitivity::Normal);
        });
    }
}

fn serving(message: &Message<List>, encoder: &mut Encoder, output: &mut BytesMut) {
    status(b"200", message, (encoder, output));
}

fn unable(message: &Message<List>, encoder: &mut Encoder, output: &mut BytesMut) {
    status(b"501", message, (encoder, output));
}

/// Resets every request.
fn refusing(message: &Message<List>, encoder: &mut Encoder, output: &mut BytesMut) {
    polite(message, encoder, output);
    if let Message::Headers { stream_id, .. } = message {
        encoder.rst_stream(output, *stream_id, ErrorCode::REFUSED_STREAM);
    }
}

/// Ends the connection gracefully with the hundredth request.
fn tired(message: &Message<List>, encoder: &mut Encoder, output: &mut BytesMut) {
    match message {
        Message::Headers { stream_id, .. } if *stream_id > 199 => {}
        message => serving(message, encoder, output),
    }
    if matches!(message, Message::Headers { stream_id: 199, .. }) {
        encoder.go_away(output, 199, ErrorCode::NO_ERROR, b"");
    }
}

/// Takes WINDOW_UPDATE of a stream for an error, as on streams that were reset
/// (RFC 9113 §5.1, "closed").
fn touchy(message: &Message<List>, encoder: &mut Encoder, output: &mut BytesMut) {
    polite(message, encoder, output);
    if matches!(message, Message::WindowUpdate { stream_id: 1.., .. }) {
        encoder.go_away(output, 1, ErrorCode::STREAM_CLOSED, b"");
    }
}

/// A client that takes GOAWAY for an error.
fn offended(message: &Message<List>, encoder: &mut Encoder, output: &mut BytesMut) {
    polite(message, encoder, output);
    if matches!(message, Message::GoAway { .. }) {
        encoder.go_away(output, 0, ErrorCode::PROTOCOL_ERROR, b"");
    }
}

async fn outcome(id: &str, answer: Answer) -> Outcome {
    let target = Target::new("http", "localhost");
    judge(
        id,
        server(answer),
        &target,
        &conditions(Segmentation::Whole),
    )
    .await
}

/// The outcome when deviations from a SHOULD are only advice.
async fn usual(id: &str, answer: Answer) -> Outcome {
    let target = Target::new("http", "localhost");
    judge(id, server(answer), &target, &Conditions::default()).await
}

async fn judge(id: &str, io: DuplexStream, target: &Target, conditions: &Conditions) -> Outcome {
    let cases = server_cases(target);
    run(named(&cases, id), io, target, conditions).await
}

fn named<'a>(cases: &'a [Case], id: &str) -> &'a Case {
    cases.iter().find(|case| case.id() == id).unwrap()
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

/// A sender need not use up its windows.
#[tokio::test(start_paused = true)]
async fn a_server_that_waits_for_a_larger_window_passes() {
    assert_eq!(outcome("8.3.1/28", frugal).await, Outcome::Passed);
}

/// RFC 9113 §5.4: PROTOCOL_ERROR can always replace a more specific code.
#[tokio::test(start_paused = true)]
async fn a_generic_code_is_right_unless_the_run_is_strict() {
    for id in ["4.2/3", "6.4/2", "7541/6.1/2"] {
        let target = Target::new("http", "localhost");
        let usual = judge(id, blunt(), &target, &Conditions::default()).await;
        assert_eq!(usual, Outcome::Passed, "{id}");
        let strict = judge(id, blunt(), &target, &conditions(Segmentation::Whole)).await;
        let got = complaint(strict);
        assert!(got.contains("PROTOCOL_ERROR"), "{id}: {got}");
    }
}

/// RFC 9113 §8.1.1: a server may answer a malformed request.
#[tokio::test(start_paused = true)]
async fn a_malformed_request_may_be_answered_with_5xx() {
    for id in ["8.2.2/4", "8.5/3"] {
        assert_eq!(usual(id, unable).await, Outcome::Passed, "{id}");
        assert!(!outcome(id, unable).await.is_success(), "{id}");
        assert!(!usual(id, serving).await.is_success(), "{id}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_choice_that_the_text_leaves_is_no_failure() {
    // §10.5.1: the error for a header list above a limit is open.
    assert_eq!(outcome("4.2/8", refusing).await, Outcome::Passed);
    // §5.1: WINDOW_UPDATE on a stream that the client reset may be an error.
    assert_eq!(outcome("5.1/21", touchy).await, Outcome::Passed);
    assert!(!outcome("5.1/22", touchy).await.is_success());
}

/// A server may end a connection after any number of requests (§5.4.1).
#[tokio::test(start_paused = true)]
async fn a_graceful_end_is_no_failure() {
    let mut target = Target::new("http", "localhost");
    target.abilities.max_concurrent_streams = Some(100);
    for (answer, passes) in [(tired as Answer, true), (serving, true), (polite, false)] {
        let outcome = judge("5.1.2/3", server(answer), &target, &Conditions::default()).await;
        assert_eq!(outcome == Outcome::Passed, passes, "{outcome:?}");
    }
}

/// DATA that is too long for its window as well may be an error of either kind.
#[tokio::test(start_paused = true)]
async fn a_frame_above_the_windows_does_not_test_its_size() {
    let mut target = Target::new("http", "localhost");
    target.abilities.max_frame_size = 100_000;
    let settings = [(SettingId::MAX_FRAME_SIZE, 100_000)];
    let io = server_with(&settings, polite);
    let outcome = judge("4.2/2", io, &target, &Conditions::default()).await;
    assert!(matches!(outcome, Outcome::Skipped(_)), "{outcome:?}");
}

/// RFC 9113 §4.3: after a reduction the first block begins with a size update.
#[tokio::test(start_paused = true)]
async fn the_table_of_the_tested_side_is_obeyed() {
    let mut target = Target::new("http", "localhost");
    target.abilities.header_table_size = 0;
    let settings = [(SettingId::HEADER_TABLE_SIZE, 0)];
    for (id, passes) in [
        ("5.1.1/3", true),
        ("6.2/2", true),
        ("6.2/4", true),
        ("7541/6.3/1", true),
        // This table holds no entry.
        ("7541/2.3.2/1", false),
    ] {
        let io = server_with(&settings, serving);
        let outcome = judge(id, io, &target, &Conditions::default()).await;
        match passes {
            true => assert_eq!(outcome, Outcome::Passed, "{id}"),
            false => assert!(matches!(outcome, Outcome::Skipped(_)), "{id}: {outcome:?}"),
        }
    }
}

/// The path must not make room for padding that the case means to be too long.
#[tokio::test(start_paused = true)]
async fn a_long_path_changes_no_case() {
    let mut target = Target::new("http", "localhost");
    target.path = format!("/{}", "x".repeat(400));
    let outcome = judge("6.2/5", blunt(), &target, &Conditions::default()).await;
    assert_eq!(outcome, Outcome::Passed);
}

/// RFC 9113 §7: an unknown error code has no special effect.
#[tokio::test(start_paused = true)]
async fn a_client_that_takes_go_away_for_an_error_fails() {
    let target = Target::new("http", "localhost");
    let cases = client_cases(Version::Http2);
    for (answer, passes) in [(polite as Answer, true), (offended, false)] {
        let case = named(&cases, "6.8/5");
        let outcome = run(case, client(answer), &target, &Conditions::default()).await;
        assert_eq!(outcome == Outcome::Passed, passes, "{outcome:?}");
    }
}
