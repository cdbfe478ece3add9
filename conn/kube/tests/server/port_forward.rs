//! Port-forward: pairs of streams, failures, and both ends of each connection.

use lacewing_kube::server::{ForwardIo, ForwardOffer, PortForwardSession};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::*;

async fn session_of(offer: &ForwardOffer) -> (PortForwardSession, Peer<DuplexStream>) {
    let (here, there) = tokio::io::duplex(64 << 10);
    let (response, pending) = offer
        .accept(&mut spdy_request(&["portforward.k8s.io"]))
        .unwrap();
    assert_eq!(
        response.headers()["x-stream-protocol-version"],
        "portforward.k8s.io"
    );
    let session = pending.serve_on(there, Bytes::new()).await;
    (session, Peer::new(here, Version::Spdy31))
}

async fn session() -> (PortForwardSession, Peer<DuplexStream>) {
    session_of(&ForwardOffer::new()).await
}

async fn open(client: &mut Peer<DuplexStream>, id: u32, kind: &str, port: &str, request: &str) {
    let mut fields = vec![("streamtype", kind), ("port", port)];
    if !request.is_empty() {
        fields.push(("requestid", request));
    }
    client.open(id, &fields).await;
    assert!(soon(client.expect_reply(id)).await.is_empty());
}

/// A pair as kubectl opens it.
async fn pair(client: &mut Peer<DuplexStream>, id: u32, request: &str) {
    open(client, id, "error", "80", request).await;
    client.data(id, b"", true).await;
    open(client, id + 2, "data", "80", request).await;
}

async fn connected(session: &mut PortForwardSession) -> ForwardIo {
    soon(session.accept()).await.unwrap().into_io()
}

#[tokio::test(start_paused = true)]
async fn streams_pair_in_any_order() {
    let (mut session, mut client) = session().await;
    let mut ios = Vec::new();
    // Interleaved: the first streams of all, then the second ones, in the reverse order.
    for number in 0..40_u32 {
        let kind = if number % 2 == 0 { "error" } else { "data" };
        open(
            &mut client,
            number * 4 + 1,
            kind,
            "8080",
            &number.to_string(),
        )
        .await;
    }
    for number in (0..40_u32).rev() {
        let kind = if number % 2 == 0 { "data" } else { "error" };
        let id = 1_000 + (40 - number) * 2 + 1;
        open(&mut client, id, kind, "8080", &number.to_string()).await;
        let forward = soon(session.accept()).await.unwrap();
        assert_eq!(forward.port(), 8080);
        let (data, error) = match number % 2 {
            0 => (id, number * 4 + 1),
            _ => (number * 4 + 1, id),
        };
        client.data(error, b"", true).await;
        ios.push((data, forward.into_io()));
    }
    for (data, mut io) in ios {
        client.data(data, &data.to_be_bytes(), true).await;
        assert_eq!(soon(io.read_u32()).await.unwrap(), data);
        soon(io.write_all(b"answer")).await.unwrap();
        soon(io.shutdown()).await.unwrap();
        assert_eq!(soon(client.expect_data(data)).await, b"answer");
        drop(io);
        // The end of the error stream, without a text.
        match soon(client.next()).await.unwrap() {
            Message::Data { payload, fin, .. } => assert!(fin && payload.is_empty()),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn old_clients_have_no_request_id() {
    let (mut session, mut client) = session().await;
    for id in [1, 5, 9] {
        pair(&mut client, id, "").await;
        let mut io = connected(&mut session).await;
        client.data(id + 2, b"x", false).await;
        assert_eq!(soon(io.read_u8()).await.unwrap(), b'x');
        drop(io);
        while !matches!(
            soon(client.next()).await,
            Some(Message::Data { fin: true, .. })
        ) {}
    }
}

#[tokio::test(start_paused = true)]
async fn wrong_streams_are_reset_without_an_answer() {
    let (mut session, mut client) = session().await;
    let wrong: [&[(&str, &str)]; 6] = [
        &[],
        &[("streamtype", "error")],
        &[("streamtype", "stdin"), ("port", "80")],
        &[("streamtype", "data"), ("port", "0")],
        &[("streamtype", "data"), ("port", "65536")],
        &[("streamtype", "data"), ("port", "x")],
    ];
    for (place, fields) in wrong.iter().enumerate() {
        let id = place as u32 * 2 + 1;
        client.open(id, fields).await;
        match soon(client.next()).await {
            Some(Message::RstStream(reset)) => assert_eq!(reset.stream_id, id),
            other => panic!("{other:?}"),
        }
    }
    // The session goes on.
    pair(&mut client, 21, "0").await;
    connected(&mut session).await;
}

#[tokio::test(start_paused = true)]
async fn half_pairs_time_out() {
    let (mut session, mut client) = session().await;
    open(&mut client, 1, "error", "80", "7").await;
    open(&mut client, 3, "data", "80", "8").await;
    // The same stream again does not replace the first.
    open(&mut client, 5, "error", "80", "7").await;
    let text = soon(client.expect_data(5)).await;
    assert_eq!(
        String::from_utf8_lossy(&text),
        "a second error stream of request 7"
    );
    let start = tokio::time::Instant::now();
    let (mut text, mut reset) = (Vec::<u8>::new(), 0);
    while reset == 0 || text.is_empty() {
        match soon(client.next()).await.unwrap() {
            Message::Data {
                stream_id: 1,
                payload,
                ..
            } => text.extend(&payload),
            Message::RstStream(frame) if frame.stream_id == 3 => reset += 1,
            // The stream that was one too many.
            Message::RstStream(frame) => assert_ne!(frame.stream_id, 1),
            other => panic!("{other:?}"),
        }
    }
    assert!(start.elapsed() >= Duration::from_secs(29));
    assert_eq!(
        String::from_utf8_lossy(&text),
        "timed out: request 7 has no data stream"
    );
    // The ids are free again.
    pair_behind_resets(&mut client, 11, "7").await;
    connected(&mut session).await;
}

#[tokio::test(start_paused = true)]
async fn forwards_are_bounded() {
    let offer = ForwardOffer::new().with(|offer| {
        offer.limits.max_forwards = 2;
        offer.limits.max_pending_forwards = 3;
    });
    let (mut session, mut client) = session_of(&offer).await;
    pair(&mut client, 1, "1").await;
    pair(&mut client, 5, "2").await;
    pair(&mut client, 9, "3").await;
    let mut refused: Vec<u8> = Vec::new();
    let mut reset = false;
    while !reset || refused.is_empty() {
        match soon(client.next()).await.unwrap() {
            Message::Data {
                stream_id: 9,
                payload,
                ..
            } => refused.extend(&payload),
            Message::RstStream(frame) => reset |= frame.stream_id == 11,
            other => panic!("{other:?}"),
        }
    }
    let text = String::from_utf8_lossy(&refused);
    assert!(
        text.contains("too many forwarded connections are open"),
        "{text}"
    );
    let first = connected(&mut session).await;
    let _second = connected(&mut session).await;
    drop(first);
    tokio::time::sleep(Duration::from_secs(1)).await;
    // One that ends makes room. Replies of the new one follow the end of the old one.
    client
        .open(
            13,
            &[("streamtype", "error"), ("port", "80"), ("requestid", "4")],
        )
        .await;
    client
        .open(
            15,
            &[("streamtype", "data"), ("port", "80"), ("requestid", "4")],
        )
        .await;
    let _third = connected(&mut session).await;
    // Halves have a bound of their own.
    for id in [21, 23, 25, 27] {
        let request = id.to_string();
        client
            .open(
                id,
                &[
                    ("streamtype", "data"),
                    ("port", "80"),
                    ("requestid", &request),
                ],
            )
            .await;
    }
    loop {
        if let Message::RstStream(frame) = soon(client.next()).await.unwrap() {
            if frame.stream_id > 13 {
                assert_eq!(frame.stream_id, 27);
                break;
            }
        }
    }
}

/// A port that refuses: the text, then the ends. Other forwards go on.
#[tokio::test(start_paused = true)]
async fn a_failure_is_reported_and_a_later_break_is_not() {
    let (mut session, mut client) = session().await;
    pair(&mut client, 1, "0").await;
    let forward = soon(session.accept()).await.unwrap();
    let failing = tokio::spawn(async move { forward.fail("connection refused").await });
    assert_eq!(soon(client.expect_data(1)).await, b"connection refused");
    assert_eq!(soon(client.expect_data(3)).await, b"");
    soon(failing).await.unwrap();

    pair_behind_resets(&mut client, 5, "1").await;
    let mut io = connected(&mut session).await;
    soon(io.write_all(b"a part")).await.unwrap();
    soon(io.flush()).await.unwrap();
    drop(io);
    let (mut part, mut reset, mut ended) = (Vec::<u8>::new(), false, false);
    while !reset || !ended {
        match soon(client.next()).await.unwrap() {
            Message::Data {
                stream_id: 7,
                payload,
                fin,
                ..
            } => {
                assert!(!fin, "a break looks like the end");
                part.extend(&payload);
            }
            Message::Data {
                stream_id: 5,
                payload,
                fin,
                ..
            } => {
                assert!(payload.is_empty(), "kubectl would end every forward");
                ended |= fin;
            }
            Message::RstStream(frame) => reset |= frame.stream_id == 7,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(part, b"a part");
    pair(&mut client, 9, "2").await;
    connected(&mut session).await;
}

/// As [`pair`], while resets of earlier streams may arrive.
async fn pair_behind_resets(client: &mut Peer<DuplexStream>, id: u32, request: &str) {
    for (id, kind) in [(id, "error"), (id + 2, "data")] {
        client
            .open(
                id,
                &[("streamtype", kind), ("port", "80"), ("requestid", request)],
            )
            .await;
    }
    client.data(id, b"", true).await;
    let mut replies = 0;
    while replies < 2 {
        match soon(client.next()).await.unwrap() {
            Message::SynReply { .. } => replies += 1,
            Message::RstStream(frame) => assert!(frame.stream_id < id),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_direction_ends_by_itself() {
    let (mut session, mut client) = session().await;
    pair(&mut client, 1, "0").await;
    let mut io = connected(&mut session).await;
    client.data(3, b"request", true).await;
    let mut request = Vec::new();
    soon(io.read_to_end(&mut request)).await.unwrap();
    assert_eq!(request, b"request");
    soon(io.write_all(b"answer")).await.unwrap();
    soon(io.shutdown()).await.unwrap();
    assert_eq!(soon(client.expect_data(3)).await, b"answer");

    pair(&mut client, 5, "1").await;
    let mut io = connected(&mut session).await;
    soon(io.shutdown()).await.unwrap();
    assert_eq!(soon(client.expect_data(7)).await, b"");
    client.data(7, b"still sent", true).await;
    let mut rest = Vec::new();
    soon(io.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(rest, b"still sent");
}

/// A forward of one byte to the pod, from the first stream to the end of both.
async fn serve_one_byte(
    session: &mut PortForwardSession,
    client: &mut Peer<DuplexStream>,
    id: u32,
) {
    pair(client, id, &id.to_string()).await;
    let mut io = connected(session).await;
    client.data(id + 2, b"x", true).await;
    assert_eq!(soon(io.read_u8()).await.unwrap(), b'x');
    soon(io.shutdown()).await.unwrap();
    assert_eq!(soon(client.expect_data(id + 2)).await, b"");
    drop(io);
    assert_eq!(soon(client.expect_data(id)).await, b"");
}

/// One forward that is not read, and others that end meanwhile.
#[tokio::test(start_paused = true)]
async fn an_unread_forward_does_not_stop_the_others() {
    let (mut session, mut client) = session().await;
    pair(&mut client, 1, "unread").await;
    let unread = connected(&mut session).await;
    for _ in 0..20 {
        client.data(3, &[0; 32 << 10], false).await;
    }
    for id in (5..200).step_by(4) {
        serve_one_byte(&mut session, &mut client, id).await;
    }
    drop(unread);
}

#[tokio::test(start_paused = true)]
async fn thousands_of_forwards_leave_nothing() {
    let before = tasks();
    let (mut session, mut client) = session().await;
    let mut flat = 0;
    for number in 0..3_000_u32 {
        let id = number * 4 + 1;
        serve_one_byte(&mut session, &mut client, id).await;
        if number == 10 {
            flat = tasks();
        }
    }
    assert_eq!(tasks(), flat);
    drop(client);
    assert!(soon(session.accept()).await.is_none());
    soon(session.cancellation().cancelled()).await;
    drop(session);
    tasks_end(before).await;
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_says_go_away() {
    let before = tasks();
    let (session, mut client) = session().await;
    let ending = tokio::spawn(session.shutdown());
    assert_eq!(to_the_end(&mut client).await, [Seen::GoAway]);
    soon(ending).await.unwrap();
    tasks_end(before).await;
}
