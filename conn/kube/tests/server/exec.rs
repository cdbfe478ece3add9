//! Commands over SPDY/3.1: the streams, and the end in its order.

use lacewing_kube::{CommandOutcome, RemoteCommandProtocol};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::*;

const ALL: &str = "stdin=true&stdout=true&stderr=true";
const EXIT_7: &str = r#"{"metadata":{},"status":"Failure","message":"command terminated with non-zero exit code: 7","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"7"}]}}"#;

#[tokio::test(start_paused = true)]
async fn the_end_has_the_order_that_every_client_survives() {
    let before = tasks();
    let (mut session, mut client) = session(ALL, &["error", "stdin", "stdout", "stderr"]).await;
    assert_eq!(session.protocol(), RemoteCommandProtocol::V4);
    assert!(session.sizes.is_none());
    client.data(3, b"in", true).await;
    let mut input = Vec::new();
    let mut stdin = session.stdin.take().unwrap();
    soon(stdin.read_to_end(&mut input)).await.unwrap();
    assert_eq!(input, b"in");
    let mut stdout = session.stdout.take().unwrap();
    soon(stdout.send(Bytes::from_static(b"out"))).await.unwrap();
    soon(session.stderr.as_mut().unwrap().write_all(b"err"))
        .await
        .unwrap();
    let finished = tokio::spawn(session.finish(CommandOutcome::Exited(7)));
    let seen = to_the_end(&mut client).await;
    let place = |wanted: &Seen| seen.iter().position(|seen| seen == wanted).expect("sent");
    let out = place(&Seen::Data(5, b"out".to_vec()));
    let err = place(&Seen::Data(7, b"err".to_vec()));
    let status = place(&Seen::Data(1, EXIT_7.into()));
    assert!(out < status && err < status, "{seen:?}");
    for stream in [1, 5, 7] {
        let fin = place(&Seen::Fin(stream));
        assert!(status < fin && fin < place(&Seen::GoAway), "{seen:?}");
    }
    assert_eq!(seen.last(), Some(&Seen::GoAway));
    assert!(seen.contains(&Seen::Fin(3)), "{seen:?}");
    soon(finished).await.unwrap().unwrap();
    // A handle that is left fails.
    assert!(soon(stdout.write_all(b"late")).await.is_err());
    tasks_end(before).await;
}

#[tokio::test(start_paused = true)]
async fn every_version_has_its_form_of_the_outcome() {
    let offer = CommandOffer::new(CommandStreams::from_query("stdout=true"));
    let text = "command terminated with non-zero exit code: 7";
    for (protocol, success, failure) in [
        ("channel.k8s.io", "", text),
        ("v2.channel.k8s.io", "", text),
        ("v3.channel.k8s.io", "", text),
        (
            "v4.channel.k8s.io",
            r#"{"metadata":{},"status":"Success"}"#,
            EXIT_7,
        ),
    ] {
        for (outcome, expected) in [
            (CommandOutcome::Success, success),
            (CommandOutcome::Exited(7), failure),
        ] {
            let (session, mut client) = session_of(&offer, protocol, &["stdout", "error"]).await;
            let finished = tokio::spawn(session.finish(outcome));
            let mut seen = to_the_end(&mut client).await;
            seen.retain(|seen| matches!(seen, Seen::Data(..)));
            let expected = match expected {
                "" => vec![],
                text => vec![Seen::Data(3, text.into())],
            };
            assert_eq!(seen, expected, "{protocol}");
            soon(finished).await.unwrap().unwrap();
        }
    }
}

/// Output of any length precedes the status, also of a handle that another task has, and
/// although the client is slow.
#[tokio::test(start_paused = true)]
async fn no_output_is_lost_before_the_status() {
    for size in [0, 1, 70_000, 3_000_000] {
        let (mut session, mut client) = session("stdout=true", &["error", "stdout"]).await;
        let (mut stdout, expected) = (session.stdout.take().unwrap(), vec![7; size]);
        let writing = tokio::spawn({
            let expected = expected.clone();
            async move {
                stdout.write_all(&expected).await.unwrap();
                session.finish(CommandOutcome::Success).await.unwrap();
            }
        });
        tokio::time::sleep(Duration::from_secs(20)).await;
        let mut seen = to_the_end(&mut client).await;
        seen.retain(|seen| matches!(seen, Seen::Data(..)));
        let status = Seen::Data(1, br#"{"metadata":{},"status":"Success"}"#.to_vec());
        let output = Some(Seen::Data(3, expected)).filter(|_| size > 0);
        assert!(
            seen == output.into_iter().chain([status]).collect::<Vec<_>>(),
            "{size} bytes"
        );
        soon(writing).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_session_is_an_internal_error() {
    let before = tasks();
    let (session, mut client) = session("stdout=true", &["error", "stdout"]).await;
    drop(session);
    let seen = to_the_end(&mut client).await;
    let Some(Seen::Data(1, status)) = seen.first() else {
        panic!("{seen:?}");
    };
    let outcome = CommandOutcome::decode(RemoteCommandProtocol::V4, status).unwrap();
    assert!(matches!(outcome, CommandOutcome::Failed(_)), "{outcome:?}");
    assert_eq!(seen.last(), Some(&Seen::GoAway));
    tasks_end(before).await;
}

/// A handle that waits for the client when the session finishes is woken, and fails.
#[tokio::test(start_paused = true)]
async fn a_writer_that_waits_is_released_at_the_end() {
    let (mut session, mut client) = session("stdout=true", &["error", "stdout"]).await;
    let mut stdout = session.stdout.take().unwrap();
    let writing = tokio::spawn(async move { stdout.write_all(&vec![0; 10_000_000]).await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let finished = tokio::spawn(session.finish(CommandOutcome::Success));
    assert!(soon(writing).await.unwrap().is_err());
    let seen = to_the_end(&mut client).await;
    assert!(
        matches!(&seen[0], Seen::Data(3, data) if data.len() > 10_000),
        "{}",
        seen.len()
    );
    soon(finished).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn streams_may_open_in_any_order_and_strange_ones_are_answered() {
    let offer = CommandOffer::new(CommandStreams::from_query("stdin=true&stdout=true"));
    let (starting, mut client) = start(&offer, "v4.channel.k8s.io");
    // Unknown, not wanted, repeated, without a type.
    for (id, fields) in [
        (1, &[("streamtype", "stdout")][..]),
        (3, &[("streamtype", "audio")]),
        (5, &[("streamtype", "stderr")]),
        (7, &[("streamtype", "stdout")]),
        (9, &[]),
        (11, &[("streamtype", "stdin")]),
        (13, &[("streamtype", "resize")]),
        (15, &[("streamtype", "error")]),
    ] {
        client.open(id, fields).await;
        let answered = timeout(Duration::from_secs(1), async {
            loop {
                match client.next().await.unwrap() {
                    Message::SynReply { stream_id, .. } if stream_id == id => break,
                    // The end of the strange one before.
                    Message::RstStream(reset) => assert!(reset.stream_id < id),
                    Message::Data { stream_id, fin, .. } => assert!(fin && stream_id < id),
                    other => panic!("{other:?}"),
                }
            }
        });
        answered.await.expect("an answer within a second");
    }
    let mut session = soon(starting).await.unwrap().unwrap();
    let mut stdout = session.stdout.take().unwrap();
    soon(stdout.write_all(b"first")).await.unwrap();
    // After the start, too.
    for id in [17, 19] {
        client.open(id, &[("streamtype", "resize")]).await;
        let mut answered = false;
        while !answered {
            let frame = timeout(Duration::from_secs(1), client.next())
                .await
                .unwrap()
                .unwrap();
            answered = matches!(frame, Message::SynReply { stream_id, .. } if stream_id == id);
        }
    }
    let finished = tokio::spawn(session.finish(CommandOutcome::Success));
    to_the_end(&mut client).await;
    soon(finished).await.unwrap().unwrap();
}

/// After the outcome, the client has time to close; a stream that it opens meanwhile is
/// answered, or the client would hang.
#[tokio::test(start_paused = true)]
async fn go_away_waits_for_the_client() {
    let (session, mut client) = session("stdout=true", &["error", "stdout"]).await;
    let finished = tokio::spawn(session.finish(CommandOutcome::Success));
    let mut fins = 0;
    while fins < 2 {
        if let Message::Data { fin, .. } = soon(client.next()).await.unwrap() {
            fins += usize::from(fin);
        }
    }
    tokio::time::sleep(Duration::from_secs(20)).await;
    client.open(5, &[("streamtype", "resize")]).await;
    let answered = async {
        // Resets precede it: the client's halves of the streams are not needed.
        while !matches!(
            client.next().await,
            Some(Message::SynReply { stream_id: 5, .. })
        ) {}
    };
    timeout(Duration::from_secs(1), answered).await.unwrap();
    // Go's clients end with resets of finished streams.
    for id in [1, 3] {
        let cancel = lacewing_frames::spdy::ErrorCode::CANCEL;
        client
            .send(|encoder, bytes| encoder.rst_stream(bytes, id, cancel))
            .await;
    }
    drop(client);
    timeout(Duration::from_secs(5), finished)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}
