//! Lacewing's server and client on SPDY/2, SPDY/3 and SPDY/3.1.

use std::{
    collections::{BTreeMap, HashSet},
    convert::Infallible,
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use lacewing_client::{ConnectionConfig, Version};
use lacewing_conform::{Outcome, Report, Segmentation, Target, client_cases, run, server_cases};
use lacewing_frames::spdy::{self, SynStreamHead};
use lacewing_server::{Limits, RequestBody, ServerOptions, Side, serve_connection, service_fn};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use crate::{conditions, filter, requests};

const VERSIONS: [Version; 3] = [Version::Spdy2, Version::Spdy3, Version::Spdy31];

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
    let content = match (request.method(), request.uri().path()) {
        (&Method::GET, "/large") => Bytes::from(vec![b'x'; 300 * 1024]),
        _ => Bytes::from_static(b"hello, world"),
    };
    let mut response = Response::new(Full::new(content));
    if matches!(answers, Answers::Late) || request.method() == Method::POST {
        // The peer of a broken request sees no response.
        if request.into_body().collect().await.is_err() {
            *response.status_mut() = StatusCode::BAD_REQUEST;
        }
    }
    if matches!(answers, Answers::Late) {
        tokio::time::sleep(Duration::from_millis(70)).await;
    }
    Ok(response)
}

fn serve(version: Version, answers: Answers) -> DuplexStream {
    serve_with(version, answers, ServerOptions::default())
}

fn serve_with(version: Version, answers: Answers, options: ServerOptions) -> DuplexStream {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let service = service_fn(move |request| answer(request, answers));
    tokio::spawn(async move {
        // The cases judge the end of the connection.
        let _ = serve_connection(theirs, version, options, service).await;
    });
    ours
}

async fn check_server(version: Version, answers: Answers, segmentation: Segmentation) -> Report {
    let target = Target::new("http", "localhost").version(version);
    check_target(target, answers, segmentation).await
}

async fn check_target(mut target: Target, answers: Answers, segmentation: Segmentation) -> Report {
    let conditions = conditions(segmentation);
    let version = target.version;
    target.large_path = "/large".into();
    target.post_path = "/post".into();
    let seen = target.probe(serve(version, answers), &conditions).await;
    assert!(target.abilities.upload, "{seen:#?}");
    let subject = format!("our server, {version}, answers {answers:?}, {segmentation:?}");
    let mut report = Report::new(subject);
    for case in server_cases(&target) {
        if filter().admits(&case) {
            let outcome = run(&case, serve(version, answers), &target, &conditions).await;
            report.add(&case, outcome);
        }
    }
    report
}

/// Nothing fails, and nothing is skipped.
fn assert_passed(report: &Report) {
    assert_eq!(report.failures().count(), 0, "{report}");
    assert_eq!(report.skipped(), 0, "{report}");
}

async fn check_client(version: Version, segmentation: Segmentation) -> Report {
    let conditions = conditions(segmentation);
    let target = Target::new("http", "localhost");
    let mut report = Report::new(format!("our client, {version}, {segmentation:?}"));
    for case in client_cases(version) {
        if filter().admits(&case) {
            let (ours, theirs) = tokio::io::duplex(64 * 1024);
            requests::make(&case, theirs);
            let outcome = run(&case, ours, &target, &conditions).await;
            report.add(&case, outcome);
        }
    }
    report
}

#[tokio::test(start_paused = true)]
async fn a_page_larger_than_the_windows_passes() {
    for version in VERSIONS {
        let mut target = Target::new("http", "localhost").version(version);
        target.path = "/large".into();
        assert_passed(&check_target(target, Answers::AtOnce, Segmentation::Whole).await);
    }
}

#[tokio::test(start_paused = true)]
async fn server_answers_at_once() {
    for version in VERSIONS {
        let report = check_server(version, Answers::AtOnce, Segmentation::Whole).await;
        assert_passed(&report);
    }
}

#[tokio::test(start_paused = true)]
async fn server_answers_late() {
    for version in VERSIONS {
        let report = check_server(version, Answers::Late, Segmentation::Whole).await;
        assert_passed(&report);
    }
}

#[tokio::test(start_paused = true)]
async fn server_answers_at_once_to_single_bytes() {
    for version in VERSIONS {
        let report = check_server(version, Answers::AtOnce, Segmentation::Bytes).await;
        assert_passed(&report);
    }
}

#[tokio::test(start_paused = true)]
async fn server_answers_late_to_single_bytes() {
    for version in VERSIONS {
        let report = check_server(version, Answers::Late, Segmentation::Bytes).await;
        assert_passed(&report);
    }
}

#[tokio::test(start_paused = true)]
async fn client_and_whole_frames() {
    for version in VERSIONS {
        let report = check_client(version, Segmentation::Whole).await;
        assert_passed(&report);
    }
}

#[tokio::test(start_paused = true)]
async fn client_and_single_bytes() {
    for version in VERSIONS {
        let report = check_client(version, Segmentation::Bytes).await;
        assert_passed(&report);
    }
}

#[test]
fn a_rule_has_one_id_in_all_versions_and_no_number_is_missing() {
    let server = |version| server_cases(&Target::new("http", "localhost").version(version));
    let mut sides: [BTreeMap<String, HashSet<String>>; 2] = Default::default();
    for version in VERSIONS {
        for (titles, cases) in sides
            .iter_mut()
            .zip([server(version), client_cases(version)])
        {
            let ids: HashSet<&str> = cases.iter().map(|case| case.id()).collect();
            assert_eq!(ids.len(), cases.len(), "an id stands twice");
            for case in &cases {
                assert_eq!(case.specification(), version.to_string().to_uppercase());
                titles
                    .entry(case.id().into())
                    .or_default()
                    .insert(case.title().into());
            }
        }
    }
    for titles in &sides {
        for id in titles.keys() {
            let (section, number) = id.rsplit_once('/').unwrap();
            let number: usize = number.parse().unwrap();
            let before = format!("{section}/{}", number - 1);
            assert!(number == 1 || titles.contains_key(&before), "no {before}");
        }
    }
    let [server, client] = sides.map(|titles| titles.len());
    assert!(server >= 120 && client >= 50, "{server} and {client} rules");
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_passes_no_case() {
    let conditions = conditions(Segmentation::Whole);
    for version in VERSIONS {
        let target = Target::new("http", "localhost").version(version);
        for case in server_cases(&target).iter().chain(&client_cases(version)) {
            let (io, _silent) = tokio::io::duplex(64 * 1024);
            let outcome = run(case, io, &target, &conditions).await;
            assert_ne!(outcome, Outcome::Passed, "{}: {}", case.id(), case.title());
        }
    }
}

/// An echo server must fail every case; only its PING is right.
const NOT_BY_ECHO: [&str; 7] = [
    "2.2.1/1", "2.2.2/1", "2.3.2/1", "2.4.1/1", "2.6.4/2", "2.6.10/1", "3.2.1/1",
];

#[tokio::test(start_paused = true)]
async fn an_echo_answers_ping_and_is_no_server() {
    let conditions = conditions(Segmentation::Whole);
    for version in VERSIONS {
        let target = Target::new("http", "localhost").version(version);
        for case in server_cases(&target) {
            let wrong = NOT_BY_ECHO.contains(&case.id());
            if !wrong && case.id() != "2.6.5/1" {
                continue;
            }
            let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
            tokio::spawn(async move {
                let mut piece = vec![0; 64 * 1024];
                while let Ok(read @ 1..) = theirs.read(&mut piece).await {
                    if theirs.write_all(&piece[..read]).await.is_err() {
                        break;
                    }
                }
            });
            let outcome = run(&case, ours, &target, &conditions).await;
            assert_eq!(!outcome.is_success(), wrong, "{}: {outcome:?}", case.id());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_without_a_limit_for_inflation_fails() {
    let conditions = conditions(Segmentation::Whole);
    for version in VERSIONS {
        let target = Target::new("http", "localhost").version(version);
        let mut bombs = 0;
        for case in server_cases(&target) {
            if case.needs().is_empty() && case.title().contains("inflates to") {
                bombs += 1;
                let limits =
                    Limits::new(Side::Server).with(|limits| limits.max_header_list_size = 1 << 24);
                let options = ServerOptions::default().connection(
                    ConnectionConfig::new(Side::Server)
                        .with(|config| config.limits = limits.into()),
                );
                let server = serve_with(version, Answers::AtOnce, options);
                let outcome = run(&case, server, &target, &conditions).await;
                assert!(!outcome.is_success(), "{}: {outcome:?}", case.id());
            }
        }
        assert_eq!(bombs, 1);
    }
}

/// A client that answers PING, and opens a stream with every reply, whatever was sent before.
fn deaf_client(version: Version) -> DuplexStream {
    let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
    let (layout, names) = match version {
        Version::Spdy2 => (
            spdy::WireVersion::V2,
            ["method", "url", "version", "host", "scheme"],
        ),
        _ => (
            spdy::WireVersion::V3,
            [":method", ":path", ":version", ":host", ":scheme"],
        ),
    };
    tokio::spawn(async move {
        let mut encoder = spdy::Encoder::new(layout, spdy::Compression::default());
        let (mut input, mut output) = (BytesMut::new(), BytesMut::new());
        let mut next = 1;
        let mut ask = |output: &mut BytesMut| {
            let mut head = SynStreamHead::new(next);
            head.fin = true;
            next += 2;
            let values = ["GET", "/", "HTTP/1.1", "localhost", "http"];
            let request = encoder.syn_stream(output, head, |block| {
                for (name, value) in names.into_iter().zip(values) {
                    block.field(name.as_bytes(), [value.as_bytes()]);
                }
            });
            request.unwrap();
        };
        ask(&mut output);
        loop {
            while let Some(frame) = frame(&mut input) {
                // The type of a control frame is in its third and fourth byte.
                match frame[..4] {
                    [0x80, _, 0, 2] => ask(&mut output),
                    [0x80, _, 0, 6] => output.extend_from_slice(&frame),
                    _ => {}
                }
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

/// Takes the next frame from the input.
pub(crate) fn frame(input: &mut BytesMut) -> Option<BytesMut> {
    let [_, _, _, _, _, high, middle, low] = *input.first_chunk::<8>()?;
    let length = 8 + u32::from_be_bytes([0, high, middle, low]) as usize;
    (input.len() >= length).then(|| input.split_to(length))
}

/// Section 2.6.6: after GOAWAY no stream is opened.
#[tokio::test(start_paused = true)]
async fn a_client_that_ignores_go_away_fails() {
    let conditions = conditions(Segmentation::Whole);
    let target = Target::new("http", "localhost");
    for version in VERSIONS {
        let cases = client_cases(version);
        let titled = |title: &str| cases.iter().find(|case| case.title() == title).unwrap();
        let case = titled("after GOAWAY no stream is opened");
        let outcome = run(case, deaf_client(version), &target, &conditions).await;
        assert!(!outcome.is_success(), "{version}: {outcome:?}");
        // It is a client that other cases accept.
        let case = titled("requests after an answer have higher odd ids");
        let outcome = run(case, deaf_client(version), &target, &conditions).await;
        assert_eq!(outcome, Outcome::Passed, "{version}");
    }
}
