//! A bridge: one function that joins a session of our server's side to one of our client's
//! side, whatever transport each has.
//!
//! A proxy accepts a client's session, connects to the server that runs the command, and
//! joins both. So a client that has only WebSocket reaches a container runtime that has
//! only SPDY, and the reverse. Either side may have [raw streams over
//! HTTP/2](crate#raw-streams-over-http2).

use std::{future::pending, io, sync::Arc};

use tokio::{io::AsyncWriteExt, task::JoinSet};

use crate::{
    client::{self, CommandReader, CommandSession, CommandStdin, TerminalResizer},
    error::KubeError,
    outcome::CommandOutcome,
    server::{self, CommandInput, CommandOutput, ExecSession, Forward, TerminalSizes},
};

/// Joins a session of `exec` or `attach`, `downstream`, to the one that runs the command,
/// `upstream`. Ends both, and returns the outcome that the client received.
///
/// ```no_run
/// use http::Uri;
/// use lacewing_kube::{
///     CommandOutcome, CommandStreams, bridge,
///     client::CommandRequest,
///     server::ExecSession,
/// };
/// use tokio::net::TcpStream;
///
/// /// `url` is that of a runtime, which has answered the RPC `Exec` for these streams with it.
/// async fn proxy(
///     downstream: ExecSession,
///     url: Uri,
///     streams: CommandStreams,
/// ) -> Result<(), Box<dyn std::error::Error>> {
///     let request = CommandRequest::of_url(&url, streams)?;
///     match request.connect(|| TcpStream::connect("127.0.0.1:10010")).await {
///         Ok(upstream) => drop(bridge::join_command(downstream, upstream).await?),
///         Err(error) => {
///             let outcome = CommandOutcome::Failed(error.to_string());
///             downstream.finish(outcome).await?;
///         }
///     }
///     Ok(())
/// }
/// # let _ = proxy;
/// ```
///
/// # Errors
///
/// The client is gone, or did not take the last bytes; the session upstream was lost. In
/// the second case, the client receives a failure.
pub async fn join_command(
    mut downstream: ExecSession,
    mut upstream: CommandSession,
) -> Result<CommandOutcome, KubeError> {
    let gone = downstream.cancellation();
    let stdin = copy_input(downstream.stdin.take(), upstream.stdin.take());
    let sizes = copy_sizes(downstream.sizes.take(), upstream.resize.take());
    let stdout = copy_output(upstream.stdout.take(), downstream.stdout.take());
    let stderr = copy_output(upstream.stderr.take(), downstream.stderr.take());
    let output = async { tokio::join!(stdout, stderr, upstream.outcome()) };
    // The command may end while stdin is open.
    let input = async {
        tokio::join!(stdin, sizes);
        pending().await
    };
    let (stdout, stderr, outcome) = tokio::select! {
        ended = output => ended,
        () = input => return Err(KubeError::Closed),
        // The drop of the session upstream ends the command.
        () = gone.cancelled() => return Err(KubeError::Closed),
    };
    // A part of the output must not look like the whole.
    let outcome = match (outcome, stdout.and(stderr)) {
        (Ok(outcome), Ok(())) => Ok(outcome),
        (Ok(_), Err(error)) => Err(KubeError::Io(error)),
        (Err(error), _) => Err(error),
    };
    match outcome {
        Ok(outcome) => {
            downstream.finish(outcome.clone()).await?;
            Ok(outcome)
        }
        Err(error) => {
            let failed = CommandOutcome::Failed(error.to_string());
            downstream.finish(failed).await?;
            Err(error)
        }
    }
}

/// Copies stdin to its end. Its loss is not its end.
async fn copy_input(from: Option<CommandInput>, to: Option<CommandStdin>) {
    let (Some(mut from), Some(mut to)) = (from, to) else {
        return;
    };
    loop {
        match from.read_chunk().await {
            Ok(Some(bytes)) => {
                // The command may have closed its stdin.
                if to.send(bytes).await.is_err() {
                    return;
                }
            }
            Ok(None) => {
                let _ = to.shutdown().await;
                return;
            }
            // The client is gone, and the session ends. `to` stays until then: its drop
            // would be an end for servers of Go.
            Err(_) => pending().await,
        }
    }
}

/// Copies output to its end. A client that closes one of its streams still receives the
/// others, so the rest is read and discarded.
async fn copy_output(from: Option<CommandReader>, to: Option<CommandOutput>) -> io::Result<()> {
    let Some(mut from) = from else {
        return Ok(());
    };
    let mut to = to;
    while let Some(bytes) = from.read_chunk().await? {
        if let Some(output) = &mut to {
            if output.send(bytes).await.is_err() {
                to = None;
            }
        }
    }
    Ok(())
}

async fn copy_sizes(from: Option<TerminalSizes>, to: Option<TerminalResizer>) {
    let (Some(mut from), Some(mut to)) = (from, to) else {
        return;
    };
    while let Some(size) = from.next().await {
        // A server without sizes still runs the command.
        if to.send(size).await.is_err() {
            return;
        }
    }
}

/// Joins a session of port-forward, `downstream`, to the one that has the ports,
/// `upstream`. Each local connection of the client becomes one of `upstream`, and the
/// texts of failures pass. Returns when one of the sessions has ended, and ends the other.
pub async fn join_forward(
    mut downstream: server::PortForwardSession,
    upstream: client::PortForwardSession,
) {
    let lost = upstream.cancellation();
    let upstream = Arc::new(upstream);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            forward = downstream.accept() => match forward {
                Some(forward) => drop(connections.spawn(carry(forward, Arc::clone(&upstream)))),
                None => break,
            },
            Some(_) = connections.join_next() => {}
            () = lost.cancelled() => break,
        }
    }
    connections.shutdown().await;
    downstream.shutdown().await;
    if let Some(upstream) = Arc::into_inner(upstream) {
        upstream.close().await;
    }
}

/// Carries one connection.
async fn carry(forward: Forward, upstream: Arc<client::PortForwardSession>) {
    let mut there = match upstream.open(forward.port()).await {
        Ok(there) => there,
        Err(error) => return forward.fail(&error.to_string()).await,
    };
    let mut here = forward.into_io();
    let copied = here.relay(&mut there).await;
    // Without a text, the drop of both resets what is left.
    if let (Err(_), Some(text)) = (copied, there.failure()) {
        here.fail(&text).await;
    }
}
