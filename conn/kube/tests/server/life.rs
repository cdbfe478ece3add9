//! Time and loss: streams that never open, clients that are gone, idle sessions; and that
//! nothing is left.

use lacewing_kube::{Activity, CommandOutcome};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::*;

#[tokio::test(start_paused = true)]
async fn streams_that_never_open_end_the_session() {
    for kinds in [
        &[][..],
        &["error"],
        &["error", "stdout"],
        &["stdout", "stdin"],
    ] {
        let before = tasks();
        let query = "stdin=true&stdout=true&stderr=true";
        let offer = CommandOffer::new(CommandStreams::from_query(query));
        let (starting, mut client) = start(&offer, "v4.channel.k8s.io");
        open(&mut client, kinds).await;
        let error = soon(starting).await.unwrap().unwrap_err();
        assert!(matches!(error, KubeError::TimedOut { .. }), "{error}");
        let seen = to_the_end(&mut client).await;
        // A client that listens learns of the reason.
        let reported = seen
            .iter()
            .any(|seen| matches!(seen, Seen::Data(1, text) if text.starts_with(br#"{"metadata""#)));
        assert_eq!(reported, kinds.contains(&"error"), "{seen:?}");
        assert_eq!(seen.last(), Some(&Seen::GoAway));
        tasks_end(before).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_gone_ends_stdin_with_an_error() {
    let before = tasks();
    let kinds = ["error", "stdin", "stdout"];
    let (mut session, mut client) = session("stdin=true&stdout=true", &kinds).await;
    let cancellation = session.cancellation();
    client.data(3, b"a part", false).await;
    let mut stdin = session.stdin.take().unwrap();
    let mut input = [0; 6];
    soon(stdin.read_exact(&mut input)).await.unwrap();
    assert!(!cancellation.is_cancelled());
    drop(client);
    timeout(Duration::from_secs(1), cancellation.cancelled())
        .await
        .unwrap();
    // A part of the input must not look like the whole.
    assert!(soon(stdin.read(&mut input)).await.is_err());
    assert!(
        soon(session.stdout.as_mut().unwrap().write_all(&[0; 100_000]))
            .await
            .is_err()
    );
    let finished = soon(session.finish(CommandOutcome::Success)).await;
    assert!(matches!(finished, Err(KubeError::Closed)), "{finished:?}");
    tasks_end(before).await;
}

/// PING frames are activity, or are not, as the limits say.
#[tokio::test(start_paused = true)]
async fn idle_sessions_end() {
    for (activity, survives) in [(Activity::AnyFrame, true), (Activity::DataOnly, false)] {
        let before = tasks();
        let offer = CommandOffer::new(CommandStreams::from_query("stdout=true"));
        let offer = offer.with(|offer| {
            offer.limits.idle_timeout = Some(Duration::from_secs(60));
            offer.limits.activity = activity;
        });
        let (mut session, mut client) =
            session_of(&offer, "v4.channel.k8s.io", &["error", "stdout"]).await;
        let cancellation = session.cancellation();
        for beat in 0..30 {
            tokio::time::sleep(Duration::from_secs(5)).await;
            client
                .send(|encoder, bytes| encoder.ping(bytes, beat * 2 + 1))
                .await;
            // Data of the server is activity for both.
            if beat < 8 {
                soon(session.stdout.as_mut().unwrap().write_all(b"x"))
                    .await
                    .unwrap();
            }
            if beat == 16 {
                assert!(!cancellation.is_cancelled(), "{activity:?}");
            }
            if cancellation.is_cancelled() {
                break;
            }
        }
        assert_eq!(!cancellation.is_cancelled(), survives, "{activity:?}");
        drop(client);
        drop(session);
        tasks_end(before).await;
    }
    let (session, client) = session("stdout=true", &["error", "stdout"]).await;
    tokio::time::sleep(Duration::from_secs(4 * 3600 - 5)).await;
    assert!(!session.cancellation().is_cancelled());
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(session.cancellation().is_cancelled());
    drop((session, client));
}

/// A client that takes nothing delays the end only so long.
#[tokio::test(start_paused = true)]
async fn a_client_that_stops_reading_does_not_hold_the_end() {
    let before = tasks();
    let (mut session, client) = session("stdout=true", &["error", "stdout"]).await;
    let mut stdout = session.stdout.take().unwrap();
    let filled = timeout(Duration::from_secs(1), stdout.write_all(&[0; 10_000_000])).await;
    assert!(filled.is_err());
    let finished = soon(session.finish(CommandOutcome::Success)).await;
    assert!(
        matches!(finished, Err(KubeError::TimedOut { .. })),
        "{finished:?}"
    );
    drop(client);
    tasks_end(before).await;
}

#[tokio::test(start_paused = true)]
async fn a_thousand_short_sessions_leave_nothing() {
    let before = tasks();
    for run in 0..1_000 {
        let (mut session, mut client) = session("stdout=true", &["error", "stdout"]).await;
        if run % 2 == 0 {
            soon(session.stdout.as_mut().unwrap().write_all(b"x"))
                .await
                .unwrap();
        }
        let finished = tokio::spawn(session.finish(CommandOutcome::Exited(7)));
        let (output, outcome) = output_and_outcome(&mut client, 3).await;
        assert_eq!(output.len(), usize::from(run % 2 == 0));
        assert_eq!(outcome, CommandOutcome::Exited(7));
        drop(client);
        soon(finished).await.unwrap().unwrap();
    }
    tasks_end(before).await;
}

#[tokio::test(start_paused = true)]
async fn a_background_process_does_not_hold_the_session() {
    let (mut session, mut client) = session("stdout=true", &["error", "stdout"]).await;
    let mut stdout = session.stdout.take().unwrap();
    let (mut pipe, mut process) = tokio::io::duplex(64);
    process.write_all(b"before the exit").await.unwrap();
    let exited = tokio_util::sync::CancellationToken::new();
    exited.cancel();
    let copied = soon(stdout.copy_from(&mut pipe, &exited, Duration::from_secs(2))).await;
    assert_eq!(copied.unwrap(), 15);
    let finished = tokio::spawn(session.finish(CommandOutcome::Success));
    let seen = to_the_end(&mut client).await;
    assert_eq!(seen[0], Seen::Data(3, b"before the exit".to_vec()));
    soon(finished).await.unwrap().unwrap();
    drop(process);
}

/// Container runtimes with one thread run their servers in a `LocalSet`, and need futures
/// that are `Send` besides.
#[tokio::test(start_paused = true)]
async fn sessions_work_in_a_local_set() {
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    let local = tokio::task::LocalSet::new();
    let running = local.run_until(async {
        let task = tokio::task::spawn_local(async {
            let (session, mut client) = session("stdout=true", &["error", "stdout"]).await;
            let finished = tokio::spawn(is_send(session.finish(CommandOutcome::Success)));
            assert_eq!(to_the_end(&mut client).await.last(), Some(&Seen::GoAway));
            soon(finished).await.unwrap().unwrap();
        });
        soon(task).await.unwrap();
    });
    running.await;
}

/// A refused request and an accepted one whose transport never arrives cost nothing.
#[tokio::test(start_paused = true)]
async fn failed_handshakes_leave_nothing() {
    let before = tasks();
    let offer = CommandOffer::new(CommandStreams::from_query("stdout=true"));
    for _ in 0..10_000 {
        assert!(
            offer
                .accept(&mut spdy_request(&["v9.channel.k8s.io"]))
                .is_err()
        );
        let (_, pending) = offer
            .accept(&mut spdy_request(&["v4.channel.k8s.io"]))
            .unwrap();
        assert!(pending.session().await.is_err());
    }
    assert_eq!(tasks(), before);
}

/// The client's user learns which program is missing.
#[tokio::test]
async fn a_command_that_cannot_start_is_named() {
    let (mut session, _client) = session("stdout=true", &["error", "stdout"]).await;
    let missing = tokio::process::Command::new("/no/such/program");
    let error = session.run(missing, Duration::ZERO).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    let text = error.to_string();
    assert!(
        text.starts_with("cannot start /no/such/program: "),
        "{text}"
    );
}
