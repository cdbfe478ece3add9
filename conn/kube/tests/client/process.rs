//! Commands of this machine: their outputs with and without a terminal, and their process groups.

use std::process::Stdio;

use lacewing_kube::{
    CommandOutcome, CommandStreams,
    client::{CommandRequest, ConnectError},
    server::{CommandOffer, ExecSession},
};
use percent_encoding::percent_decode_str;
use tokio::{io::AsyncReadExt as _, process::Command};

use crate::{server::Server, *};

const DRAIN: Duration = Duration::from_secs(2);

/// A server that runs `script` of the query in a shell, with pipes or with what the caller has set.
fn shell(with_pipes: bool) -> Server {
    Server::new(move |mut request| {
        let query = request.uri().query().unwrap_or_default().to_owned();
        let script = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("script="));
        let script = percent_decode_str(script.unwrap_or_default());
        let mut command = Command::new("sh");
        command.arg("-c").arg(&*script.decode_utf8().unwrap());
        let offer = CommandOffer::new(CommandStreams::from_query(&query));
        let (response, pending) = offer.accept(&mut request).unwrap();
        tokio::spawn(async move {
            let mut session = pending.session().await.unwrap();
            let outcome = match with_pipes {
                true => session.run(command, DRAIN).await,
                false => without_pipes(&mut session, command).await,
            };
            let outcome = outcome.unwrap_or_else(|error| CommandOutcome::Failed(error.to_string()));
            let _ = session.finish(outcome).await;
        });
        response.map(|()| String::new())
    })
}

async fn without_pipes(
    session: &mut ExecSession,
    mut command: Command,
) -> std::io::Result<CommandOutcome> {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let (reader, writer) = (tokio::io::empty(), tokio::io::sink());
    session.run_with(command, reader, writer, DRAIN).await
}

async fn run(server: &Server, query: &str) -> (Option<u8>, String, String) {
    let mut session = soon(request(StreamingProtocol::Spdy, query).connect(|| server.dial()))
        .await
        .unwrap();
    let (mut out, mut err) = (String::new(), String::new());
    if let Some(mut stdout) = session.stdout.take() {
        soon(stdout.read_to_string(&mut out)).await.unwrap();
    }
    if let Some(mut stderr) = session.stderr.take() {
        soon(stderr.read_to_string(&mut err)).await.unwrap();
    }
    let outcome = soon(session.outcome()).await.unwrap();
    (outcome.exit_code(), out, err)
}

/// A terminal shows both outputs; without one they are apart.
#[tokio::test]
async fn the_client_of_a_terminal_sees_stderr_too() {
    let server = shell(true);
    let script = "script=echo%20out%3B%20echo%20err%20%3E%262%3B%20exit%203";
    let apart = run(&server, &format!("{script}&stdout=true&stderr=true")).await;
    assert_eq!(apart, (Some(3), "out\n".to_owned(), "err\n".to_owned()));
    let query = format!("{script}&stdin=true&stdout=true&tty=true");
    let (code, out, _) = run(&server, &query).await;
    let mut lines: Vec<&str> = out.lines().collect();
    lines.sort_unstable();
    assert_eq!((code, lines), (Some(3), vec!["err", "out"]));
    // Who asks for stdout alone receives it alone.
    let (_, out, _) = run(&server, &format!("{script}&stdout=true")).await;
    assert_eq!(out, "out\n");
}

/// Much of both is joined without a loss, and the command does not stand still.
#[tokio::test]
async fn much_of_both_outputs_is_joined() {
    let script =
        "head -c 3000000 /dev/zero | tr '\\0' a; head -c 3000000 /dev/zero | tr '\\0' b >&2";
    let script = percent_encoding::utf8_percent_encode(script, percent_encoding::NON_ALPHANUMERIC);
    let query = format!("script={script}&stdout=true&tty=true");
    let (code, out, _) = run(&shell(true), &query).await;
    let count = |letter| out.bytes().filter(|byte| *byte == letter).count();
    assert_eq!(
        (code, count(b'a'), count(b'b')),
        (Some(0), 3_000_000, 3_000_000)
    );
}

/// `setsid`, by which a command takes a terminal, fails for the leader of a process group.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn only_a_command_with_pipes_leads_a_process_group() {
    let script = "read pid name state parent group rest < /proc/$$/stat; [ $group = $$ ]";
    let script = percent_encoding::utf8_percent_encode(script, percent_encoding::NON_ALPHANUMERIC);
    let query = format!("script={script}&stdout=true");
    for (with_pipes, code) in [(true, 0), (false, 1)] {
        let (found, ..) = run(&shell(with_pipes), &query).await;
        assert_eq!(found, Some(code), "with pipes: {with_pipes}");
    }
}

/// A session without streams would wait for its server, which waits for the streams.
#[tokio::test]
async fn a_request_without_streams_is_refused_before_it_is_sent() {
    let server = shell(true);
    for transport in TRANSPORTS {
        let request = CommandRequest::new("http://pod/exec/Zm9v".parse().unwrap());
        let request = request.with(|request| request.transport = transport);
        let error = soon(request.connect(|| server.dial())).await.unwrap_err();
        assert!(matches!(error, ConnectError::NoStreams), "{error}");
        assert!(error.to_string().contains("`CommandRequest::of_url`"));
        let (io, _there) = tokio::io::duplex(64);
        let error = soon(request.connect_on(io)).await.unwrap_err();
        assert!(matches!(error, ConnectError::NoStreams), "{error}");
    }
    assert_eq!(server.dials(), 0);
}
