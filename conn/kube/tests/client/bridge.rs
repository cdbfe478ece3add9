//! A proxy that has a client's session on one side, and one of another transport on the
//! other.

use std::sync::{Arc, atomic::Ordering};

use http::Uri;
use lacewing_conn::{Side, driver::MuxConfig};
use lacewing_kube::{
    CommandOutcome, CommandStreams, TerminalSize, bridge,
    client::ForwardRequest,
    server::{CommandOffer, ForwardOffer},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{server::Server, *};

/// The client's transport, and that of the server: every pair.
const CROSSINGS: [(StreamingProtocol, StreamingProtocol); 9] = {
    use StreamingProtocol::{Http2, Spdy, WebSocket};
    [
        (Spdy, Spdy),
        (Spdy, WebSocket),
        (Spdy, Http2),
        (WebSocket, Spdy),
        (WebSocket, WebSocket),
        (WebSocket, Http2),
        (Http2, Spdy),
        (Http2, WebSocket),
        (Http2, Http2),
    ]
};

/// A proxy before `server`.
fn proxy(server: Server, upstream: StreamingProtocol) -> Server {
    Server::new(move |mut request| {
        let server = server.clone();
        let uri: Uri = format!("http://pod{}", request.uri()).parse().unwrap();
        if uri.path() == "/portforward" {
            let (response, pending) = ForwardOffer::new().accept(&mut request).unwrap();
            tokio::spawn(async move {
                let downstream = pending.session().await.unwrap();
                let ask = ForwardRequest::new(uri).with(|ask| ask.transport = upstream);
                let upstream = ask.connect(|| server.dial()).await.unwrap();
                bridge::join_forward(downstream, upstream).await;
            });
            return response.map(|()| String::new());
        }
        let streams = CommandStreams::from_query(uri.query().unwrap_or_default());
        let (response, pending) = CommandOffer::new(streams).accept(&mut request).unwrap();
        tokio::spawn(async move {
            let downstream = pending.session().await.unwrap();
            let ask = request_to(uri, upstream);
            match ask.connect(|| server.dial()).await {
                // The client may be gone, or the server lost.
                Ok(upstream) => drop(bridge::join_command(downstream, upstream).await),
                Err(error) => {
                    let failed = CommandOutcome::Failed(error.to_string());
                    downstream.finish(failed).await.unwrap();
                }
            }
        });
        response.map(|()| String::new())
    })
}

fn request_to(uri: Uri, transport: StreamingProtocol) -> CommandRequest {
    CommandRequest::new(uri).with(|ask| ask.transport = transport)
}

#[tokio::test(start_paused = true)]
async fn commands_cross_transports() {
    for (down, up) in CROSSINGS {
        let before = tasks();
        let proxy = proxy(Server::commands(), up);
        for code in [0, 7, 255] {
            let query = format!("command=exit:{code}&stdin=true&stdout=true&stderr=true");
            let mut session = soon(request(down, &query).connect(|| proxy.dial()))
                .await
                .unwrap();
            let (mut out, mut err) = (String::new(), String::new());
            let (mut stdout, mut stderr) = (
                session.stdout.take().unwrap(),
                session.stderr.take().unwrap(),
            );
            let (out_read, err_read, outcome) = soon(async {
                tokio::join!(
                    stdout.read_to_string(&mut out),
                    stderr.read_to_string(&mut err),
                    session.outcome()
                )
            })
            .await;
            out_read.unwrap();
            err_read.unwrap();
            assert_eq!(
                outcome.unwrap(),
                CommandOutcome::from_exit_code(code),
                "{down:?} {up:?}"
            );
            assert_eq!((out.as_str(), err.as_str()), ("to stdout", "to stderr"));
        }
        tasks_end(before).await;
    }
}

#[tokio::test(start_paused = true)]
async fn input_and_its_end_cross_transports() {
    for (down, up) in CROSSINGS {
        let proxy = proxy(Server::commands(), up);
        let ask = request(down, "command=cat&stdin=true&stdout=true");
        let mut session = soon(ask.connect(|| proxy.dial())).await.unwrap();
        let (mut stdin, mut stdout) = (
            session.stdin.take().unwrap(),
            session.stdout.take().unwrap(),
        );
        let data: Vec<u8> = (0..1_000_000_u32)
            .map(|number| (number % 251) as u8)
            .collect();
        let mut back = Vec::new();
        let (sent, read, outcome) = soon(async {
            let sending = async {
                stdin.write_all(&data).await?;
                stdin.shutdown().await
            };
            tokio::join!(sending, stdout.read_to_end(&mut back), session.outcome())
        })
        .await;
        sent.unwrap();
        read.unwrap();
        assert!(back == data, "{down:?} {up:?}: {} bytes", back.len());
        assert_eq!(outcome.unwrap(), CommandOutcome::Success);
        let ask = request(down, "command=sizes:1&stdin=true&stdout=true&tty=true");
        let mut session = soon(ask.connect(|| proxy.dial())).await.unwrap();
        let size = TerminalSize {
            width: 100,
            height: 30,
        };
        soon(session.resize.as_mut().unwrap().send(size))
            .await
            .unwrap();
        soon(session.stdin.as_mut().unwrap().shutdown())
            .await
            .unwrap();
        let mut text = String::new();
        soon(session.stdout.as_mut().unwrap().read_to_string(&mut text))
            .await
            .unwrap();
        assert_eq!(text, "100x30 ", "{down:?} {up:?}");
    }
}

/// A client that is gone ends the command on the other side, also while output waits.
#[tokio::test(start_paused = true)]
async fn a_dropped_client_ends_both_sessions() {
    for (down, up) in CROSSINGS {
        for command in ["sleep", "yes", "cat"] {
            let before = tasks();
            let proxy = proxy(Server::commands(), up);
            let query = format!("command={command}&stdin=true&stdout=true");
            let session = soon(request(down, &query).connect(|| proxy.dial()))
                .await
                .unwrap();
            tokio::time::sleep(Duration::from_secs(10)).await;
            drop(session);
            tasks_end(before).await;
        }
    }
}

/// A session that is lost on the other side is a failure, and never a success.
#[tokio::test(start_paused = true)]
async fn a_lost_server_is_a_failure_for_the_client() {
    for (down, up) in CROSSINGS {
        let before = tasks();
        let whole = Server::commands();
        let ask = request(down, "command=exit:0&stdout=true");
        let to_whole = proxy(whole.clone(), up);
        let mut session = soon(ask.connect(|| to_whole.dial())).await.unwrap();
        assert_eq!(
            soon(session.outcome()).await.unwrap(),
            CommandOutcome::Success
        );
        drop(session);
        tasks_end(before).await;
        let total = whole.sent.load(std::sync::atomic::Ordering::Relaxed);
        let mut successes = 0;
        for budget in (0..=total).step_by(5).chain([total]) {
            let cut = proxy(Server::commands().with_budget(budget), up);
            let mut session = soon(ask.connect(|| cut.dial())).await.unwrap();
            let mut out = Vec::new();
            soon(session.stdout.take().unwrap().read_to_end(&mut out))
                .await
                .unwrap();
            match soon(session.outcome()).await.unwrap() {
                CommandOutcome::Success => {
                    assert_eq!(
                        out, b"to stdout",
                        "{down:?} {up:?} {budget} of {total} bytes"
                    );
                    successes += 1;
                }
                CommandOutcome::Failed(_) => {
                    assert_eq!(successes, 0, "{down:?} {up:?} {budget} of {total} bytes");
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(successes > 0);
        tasks_end(before).await;
    }
}

#[tokio::test(start_paused = true)]
async fn forwards_cross_transports() {
    for (down, up) in CROSSINGS {
        let before = tasks();
        let proxy = proxy(Server::commands(), up);
        let uri = "http://pod/portforward".parse().unwrap();
        let ask = ForwardRequest::new(uri).with(|ask| ask.transport = down);
        let session = soon(ask.connect(|| proxy.dial())).await.unwrap();
        let mut first = soon(session.open(7)).await.unwrap();
        let mut refused = soon(session.open(80)).await.unwrap();
        let error = soon(refused.read_u8()).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "nothing listens on 80",
            "{down:?} {up:?}"
        );
        let mut broken = soon(session.open(9)).await.unwrap();
        assert!(soon(broken.read_to_end(&mut Vec::new())).await.is_err());
        soon(first.write_all(b"still here")).await.unwrap();
        soon(first.shutdown()).await.unwrap();
        let mut back = String::new();
        soon(first.read_to_string(&mut back)).await.unwrap();
        assert_eq!(back, "still here");
        drop((first, refused, broken));
        soon(session.close()).await;
        tasks_end(before).await;
    }
}

/// Each direction of a connection ends by itself, on both sides of the proxy.
#[tokio::test(start_paused = true)]
async fn half_closes_cross_transports() {
    for (down, up) in CROSSINGS {
        let before = tasks();
        let proxy = proxy(Server::commands(), up);
        let uri = "http://pod/portforward".parse().unwrap();
        let ask = ForwardRequest::new(uri).with(|ask| ask.transport = down);
        let session = soon(ask.connect(|| proxy.dial())).await.unwrap();
        // The server's half ends first, and ours continues.
        let mut stream = soon(session.open(8)).await.unwrap();
        let mut theirs = String::new();
        soon(stream.read_to_string(&mut theirs)).await.unwrap();
        assert_eq!(theirs, "hello", "{down:?} {up:?}");
        soon(stream.write_all(b"after your end")).await.unwrap();
        soon(stream.shutdown()).await.unwrap();
        drop(stream);
        // Ours ends first.
        let mut echo = soon(session.open(7)).await.unwrap();
        soon(echo.write_all(b"to the end")).await.unwrap();
        soon(echo.shutdown()).await.unwrap();
        let mut back = String::new();
        soon(echo.read_to_string(&mut back)).await.unwrap();
        assert_eq!(back, "to the end", "{down:?} {up:?}");
        drop(echo);
        soon(session.close()).await;
        tasks_end(before).await;
    }
}

/// A client that reads nothing holds the command up: little of its output waits on the way.
/// What the client reads later is whole.
#[tokio::test(start_paused = true)]
async fn a_slow_client_costs_bounded_memory() {
    // Two connections receive, and each has pipes and buffers on the way. Without the bounds, the
    // command would write 64 MB.
    let limits = MuxConfig::kubernetes(Side::Client).connection.limits;
    let bound = 2 * limits.max_buffered_bytes + (2 << 20);
    assert!(bound < 50 << 20);
    for (down, up) in CROSSINGS {
        let before = tasks();
        let server = Server::commands();
        let sent = Arc::clone(&server.sent);
        let proxy = proxy(server, up);
        let ask = request(down, "command=fill:64&stdout=true&stderr=true");
        let mut session = soon(ask.connect(|| proxy.dial())).await.unwrap();
        let mut first = [0; 1];
        let mut stdout = session.stdout.take().unwrap();
        soon(stdout.read_exact(&mut first)).await.unwrap();
        tokio::time::sleep(Duration::from_secs(30)).await;
        let waiting = sent.load(Ordering::Relaxed);
        assert!(waiting > 1_000, "{down:?} {up:?}: {waiting}");
        assert!(waiting < bound, "{down:?} {up:?}: {waiting} bytes wait");
        let mut out = first.to_vec();
        let mut err = String::new();
        let mut stderr = session.stderr.take().unwrap();
        let (read, errors, outcome) = soon(async {
            tokio::join!(
                stdout.read_to_end(&mut out),
                stderr.read_to_string(&mut err),
                session.outcome()
            )
        })
        .await;
        read.unwrap();
        errors.unwrap();
        assert_eq!(err, "to stderr", "{down:?} {up:?}");
        assert_eq!(outcome.unwrap(), CommandOutcome::Success);
        assert_eq!(out.len(), 64_000_000, "{down:?} {up:?}");
        let is_whole = out.chunks(1_000).enumerate().all(|(at, block)| {
            let expected = (at % 251) as u8;
            block.iter().all(|byte| *byte == expected)
        });
        assert!(is_whole, "{down:?} {up:?}");
        drop((stdout, stderr, session));
        tasks_end(before).await;
    }
}

/// Input that the command does not take: its exit still arrives, and so does the loss of the
/// client.
#[tokio::test(start_paused = true)]
async fn unread_input_holds_up_no_end() {
    for (down, up) in CROSSINGS {
        for command in ["late:7", "sleep"] {
            let before = tasks();
            let proxy = proxy(Server::commands(), up);
            let query = format!("command={command}&stdin=true&stdout=true");
            let mut session = soon(request(down, &query).connect(|| proxy.dial()))
                .await
                .unwrap();
            let mut stdin = session.stdin.take().unwrap();
            let writing = tokio::spawn(async move {
                let mut written = 0;
                while stdin.write_all(&[b'x'; 32 << 10]).await.is_ok() {
                    written += 32 << 10;
                    assert!(written < 16 << 20, "no bound");
                }
            });
            tokio::time::sleep(Duration::from_secs(5)).await;
            assert!(!writing.is_finished(), "{down:?} {up:?}");
            if command == "late:7" {
                let outcome = soon(session.outcome()).await.unwrap();
                assert_eq!(outcome, CommandOutcome::Exited(7), "{down:?} {up:?}");
            }
            drop(session);
            soon(writing).await.unwrap();
            tasks_end(before).await;
        }
    }
}
