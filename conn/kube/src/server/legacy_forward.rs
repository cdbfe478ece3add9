//! Port-forward over WebSocket channels, as clients had it before SPDY went into messages: two
//! channels for each port, data and error. The ports are those of the request.

use std::sync::Arc;

use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
    time::timeout,
};
use tokio_tungstenite::WebSocketStream;
use tokio_util::sync::CancellationToken;

use super::forward::Forward;
use crate::{
    limits::KubeLimits,
    protocol::{ChannelEncoding, RemoteCommandProtocol},
    websocket::{Channel, ChannelSocket, EndOfChannel},
};

/// A WebSocket with the channels of its ports.
#[derive(Debug)]
pub(super) struct LegacyForward {
    pub(super) cancellation: CancellationToken,
    /// Cancelled when the last connection ends, or to end all of them.
    pub(super) ending: CancellationToken,
}

impl LegacyForward {
    /// Starts the channels. The connections are in the queue at once.
    pub(super) fn start<IO>(
        socket: WebSocketStream<IO>,
        encoding: ChannelEncoding,
        ports: &[u16],
        limits: &KubeLimits,
    ) -> (Self, mpsc::Receiver<Forward>)
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        // The request's ports are few, so that every number is that of a channel.
        let pairs = || (0..u8::MAX).step_by(2).zip(ports);
        let data: Vec<Channel> = pairs().map(|(number, _)| Channel(number)).collect();
        let version = RemoteCommandProtocol::V4;
        let count = data.len().saturating_mul(2);
        let socket = ChannelSocket::start(socket, version, encoding, count, &data, limits);
        let ending = CancellationToken::new();
        let guard = Arc::new(ending.clone().drop_guard());
        let (sender, forwards) = mpsc::channel(ports.len().max(1));
        for (number, port) in pairs() {
            let (data, error) = (Channel(number), Channel(number.saturating_add(1)));
            // The first message of a channel has its port, by which clients check the order.
            socket.begin(data, &port.to_le_bytes());
            socket.begin(error, &port.to_le_bytes());
            let writer = socket.writer(data, EndOfChannel::Both);
            let error = socket.writer(error, EndOfChannel::Silent);
            let streams = (socket.reader(data), writer);
            let activity = socket.activity().clone();
            let forward = Forward::of_channels(streams, error, *port, Arc::clone(&guard), activity);
            // The queue has room for all of them.
            let _ = sender.try_send(forward);
        }
        let legacy = Self {
            cancellation: socket.cancellation().clone(),
            ending: ending.clone(),
        };
        tokio::spawn(supervise(socket, ending, sender, limits.clone()));
        (legacy, forwards)
    }
}

/// Ends the WebSocket behind the last connection. The session's queue ends with it.
async fn supervise(
    socket: ChannelSocket,
    ending: CancellationToken,
    _queue: mpsc::Sender<Forward>,
    limits: KubeLimits,
) {
    let over = socket.cancellation();
    if over.run_until_cancelled(ending.cancelled()).await.is_none() {
        return;
    }
    socket.close();
    let _ = timeout(limits.finish_timeout, over.cancelled()).await;
    socket.abandon();
}
