//! A session of `exec` or `attach`.

use std::{io, time::Duration};

use lacewing_conn::driver::RawStream;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    sync::oneshot,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    command_io::{CommandReader, CommandStdin, EndedStdin, OutputEnd, Source, TerminalResizer},
    error::ConnectError,
    life::{Handle, Life},
    link::Link,
    request::CommandRequest,
    upgrade::Upgraded,
};
#[cfg(feature = "websocket")]
use crate::websocket::{Channel, ChannelSocket, EndOfChannel};
use crate::{
    command_streams::{CommandStreams, Terminal},
    error::KubeError,
    limits::KubeLimits,
    outcome::CommandOutcome,
    outcome::StatusCollector,
    protocol::RemoteCommandProtocol,
    sink::Sink,
    stream_headers::{StreamHeaders, StreamType},
};

/// A session of `exec` or `attach`: the streams of a command, and its outcome.
///
/// Take the streams, and serve them at the same time: each holds up the others while it
/// has no reader. Dropping the session before its [outcome](Self::outcome) closes the
/// connection within a second, and the streams that are left fail. After the outcome,
/// stdout and stderr continue to their ends.
///
/// ```no_run
/// use lacewing_kube::{CommandOutcome, client::CommandSession};
/// use tokio::io::{copy, sink, stdout};
///
/// async fn run(mut session: CommandSession) -> Result<CommandOutcome, Box<dyn std::error::Error>> {
///     let (mut out, mut err) = (session.stdout.take(), session.stderr.take());
///     let out = async {
///         match &mut out {
///             Some(out) => copy(out, &mut stdout()).await,
///             None => Ok(0),
///         }
///     };
///     let err = async {
///         match &mut err {
///             Some(err) => copy(err, &mut sink()).await,
///             None => Ok(0),
///         }
///     };
///     let (out, err, outcome) = tokio::join!(out, err, session.outcome());
///     (out?, err?);
///     Ok(outcome?)
/// }
/// # let _ = run;
/// ```
#[derive(Debug)]
#[must_use = "a dropped session closes the connection"]
pub struct CommandSession {
    /// The command's stdin, if the request names it.
    pub stdin: Option<CommandStdin>,
    /// The command's stdout, if the request names it.
    pub stdout: Option<CommandReader>,
    /// The command's stderr, if the request names it.
    pub stderr: Option<CommandReader>,
    /// The terminal's sizes, if the request names a terminal and the protocol has them.
    pub resize: Option<TerminalResizer>,
    protocol: RemoteCommandProtocol,
    result: SessionResult,
    life: Life,
    _ended_stdin: EndedStdin,
    _handle: Handle,
}

/// The end of the command.
#[derive(Debug)]
enum SessionResult {
    Waiting(oneshot::Receiver<Result<CommandOutcome, KubeError>>),
    Known(CommandOutcome),
    Failed,
}

impl CommandSession {
    pub(super) async fn start<IO>(
        upgraded: Upgraded<IO>,
        request: &CommandRequest,
    ) -> Result<Self, ConnectError>
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (streams, limits) = (request.streams(), &request.limits);
        match upgraded {
            Upgraded::Raw(switched, name) => {
                // A server that names none speaks the oldest version.
                let protocol = name.as_deref().map(RemoteCommandProtocol::from_name);
                let protocol = protocol.unwrap_or(Some(RemoteCommandProtocol::V1));
                let protocol = protocol.ok_or(ConnectError::WrongProtocol(name))?;
                let life = Life::default();
                // A failure and a cancelled call close the connection.
                let abort = life.abort.clone().drop_guard();
                let link =
                    Link::start(switched.version, switched.io, switched.input, limits, &life);
                let session = Self::raw(&link, protocol, streams, limits, life).await?;
                abort.disarm();
                Ok(session)
            }
            #[cfg(feature = "websocket")]
            Upgraded::WebSocket(socket) => Ok(Self::websocket(*socket, streams, limits)),
        }
    }

    /// Opens the streams in kubectl's order, one by one.
    async fn raw(
        link: &Link,
        protocol: RemoteCommandProtocol,
        streams: CommandStreams,
        limits: &KubeLimits,
        life: Life,
    ) -> Result<Self, KubeError> {
        let open = async |is_wanted: bool, kind| match is_wanted {
            true => link.open(&StreamHeaders::command(kind)).await.map(Some),
            false => Ok(None),
        };
        let error = link
            .open(&StreamHeaders::command(StreamType::Error))
            .await?;
        let stdin = open(streams.stdin, StreamType::Stdin).await?;
        let stdout = open(streams.stdout, StreamType::Stdout).await?;
        let stderr = open(streams.stderr, StreamType::Stderr).await?;
        let has_sizes = streams.terminal == Terminal::Attached && protocol.has_resize_stream();
        let resize = open(has_sizes, StreamType::Resize).await?;
        let handle = life.handle();
        let activity = link.activity();
        let mut ends = Vec::new();
        let mut reader = |stream: RawStream| {
            let source = Source::Raw(stream);
            let (reader, end) = CommandReader::new(source, activity.clone(), handle.clone());
            ends.push(end);
            reader
        };
        let (stdout, stderr) = (stdout.map(&mut reader), stderr.map(&mut reader));
        let ended = EndedStdin::default();
        Ok(Self {
            stdin: stdin.map(|stream| {
                CommandStdin::new(Sink::Raw(stream), ended.clone(), activity.clone())
            }),
            stdout,
            stderr,
            resize: resize.map(|stream| TerminalResizer::new(Sink::Raw(stream))),
            protocol,
            result: collect(Source::Raw(error), protocol, ends, limits, &life),
            life,
            _ended_stdin: ended,
            _handle: handle,
        })
    }

    #[cfg(feature = "websocket")]
    fn websocket<IO>(
        socket: tokio_tungstenite::WebSocketStream<IO>,
        streams: CommandStreams,
        limits: &KubeLimits,
    ) -> Self
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let protocol = RemoteCommandProtocol::V5;
        let wanted = [
            (true, Channel::ERROR),
            (streams.stdout, Channel::STDOUT),
            (streams.stderr, Channel::STDERR),
        ];
        let readable = wanted.into_iter().filter(|(is_wanted, _)| *is_wanted);
        let readable: Vec<_> = readable.map(|(_, channel)| channel).collect();
        let encoding = crate::protocol::ChannelEncoding::Binary;
        let socket = ChannelSocket::start(
            socket,
            protocol,
            encoding,
            Channel::COMMAND,
            &readable,
            limits,
        );
        let life = Life {
            over: socket.cancellation().clone(),
            ..Life::default()
        };
        tokio::spawn(supervise(
            socket.clone(),
            life.clone(),
            limits.close_timeout,
        ));
        let handle = life.handle();
        let activity = socket.activity();
        let reader = |is_wanted: bool, channel| {
            is_wanted.then(|| {
                let source = Source::Channel(socket.reader(channel));
                // The status of v5 is behind all output.
                CommandReader::new(source, activity.clone(), handle.clone()).0
            })
        };
        let has_terminal = streams.terminal == Terminal::Attached;
        let ended = EndedStdin::default();
        Self {
            stdin: streams.stdin.then(|| {
                let writer = socket.writer(Channel::STDIN, EndOfChannel::Message);
                CommandStdin::new(Sink::Channel(writer), ended.clone(), activity.clone())
            }),
            stdout: reader(streams.stdout, Channel::STDOUT),
            stderr: reader(streams.stderr, Channel::STDERR),
            resize: has_terminal.then(|| {
                let writer = socket.writer(Channel::RESIZE, EndOfChannel::Silent);
                TerminalResizer::new(Sink::Channel(writer))
            }),
            protocol,
            result: collect(
                Source::Channel(socket.reader(Channel::ERROR)),
                protocol,
                Vec::new(),
                limits,
                &life,
            ),
            life,
            _ended_stdin: ended,
            _handle: handle,
        }
    }

    /// Returns the protocol version that the client and the server agreed on.
    pub fn protocol(&self) -> RemoteCommandProtocol {
        self.protocol
    }

    /// Returns a token that is cancelled when the connection is over.
    pub fn cancellation(&self) -> CancellationToken {
        self.life.over.clone()
    }

    /// Waits for the end of the command. Cancelling the call loses nothing, and a second
    /// call returns the same outcome.
    ///
    /// Read stdout and stderr meanwhile: the outcome arrives behind all output. Servers of
    /// v1 to v3 report a success by silence, so there it follows the ends of the outputs:
    /// read them, or drop them.
    ///
    /// # Errors
    ///
    /// The connection was lost, or an output of a server of v1 to v3, or the error stream has no complete status
    /// ([`KubeError::Status`]): the command may have ended in any way. A second call
    /// after that returns [`KubeError::Closed`].
    pub async fn outcome(&mut self) -> Result<CommandOutcome, KubeError> {
        let result = match &mut self.result {
            SessionResult::Waiting(receiver) => receiver.await.unwrap_or(Err(KubeError::Closed)),
            SessionResult::Known(outcome) => return Ok(outcome.clone()),
            SessionResult::Failed => return Err(KubeError::Closed),
        };
        self.result = match &result {
            Ok(outcome) => SessionResult::Known(outcome.clone()),
            Err(_) => SessionResult::Failed,
        };
        result
    }
}

impl Drop for CommandSession {
    fn drop(&mut self) {
        let is_known = match &mut self.result {
            SessionResult::Waiting(receiver) => matches!(receiver.try_recv(), Ok(Ok(_))),
            SessionResult::Known(_) => true,
            SessionResult::Failed => false,
        };
        if !is_known {
            self.life.abort.cancel();
        }
    }
}

/// Gathers the error stream on a task: it must not hold up the output.
fn collect(
    error: Source,
    protocol: RemoteCommandProtocol,
    outputs: Vec<OutputEnd>,
    limits: &KubeLimits,
    life: &Life,
) -> SessionResult {
    let (sender, receiver) = oneshot::channel();
    let (max_status, limit) = (limits.max_status, limits.finish_timeout);
    let (abort, over) = (life.abort.clone(), life.over.clone());
    tokio::spawn(async move {
        let outcome = async {
            let outcome = read_outcome(error, protocol, max_status, limit).await?;
            if outcome == CommandOutcome::Success && !protocol.has_json_status() {
                outputs_end(outputs, &over, limit).await?;
            }
            Ok(outcome)
        };
        tokio::select! {
            // The session may be gone.
            outcome = outcome => {
                let _ = sender.send(outcome);
            }
            // An open stream would hold up GOAWAY.
            () = abort.cancelled() => {}
        }
    });
    SessionResult::Waiting(receiver)
}

/// Reads the error stream to its end. Once a part has arrived, the end has `limit`.
async fn read_outcome(
    mut error: Source,
    protocol: RemoteCommandProtocol,
    max_status: usize,
    limit: Duration,
) -> Result<CommandOutcome, KubeError> {
    let mut content = StatusCollector::new(protocol, max_status);
    let mut buffer = vec![0; 4 << 10];
    let mut deadline = None;
    let lost: Option<io::Error> = loop {
        let read = tokio::select! {
            read = error.read(&mut buffer) => read,
            () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                break None;
            }
        };
        match read {
            Ok(0) => break None,
            Ok(len) => {
                content.push(buffer.get(..len).unwrap_or_default());
                deadline = deadline.or_else(|| Instant::now().checked_add(limit));
            }
            Err(error) => break Some(error),
        }
    };
    match lost {
        // The end without a text is a success for old versions: not this end.
        Some(error) if content.is_empty() => Err(KubeError::Io(error)),
        // A status that is complete is valid, although its stream has no end.
        _ => Ok(content.finish()?),
    }
}

/// Waits until the outputs have been read to their ends: before v4, only they show that the
/// silence of the error stream is a success. After the end of the connection, their readers
/// have `limit`.
async fn outputs_end(
    outputs: Vec<OutputEnd>,
    over: &CancellationToken,
    limit: Duration,
) -> Result<(), KubeError> {
    let all = async {
        for end in outputs {
            // A reader that was dropped wants no more.
            if let Ok(Err(error)) = end.await {
                return Err(KubeError::Io(error));
            }
        }
        Ok(())
    };
    let late = async {
        over.cancelled().await;
        tokio::time::sleep(limit).await;
    };
    tokio::select! {
        ended = all => ended,
        () = late => {
            let event = "the ends of stdout and stderr, which have to be read";
            Err(KubeError::TimedOut { event, limit })
        }
    }
}

/// Ends a WebSocket when its session ends.
#[cfg(feature = "websocket")]
async fn supervise(socket: ChannelSocket, life: Life, close_timeout: Duration) {
    tokio::select! {
        () = life.over.cancelled() => return,
        // Without a Close: the end of stdin was not the caller's.
        () = life.abort.cancelled() => {}
        () = life.released.cancelled() => {
            socket.close();
            let closed = tokio::time::timeout(close_timeout, life.over.cancelled());
            tokio::select! {
                _ = closed => {}
                () = life.abort.cancelled() => {}
            }
        }
    }
    socket.abandon();
}
