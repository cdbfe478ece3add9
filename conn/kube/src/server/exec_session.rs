//! A session of `exec` or `attach`.

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

#[cfg(feature = "websocket")]
use super::websocket_ending::WebSocketEnding;
use super::{
    command_io::{CommandInput, CommandOutput, SharedSink},
    raw_ending::RawEnding,
    terminal_sizes::TerminalSizes,
};
use crate::{
    error::KubeError, limits::KubeLimits, outcome::CommandOutcome, protocol::RemoteCommandProtocol,
    sink::Sink,
};

/// A session of `exec` or `attach`: the streams of a command, and its end.
///
/// Take the streams, serve them, and [finish](Self::finish). A session that is dropped
/// before that reports an internal error to the client.
///
/// ```no_run
/// use std::process::Stdio;
/// use lacewing_kube::{CommandOutcome, server::ExecSession};
///
/// async fn run(mut session: ExecSession) -> Result<(), Box<dyn std::error::Error>> {
///     let mut command = tokio::process::Command::new("date");
///     let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
///     let outcome = async {
///         if let (Some(mut from), Some(mut to)) = (child.stdout.take(), session.stdout.take()) {
///             tokio::io::copy(&mut from, &mut to).await?;
///         }
///         Ok::<_, std::io::Error>(child.wait().await?.into())
///     };
///     let outcome = outcome.await.unwrap_or_else(|error| CommandOutcome::Failed(error.to_string()));
///     Ok(session.finish(outcome).await?)
/// }
/// # let _ = run;
/// ```
#[derive(Debug)]
#[must_use = "the client waits; a dropped session reports an internal error"]
pub struct ExecSession {
    /// The client's stdin, if it was offered.
    pub stdin: Option<CommandInput>,
    /// The client's stdout, if it was offered.
    pub stdout: Option<CommandOutput>,
    /// The client's stderr, if it was offered.
    pub stderr: Option<CommandOutput>,
    /// The sizes of the client's terminal, if there is one.
    pub sizes: Option<TerminalSizes>,
    pub(super) ending: Ending,
}

impl ExecSession {
    /// Returns the protocol version that the client and the server agreed on.
    pub fn protocol(&self) -> RemoteCommandProtocol {
        self.ending.protocol
    }

    /// Returns a token that is cancelled when the client is gone, or idle for longer than
    /// [`KubeLimits::idle_timeout`]. The command should then end.
    pub fn cancellation(&self) -> CancellationToken {
        self.ending.cancellation.clone()
    }

    /// Ends the session with the outcome of the command. All output that was written is
    /// sent first, also that of handles which other tasks still have; their later writes
    /// fail. Returns when the transport is closed.
    ///
    /// # Errors
    ///
    /// The client is gone, or did not take the rest of the output within
    /// [`KubeLimits::finish_timeout`]. Then it may not know the outcome.
    pub async fn finish(mut self, outcome: CommandOutcome) -> Result<(), KubeError> {
        match self.ending.prepare(&outcome) {
            Some(last) => last.send().await,
            None => Ok(()),
        }
    }
}

/// The parts of a session that its end needs. When it is dropped, a task sends an
/// internal error.
#[derive(Debug)]
pub(super) struct Ending {
    protocol: RemoteCommandProtocol,
    sinks: Vec<SharedSink>,
    /// `None` once the session finishes.
    transport: Option<EndingTransport>,
    cancellation: CancellationToken,
    limits: KubeLimits,
}

/// The transport of a session.
#[derive(Debug)]
pub(super) enum EndingTransport {
    Raw(Box<RawEnding>),
    #[cfg(feature = "websocket")]
    WebSocket(WebSocketEnding),
}

impl Ending {
    pub(super) fn new(
        protocol: RemoteCommandProtocol,
        sinks: Vec<SharedSink>,
        transport: EndingTransport,
        cancellation: CancellationToken,
        limits: &KubeLimits,
    ) -> Self {
        Self {
            protocol,
            sinks,
            transport: Some(transport),
            cancellation,
            limits: limits.clone(),
        }
    }

    /// Takes everything that the end of the session needs, once.
    fn prepare(&mut self, outcome: &CommandOutcome) -> Option<LastMessages> {
        Some(LastMessages {
            transport: self.transport.take()?,
            sinks: self
                .sinks
                .drain(..)
                .filter_map(|sink| sink.take())
                .collect(),
            status: outcome.encode(self.protocol),
            limits: self.limits.clone(),
        })
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let text = "the server ended the session without an outcome";
        let last = self.prepare(&CommandOutcome::Failed(text.to_owned()));
        // Without a runtime, the connection is gone as well.
        if let (Some(last), Ok(runtime)) = (last, Handle::try_current()) {
            runtime.spawn(last.send());
        }
    }
}

/// The end of a session, ready to be sent.
struct LastMessages {
    transport: EndingTransport,
    sinks: Vec<Sink>,
    status: Bytes,
    limits: KubeLimits,
}

impl LastMessages {
    async fn send(self) -> Result<(), KubeError> {
        let limit = self.limits.finish_timeout;
        match self.transport {
            EndingTransport::Raw(ending) => ending.finish(self.sinks, self.status, limit).await,
            #[cfg(feature = "websocket")]
            EndingTransport::WebSocket(ending) => ending.finish(self.status, &self.limits).await,
        }
    }
}
