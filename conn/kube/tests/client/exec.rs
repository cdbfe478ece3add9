//! Commands over every transport.

use lacewing_kube::{
    CommandOutcome, KubeError, RemoteCommandProtocol, StatusError, TerminalSize,
    client::CommandSession,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{server::Server, *};

async fn session(transport: StreamingProtocol, query: &str) -> CommandSession {
    let server = Server::commands();
    soon(request(transport, query).connect(|| server.dial()))
        .await
        .unwrap()
}

/// The outcome, and all of stdout and stderr.
async fn output(session: &mut CommandSession) -> (CommandOutcome, Vec<u8>, Vec<u8>) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let (stdout, stderr) = (session.stdout.take(), session.stderr.take());
    let reading = async {
        if let Some(mut stdout) = stdout {
            stdout.read_to_end(&mut out).await.unwrap();
        }
    };
    let errors = async {
        if let Some(mut stderr) = stderr {
            stderr.read_to_end(&mut err).await.unwrap();
        }
    };
    let ((), (), outcome) = soon(async { tokio::join!(reading, errors, session.outcome()) }).await;
    (outcome.unwrap(), out, err)
}

#[tokio::test(start_paused = true)]
async fn outputs_are_apart_and_the_exit_code_arrives() {
    for transport in TRANSPORTS {
        let before = tasks();
        for code in [0, 1, 7, 127, 137, 255] {
            let query = format!("command=exit:{code}&stdout=true&stderr=true");
            let mut session = session(transport, &query).await;
            let expected = match transport {
                StreamingProtocol::Spdy | StreamingProtocol::Http2 => RemoteCommandProtocol::V4,
                _ => RemoteCommandProtocol::V5,
            };
            assert_eq!(session.protocol(), expected);
            assert!(session.stdin.is_none() && session.resize.is_none());
            let (outcome, out, err) = output(&mut session).await;
            assert_eq!(
                outcome,
                CommandOutcome::from_exit_code(code),
                "{transport:?}"
            );
            assert_eq!((out, err), (b"to stdout".to_vec(), b"to stderr".to_vec()));
            // A second call knows it, too.
            assert_eq!(
                session.outcome().await.unwrap().exit_code(),
                Some(code as u8)
            );
        }
        tasks_end(before).await;
    }
}

/// Bytes that the caller owns, to stdin and from stdout, in pieces of any size.
#[tokio::test(start_paused = true)]
async fn owned_bytes_are_whole() {
    for transport in TRANSPORTS {
        let mut session = session(transport, "command=send&stdin=true&stdout=true").await;
        let mut stdin = session.stdin.take().unwrap();
        let mut stdout = session.stdout.take().unwrap();
        let data: Vec<u8> = (0..3_000_000_u32).map(|at| (at * 7 % 251) as u8).collect();
        let sending = async {
            let mut rest = bytes::Bytes::from(data.clone());
            for len in [1, 9_000, 300_000, 0].into_iter().cycle() {
                stdin
                    .send(rest.split_to(len.min(rest.len())))
                    .await
                    .unwrap();
                if rest.is_empty() {
                    break;
                }
            }
            stdin.shutdown().await.unwrap();
            let late = stdin.send(bytes::Bytes::from_static(b"late")).await;
            assert!(late.is_err(), "{transport:?}");
        };
        let mut back = Vec::new();
        let ((), read, outcome) =
            soon(async { tokio::join!(sending, stdout.read_to_end(&mut back), session.outcome()) })
                .await;
        read.unwrap();
        assert_eq!(outcome.unwrap(), CommandOutcome::Success, "{transport:?}");
        assert!(back == data, "{transport:?}: {} bytes", back.len());
    }
}

/// Raw streams over HTTP/2 on the wire: the name of the upgrade, the only stream protocol, and the
/// connection preface of RFC 9113 §3.4 as the first bytes behind the 101 response.
#[tokio::test(start_paused = true)]
async fn http2_has_its_own_name_and_preface() {
    let (here, mut there) = tokio::io::duplex(64 << 10);
    let ask = request(StreamingProtocol::Http2, "command=cat&stdin=true");
    let asking = tokio::spawn(async move { ask.connect_on(here).await });
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(soon(there.read_u8()).await.unwrap());
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    for line in [
        "post /exec?command=cat&stdin=true http/1.1\r\n",
        "\r\nupgrade: lacewing-h2\r\n",
        "\r\nx-stream-protocol-version: v4.channel.k8s.io\r\n",
    ] {
        assert!(head.contains(line), "{head}");
    }
    assert_eq!(head.matches("x-stream-protocol-version").count(), 1);
    let switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
                     Upgrade: lacewing-h2\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n";
    there.write_all(switching.as_bytes()).await.unwrap();
    let mut preface = [0; 24];
    soon(there.read_exact(&mut preface)).await.unwrap();
    assert_eq!(&preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    drop(there);
    assert!(soon(asking).await.unwrap().is_err());
}

/// Every combination of streams starts, and has these streams.
#[tokio::test(start_paused = true)]
async fn sessions_have_the_streams_of_their_query() {
    for transport in TRANSPORTS {
        for query in [
            "stdin=true",
            "stdout=true",
            "stderr=true",
            "stdin=true&stdout=true&tty=true",
        ] {
            let mut session = session(transport, &format!("command=exit:3&{query}")).await;
            assert_eq!(session.stdin.is_some(), query.contains("stdin"), "{query}");
            assert_eq!(
                session.stdout.is_some(),
                query.contains("stdout"),
                "{query}"
            );
            assert_eq!(
                session.stderr.is_some(),
                query.contains("stderr"),
                "{query}"
            );
            assert_eq!(session.resize.is_some(), query.contains("tty"), "{query}");
            assert_eq!(output(&mut session).await.0, CommandOutcome::Exited(3));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_command_that_fails_has_its_text() {
    for transport in TRANSPORTS {
        let mut session = session(transport, "command=nonsense&stdout=true").await;
        let text = "no command \"nonsense\"".to_owned();
        assert_eq!(output(&mut session).await.0, CommandOutcome::Failed(text));
    }
}

/// Megabytes pass through `cat`: `LACEWING_MEGABYTES`, or few.
#[tokio::test]
async fn stdin_comes_back_through_cat() {
    let megabytes = std::env::var("LACEWING_MEGABYTES").ok();
    let megabytes: usize = megabytes.map_or(6, |text| text.parse().unwrap());
    for transport in TRANSPORTS {
        let mut session = session(transport, "command=cat&stdin=true&stdout=true").await;
        let (mut stdin, mut stdout) = (
            session.stdin.take().unwrap(),
            session.stdout.take().unwrap(),
        );
        let piece = |number: usize| vec![(number * 31 % 251) as u8; 50_000];
        let pieces = megabytes * 20;
        let sending = async {
            for number in 0..pieces {
                stdin.write_all(&piece(number)).await.unwrap();
            }
            stdin.shutdown().await.unwrap();
        };
        let receiving = async {
            let mut received = vec![0; 50_000];
            for number in 0..pieces {
                stdout.read_exact(&mut received).await.unwrap();
                assert!(received == piece(number), "piece {number}");
            }
            assert_eq!(stdout.read(&mut received).await.unwrap(), 0);
        };
        let ((), (), outcome) =
            soon(async { tokio::join!(sending, receiving, session.outcome()) }).await;
        assert_eq!(outcome.unwrap(), CommandOutcome::Success);
    }
}

#[tokio::test(start_paused = true)]
async fn output_continues_after_the_end_of_stdin() {
    for transport in TRANSPORTS {
        let mut session = session(transport, "command=count&stdin=true&stdout=true").await;
        let mut stdin = session.stdin.take().unwrap();
        stdin.write_all(&[7; 12_345]).await.unwrap();
        soon(stdin.shutdown()).await.unwrap();
        drop(stdin);
        let (outcome, out, _) = output(&mut session).await;
        assert_eq!(
            (outcome, out.as_slice()),
            (CommandOutcome::Success, &b"12345"[..])
        );
    }
}

/// The exit of the command ends the session although stdin is open.
#[tokio::test(start_paused = true)]
async fn an_open_stdin_does_not_hold_the_outcome() {
    for transport in TRANSPORTS {
        let before = tasks();
        let mut session = session(transport, "command=exit:4&stdin=true&stdout=true").await;
        let mut stdin = session.stdin.take().unwrap();
        assert_eq!(output(&mut session).await.0, CommandOutcome::Exited(4));
        drop(session);
        tasks_end(before).await;
        assert!(soon(stdin.write_all(&vec![0; 1 << 20])).await.is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn sizes_arrive_in_order() {
    for transport in TRANSPORTS {
        let query = "command=sizes:3&stdin=true&stdout=true&tty=true";
        let mut session = session(transport, query).await;
        let mut resize = session.resize.take().unwrap();
        let mut stdout = session.stdout.take().unwrap();
        for (width, height) in [(80, 24), (65_535, 1), (100, 30)] {
            soon(resize.send(TerminalSize { width, height }))
                .await
                .unwrap();
            let text = format!("{width}x{height} ");
            let mut seen = vec![0; text.len()];
            soon(stdout.read_exact(&mut seen)).await.unwrap();
            assert_eq!(seen, text.into_bytes(), "{transport:?}");
        }
        soon(session.stdin.as_mut().unwrap().shutdown())
            .await
            .unwrap();
        assert_eq!(
            soon(session.outcome()).await.unwrap(),
            CommandOutcome::Success
        );
    }
}

/// A dropped session ends the command and every task, also while output has no reader.
#[tokio::test(start_paused = true)]
async fn a_dropped_session_leaves_nothing() {
    for transport in TRANSPORTS {
        for command in ["sleep", "yes", "cat"] {
            let before = tasks();
            let query = format!("command={command}&stdin=true&stdout=true");
            let mut session = session(transport, &query).await;
            let (mut stdout, stdin) = (session.stdout.take().unwrap(), session.stdin.take());
            let over = session.cancellation();
            tokio::time::sleep(Duration::from_secs(20)).await;
            assert!(!over.is_cancelled(), "{transport:?} {command}");
            drop(session);
            // The handles that are left fail within two seconds.
            let ended = timeout(Duration::from_secs(2), over.cancelled());
            ended.await.expect("the connection is open");
            let read = soon(stdout.read_to_end(&mut Vec::new())).await;
            assert!(read.is_err(), "{transport:?} {command}: {read:?}");
            drop(stdin);
            tasks_end(before).await;
        }
    }
}

/// Output that was not read yet outlives the session once the outcome is known.
#[tokio::test(start_paused = true)]
async fn a_slow_reader_has_all_output_after_the_outcome() {
    for transport in TRANSPORTS {
        let before = tasks();
        let mut session = session(transport, "command=cat&stdin=true&stdout=true").await;
        let mut stdin = session.stdin.take().unwrap();
        let mut stdout = session.stdout.take().unwrap();
        stdin.write_all(&[9; 50_000]).await.unwrap();
        soon(stdin.shutdown()).await.unwrap();
        assert_eq!(
            soon(session.outcome()).await.unwrap(),
            CommandOutcome::Success
        );
        drop(session);
        tokio::time::sleep(Duration::from_secs(500)).await;
        let mut out = Vec::new();
        soon(stdout.read_to_end(&mut out)).await.unwrap();
        assert!(out == [9; 50_000], "{transport:?}");
        drop((stdin, stdout));
        tasks_end(before).await;
    }
}

/// The server's bytes end after each number of them: a success is never invented, and all
/// output precedes it.
#[tokio::test(start_paused = true)]
async fn a_cut_at_every_byte_is_never_a_success() {
    use StreamingProtocol::{Http2, Spdy, WebSocket};
    for transport in [Spdy, Http2, WebSocket] {
        let before = tasks();
        let ask = request(transport, "command=exit:0&stdout=true&stderr=true");
        let whole = Server::commands();
        let mut session = ask.connect(|| whole.dial()).await.unwrap();
        output(&mut session).await;
        drop(session);
        tasks_end(before).await;
        let total = whole.sent.load(std::sync::atomic::Ordering::Relaxed);
        let (mut connected, mut complete) = (0, 0);
        for budget in 0..=total {
            let server = Server::commands().with_budget(budget);
            let Ok(mut session) = soon(ask.connect(|| server.dial())).await else {
                assert_eq!(
                    connected, 0,
                    "{transport:?}: fails after {budget} bytes again"
                );
                continue;
            };
            connected += 1;
            let mut out = Vec::new();
            let mut stdout = session.stdout.take().unwrap();
            // The end may be lost.
            let read = soon(stdout.read_to_end(&mut out)).await;
            match soon(session.outcome()).await {
                Ok(outcome) => {
                    complete += 1;
                    assert_eq!(
                        outcome,
                        CommandOutcome::Success,
                        "{budget} of {total} bytes"
                    );
                    assert_eq!(out, b"to stdout", "{budget} of {total} bytes");
                }
                Err(error) => {
                    assert_eq!(complete, 0, "{budget} of {total} bytes: {error}");
                    let is_named = matches!(
                        error,
                        KubeError::Io(_)
                            | KubeError::Status(StatusError::Missing | StatusError::Malformed(_))
                    );
                    assert!(is_named, "{budget} of {total} bytes: {error:?}");
                    // The end of the output is lost as well.
                    assert!(read.is_err(), "{budget} of {total} bytes");
                }
            }
        }
        assert!(
            connected > complete && complete > 0,
            "{connected} {complete}"
        );
        tasks_end(before).await;
    }
}
