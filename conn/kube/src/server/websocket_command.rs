//! `exec` and `attach` over WebSocket channels: the start of a session.

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;

use super::{
    command_io::{CommandInput, CommandOutput, SharedSink},
    exec_session::{Ending, EndingTransport, ExecSession},
    offer::{CommandOffer, Terminal},
    terminal_sizes::terminal_sizes,
    websocket_ending::WebSocketEnding,
};
use crate::{
    protocol::{ChannelEncoding, RemoteCommandProtocol},
    sink::Sink,
    websocket::{Channel, ChannelSocket, EndOfChannel},
};

/// Starts a session. The client opens no streams: all channels are there.
pub(super) fn start<IO>(
    socket: WebSocketStream<IO>,
    version: RemoteCommandProtocol,
    encoding: ChannelEncoding,
    offer: &CommandOffer,
) -> ExecSession
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let streams = offer.streams;
    let has_terminal = streams.terminal == Terminal::Attached;
    let mut readable = Vec::new();
    if streams.stdin {
        readable.push(Channel::STDIN);
    }
    if has_terminal {
        readable.push(Channel::RESIZE);
    }
    let socket = ChannelSocket::start(
        socket,
        version,
        encoding,
        Channel::COMMAND,
        &readable,
        &offer.limits,
    );
    // As Go's servers do, for clients that wait until the server sends.
    let first = match (streams.stdout, streams.stderr) {
        (true, _) => Channel::STDOUT,
        (false, true) => Channel::STDERR,
        (false, false) => Channel::ERROR,
    };
    socket.begin(first, b"");
    let activity = socket.activity().clone();
    let stdin = streams.stdin.then(|| {
        let reader = socket.reader(Channel::STDIN);
        CommandInput::channel(reader, activity.clone())
    });
    let mut sinks = Vec::new();
    let mut output = |is_wanted: bool, channel| {
        is_wanted.then(|| {
            let sink = Sink::Channel(socket.writer(channel, EndOfChannel::Silent));
            let sink = SharedSink::new(sink);
            sinks.push(sink.clone());
            CommandOutput::new(sink, activity.clone())
        })
    };
    let stdout = output(streams.stdout, Channel::STDOUT);
    let stderr = output(streams.stderr, Channel::STDERR);
    let sizes = has_terminal.then(|| {
        let (sender, sizes) = terminal_sizes();
        tokio::spawn(sender.read_channel(socket.reader(Channel::RESIZE)));
        sizes
    });
    let cancellation = socket.cancellation().clone();
    let transport = EndingTransport::WebSocket(WebSocketEnding { socket });
    ExecSession {
        stdin,
        stdout,
        stderr,
        sizes,
        ending: Ending::new(version, sinks, transport, cancellation, &offer.limits),
    }
}
