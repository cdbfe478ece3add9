//! The waits of HTTP/1.1 connections, in paused time, each with honest traffic of the same kind.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use lacewing_server::{
    ConnectionConfig, Limits, MemoryBudget, RequestBody, ServerOptions, Side, service_fn,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep, timeout},
};

use crate::http1::Http1;

const HOUR: Duration = Duration::from_secs(3600);

fn connect(change: impl FnOnce(&mut Limits)) -> Http1 {
    connect_within(MemoryBudget::global(), change)
}

fn connect_within(budget: MemoryBudget, change: impl FnOnce(&mut Limits)) -> Http1 {
    let limits = Limits::new(Side::Server).with(change);
    let options =
        ServerOptions::default().connection(ConnectionConfig::new(Side::Server).with(|config| {
            config.limits = limits.into();
            config.memory_budget = budget;
        }));
    let service = service_fn(|request: Request<RequestBody>| async move {
        let body: BoxBody<Bytes, Infallible> = match request.uri().path() {
            "/large" => Full::new(Bytes::from(vec![b'x'; 4 << 20])).boxed(),
            "/poll" => {
                sleep(HOUR).await;
                Full::from("late").boxed()
            }
            "/events" => BodyExt::boxed(StreamBody::new(futures_util::stream::unfold(
                0,
                |number| async move {
                    sleep(Duration::from_secs(300)).await;
                    let event = Bytes::from(format!("data: {number}\n\n"));
                    (number < 5).then(|| (Ok(Frame::data(event)), number + 1))
                },
            ))),
            "/known" => {
                let body = BodyExt::boxed(StreamBody::new(futures_util::stream::unfold(
                    0,
                    |number| async move {
                        sleep(HOUR * number).await;
                        let half = Ok(Frame::data(Bytes::from("12345")));
                        (number < 2).then_some((half, number + 1))
                    },
                )));
                let response = Response::builder().header("content-length", 10);
                return Ok::<_, Infallible>(response.body(body).unwrap());
            }
            _ => {
                let all = request.into_body().collect().await;
                Full::new(all.map(|all| all.to_bytes()).unwrap_or_default()).boxed()
            }
        };
        Ok(Response::new(body))
    });
    Http1::connect(options, service)
}

/// The error with which the server closed the connection, and the time.
async fn end(connection: Http1, within: Duration) -> String {
    let Http1 { io, serving, .. } = connection;
    let result = timeout(within, serving).await.expect("still open").unwrap();
    drop(io);
    result
        .err()
        .map_or(String::new(), |error| error.to_string())
}

async fn post(connection: &mut Http1, framing: &str) {
    let head = format!("POST / HTTP/1.1\r\nhost: localhost\r\n{framing}\r\n\r\n");
    connection.io.write_all(head.as_bytes()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_lives_as_long_as_the_limit_says() {
    let mut connection = connect(|limits| limits.idle_timeout = Some(Duration::from_secs(60)));
    for _ in 0..3 {
        assert_eq!(connection.get("/").await.status(), 200);
        sleep(Duration::from_secs(55)).await;
    }
    assert_eq!(end(connection, Duration::from_secs(10)).await, "");
}

#[tokio::test(start_paused = true)]
async fn a_head_that_drips_after_a_request_ends_the_connection() {
    let mut connection = connect(|limits| limits.idle_timeout = Some(HOUR));
    assert_eq!(connection.get("/").await.status(), 200);
    sleep(Duration::from_secs(100)).await;
    connection.io.write_all(b"GET / HT").await.unwrap();
    let error = end(connection, Duration::from_secs(12)).await;
    assert!(error.contains("preface_timeout"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_old_connection_ends_once_its_request_is_answered() {
    let mut connection = connect(|limits| {
        limits.max_connection_age = Some(Duration::from_secs(100));
        limits.idle_timeout = Some(HOUR);
        limits.drain_timeout = HOUR * 2;
    });
    assert_eq!(connection.get("/").await.status(), 200);
    assert_eq!(connection.get("/poll").await.body, "late");
    assert_eq!(end(connection, Duration::from_secs(1)).await, "");
}

#[tokio::test(start_paused = true)]
async fn an_old_idle_connection_ends() {
    let mut connection = connect(|limits| {
        limits.max_connection_age = Some(Duration::from_secs(100));
        limits.idle_timeout = Some(HOUR);
    });
    assert_eq!(connection.get("/").await.status(), 200);
    sleep(Duration::from_secs(85)).await;
    assert_eq!(connection.get("/").await.status(), 200);
    assert_eq!(end(connection, Duration::from_secs(16)).await, "");
}

#[tokio::test(start_paused = true)]
async fn an_unread_response_ends_the_connection() {
    let mut connection = connect(|_| {});
    connection.send("GET", "/large").await;
    let error = end(connection, Duration::from_secs(31)).await;
    assert!(error.contains("write_stall_timeout"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_response_that_is_read_byte_by_byte_ends_the_connection() {
    let mut connection = connect(|_| {});
    connection.send("GET", "/large").await;
    let start = Instant::now();
    while !connection.serving.is_finished() {
        sleep(Duration::from_secs(10)).await;
        let mut kibibyte = [0; 1024];
        connection.io.read_exact(&mut kibibyte).await.unwrap();
        assert!(start.elapsed() < Duration::from_secs(61), "still open");
    }
    let error = end(connection, Duration::ZERO).await;
    assert!(error.contains("write_stall_timeout"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_slow_phone_has_all_of_its_response() {
    let mut connection = connect(|_| {});
    connection.send("GET", "/large").await;
    let mut left = 4 << 20;
    while left > 0 {
        sleep(Duration::from_secs(5)).await;
        let read = connection.io.read(&mut [0; 15_000]).await.unwrap();
        assert!(read > 0, "closed with {left} B left");
        left -= read.min(left);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stops_ends_the_connection() {
    for (framing, begin) in [
        ("content-length: 100", "part"),
        ("transfer-encoding: chunked", "4\r\npart\r\n"),
        ("transfer-encoding: chunked", "4\r\npa"),
    ] {
        let mut connection = connect(|_| {});
        post(&mut connection, framing).await;
        connection.io.write_all(begin.as_bytes()).await.unwrap();
        let error = end(connection, Duration::from_secs(61)).await;
        assert!(error.contains("body"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_drips_ends_the_connection() {
    let mut connection = connect(|_| {});
    post(&mut connection, "content-length: 1000").await;
    for _ in 0..6 {
        connection.io.write_all(b"x").await.unwrap();
        sleep(Duration::from_secs(10)).await;
    }
    let error = end(connection, Duration::from_secs(5)).await;
    assert!(error.contains("body"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_slow_upload_is_taken() {
    let mut connection = connect(|_| {});
    post(&mut connection, "content-length: 1280").await;
    for _ in 0..20 {
        connection.io.write_all(&[b'x'; 64]).await.unwrap();
        sleep(Duration::from_secs(30)).await;
    }
    assert_eq!(connection.reply("POST").await.body.len(), 1280);
}

/// Sends pieces of an upload, one in 30 s, until the server closes, or stops after `most`. Returns
/// the time so far and the error.
async fn drip(mut connection: Http1, framing: &str, piece: &[u8], most: u32) -> (Duration, String) {
    let start = Instant::now();
    post(&mut connection, framing).await;
    for _ in 0..most {
        if connection.serving.is_finished() {
            break;
        }
        let _ = connection.io.write_all(piece).await;
        sleep(Duration::from_secs(30)).await;
    }
    let time = start.elapsed();
    (time, end(connection, Duration::from_secs(61)).await)
}

/// An upload that is too slow for `min_rate` ends as over HTTP/2: under pressure soon, whatever its
/// framing, and else only if its length is declared.
#[tokio::test(start_paused = true)]
async fn a_slow_upload_ends_by_pressure() {
    let framings = [
        ("content-length: 100000", [b'x'; 64].to_vec()),
        (
            "transfer-encoding: chunked",
            [b"40\r\n", &[b'x'; 64][..], b"\r\n"].concat(),
        ),
    ];
    for (framing, piece) in &framings {
        let budget = MemoryBudget::new(64 << 20);
        let alarm = budget.alarm();
        let connection = connect_within(budget, |_| {});
        // Pressure begins later than the first minute.
        let pressed = tokio::spawn(async move {
            sleep(Duration::from_secs(100)).await;
            alarm.set(true);
            sleep(HOUR).await;
        });
        let (time, error) = drip(connection, framing, piece, 10).await;
        pressed.abort();
        assert!(
            error.contains("pressed_stall_timeout"),
            "{framing}: {error}"
        );
        assert!(time <= Duration::from_secs(120), "{framing}: {time:?}");
    }
    let (framing, piece) = &framings[0];
    let (time, error) = drip(connect(|_| {}), framing, piece, 40).await;
    assert!(error.contains("(limit stall_timeout)"), "{error}");
    assert!((600..=630).contains(&time.as_secs()), "{time:?}");
    let (framing, piece) = &framings[1];
    let (time, error) = drip(connect(|_| {}), framing, piece, 200).await;
    assert_eq!(time, Duration::from_secs(6000));
    assert!(error.contains("body_timeout"), "{error}");
}

/// Fast enough under pressure, in pieces and with pauses of less than a minute.
#[tokio::test(start_paused = true)]
async fn an_upload_that_brings_min_rate_lives_under_pressure() {
    let budget = MemoryBudget::new(64 << 20);
    let alarm = budget.alarm();
    alarm.set(true);
    let mut connection = connect_within(budget, |_| {});
    post(&mut connection, "content-length: 160000").await;
    for _ in 0..20 {
        connection.io.write_all(&[b'x'; 8000]).await.unwrap();
        sleep(Duration::from_secs(29)).await;
    }
    assert_eq!(connection.reply("POST").await.body.len(), 160_000);
}

#[tokio::test(start_paused = true)]
async fn long_polls_and_server_sent_events_live() {
    let mut connection = connect(|limits| limits.idle_timeout = Some(Duration::from_secs(60)));
    assert_eq!(connection.get("/poll").await.body, "late");
    let events = connection.get("/events").await;
    assert!(
        events.whole && events.body.contains("data: 4"),
        "{events:?}"
    );
}

/// A client that closed its side and waits receives an informational response.
#[tokio::test(start_paused = true)]
async fn a_half_closed_client_has_a_late_answer() {
    let mut connection = connect(|limits| limits.drain_timeout = HOUR * 2);
    connection.send("GET", "/poll").await;
    connection.io.shutdown().await.unwrap();
    let mut answer = String::new();
    connection.io.read_to_string(&mut answer).await.unwrap();
    let interim = "HTTP/1.1 100 Continue\r\n\r\n";
    let answer = answer.strip_prefix(interim).unwrap();
    let answer = answer.strip_prefix(interim).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("late"),
        "{answer}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_gone_is_noticed_before_the_drain_timeout() {
    let mut connection = connect(|limits| limits.drain_timeout = HOUR);
    connection.send("GET", "/poll").await;
    sleep(Duration::from_millis(1)).await;
    let Http1 { io, serving, .. } = connection;
    drop(io);
    let result = timeout(Duration::from_secs(3), serving)
        .await
        .expect("still open");
    assert!(result.unwrap().unwrap_err().is_disconnect());
}

/// Sends a request, and nothing after it.
async fn half_closed(path: &str, limits: impl FnOnce(&mut Limits)) -> Http1 {
    let mut connection = connect(limits);
    connection.send("GET", path).await;
    connection.io.shutdown().await.unwrap();
    connection
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_gone_between_two_chunks_is_noticed() {
    let mut connection = half_closed("/events", |_| {}).await;
    let mut head = [0; 12];
    connection.io.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");
    sleep(Duration::from_millis(10)).await;
    let Http1 { io, serving, .. } = connection;
    drop(io);
    let ended = timeout(Duration::from_secs(5), serving).await;
    assert!(ended.expect("still open").unwrap().is_err());
}

/// The bytes that test the client are part of the next chunk's size.
#[tokio::test(start_paused = true)]
async fn a_client_that_only_closed_its_side_has_every_chunk() {
    let mut connection = half_closed("/events", |limits| limits.drain_timeout = HOUR).await;
    let reply = connection.reply("GET").await;
    assert!(reply.whole, "{reply:?}");
    let (mut rest, mut events) = (&reply.body[..], String::new());
    let mut probes = 0;
    while let Some((size, after)) = rest.split_once("\r\n") {
        probes += usize::from(size.starts_with('0') && size.len() > 1);
        let size = usize::from_str_radix(size, 16).unwrap();
        events.push_str(&after[..size]);
        rest = &after[size + 2..];
    }
    let expected: String = (0..5).map(|number| format!("data: {number}\n\n")).collect();
    assert_eq!(events, expected);
    assert_eq!(probes, 1, "{}", reply.body);
    assert!(connection.serving.await.unwrap().is_ok());
}

/// The server can send no extra byte there: each byte counts against the content-length.
#[tokio::test(start_paused = true)]
async fn a_client_that_is_gone_within_a_known_length_is_noticed() {
    let mut connection = half_closed("/known", |limits| limits.drain_timeout = HOUR).await;
    let mut head = [0; 12];
    connection.io.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");
    sleep(Duration::from_secs(600)).await;
    let Http1 { io, serving, .. } = connection;
    drop(io);
    let ended = timeout(Duration::from_secs(3), serving).await;
    let error = ended.expect("still open").unwrap().unwrap_err();
    assert!(error.is_disconnect(), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_only_closed_its_side_has_all_of_a_known_length() {
    let mut connection = half_closed("/known", |limits| limits.drain_timeout = HOUR * 2).await;
    let reply = connection.reply("GET").await;
    assert!(reply.whole && reply.body == "1234512345", "{reply:?}");
    assert!(connection.serving.await.unwrap().is_ok());
}

/// Bytes that were read ahead hide neither the end of the transport nor the next request.
#[tokio::test(start_paused = true)]
async fn a_client_that_is_gone_behind_a_second_request_is_noticed() {
    for requests in [1, 2, 3] {
        let mut connection = connect(|limits| limits.drain_timeout = HOUR * 24);
        for _ in 0..requests {
            connection.send("GET", "/poll").await;
            // hyper takes the first request alone; the others wait behind it.
            sleep(Duration::from_secs(1)).await;
        }
        sleep(Duration::from_secs(600)).await;
        let Http1 { io, serving, .. } = connection;
        drop(io);
        let ended = timeout(Duration::from_secs(5), serving).await;
        let error = ended.expect("still open").unwrap().unwrap_err();
        assert!(error.is_disconnect(), "{requests}: {error}");
    }
    let mut connection = connect(|_| {});
    for number in 0..3 {
        connection.send("GET", &format!("/{number}")).await;
    }
    for _ in 0..3 {
        assert_eq!(connection.reply("GET").await.status(), 200);
    }
}

const UPGRADE: &str = "connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\n\
                       http2-settings: AAMAAABk\r\ncontent-length: 500";

fn accepts_h2c() -> Http1 {
    let options = ServerOptions::default()
        .h2c_upgrade(lacewing_server::H2cUpgrade::Accept { max_body: 1000 });
    let service = service_fn(|request: Request<RequestBody>| async move {
        let _ = request.into_body().collect().await;
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("done")))
    });
    Http1::connect(options, service)
}

/// The content of a request for h2c has the limit of content, and not that of a head.
#[tokio::test(start_paused = true)]
async fn the_content_of_a_request_for_h2c_has_the_time_of_content() {
    let mut connection = accepts_h2c();
    post(&mut connection, UPGRADE).await;
    for _ in 0..5 {
        sleep(Duration::from_secs(8)).await;
        connection.io.write_all(&[b'x'; 100]).await.unwrap();
    }
    let mut head = [0; 12];
    connection.io.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 101");

    let mut connection = accepts_h2c();
    post(&mut connection, UPGRADE).await;
    connection.io.write_all(b"12345").await.unwrap();
    let error = end(connection, Duration::from_secs(120)).await;
    assert!(error.contains("body_timeout"), "{error}");
}

/// The client holds back its content for 100 (Continue), and the response that refuses it echoes
/// it: neither may wait for the other for ever.
#[tokio::test(start_paused = true)]
async fn an_echo_of_content_that_is_held_back_ends_the_connection() {
    for framing in ["content-length: 10", "transfer-encoding: chunked"] {
        let service = service_fn(|request: Request<RequestBody>| async move {
            let mut refusal = Response::new(request.into_body());
            *refusal.status_mut() = http::StatusCode::BAD_REQUEST;
            Ok::<_, Infallible>(refusal)
        });
        let mut connection = Http1::connect(ServerOptions::default(), service);
        post(
            &mut connection,
            &format!("expect: 100-continue\r\n{framing}"),
        )
        .await;
        let mut head = [0; 12];
        connection.io.read_exact(&mut head).await.unwrap();
        assert_eq!(&head, b"HTTP/1.1 400", "{framing}");
        let error = end(connection, Duration::from_secs(62)).await;
        assert!(error.contains("body_timeout"), "{framing}: {error}");
    }
}
