//! Both ends of tunnels: bytes and WebSocket messages that come back.

use futures_util::{SinkExt as _, StreamExt as _};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::Error;

/// Sends back what comes, up to its end.
pub async fn echo(tunnel: impl AsyncRead + AsyncWrite) -> Result<(), Error> {
    let (mut reader, mut writer) = tokio::io::split(tunnel);
    tokio::io::copy(&mut reader, &mut writer).await?;
    writer.shutdown().await?;
    Ok(())
}

/// Sends back every message, up to the close.
pub async fn echo_messages(tunnel: impl AsyncRead + AsyncWrite + Unpin) -> Result<(), Error> {
    let mut socket = WebSocketStream::from_raw_socket(tunnel, Role::Server, None).await;
    while let Some(message) = socket.next().await {
        let message = message?;
        if message.is_text() || message.is_binary() {
            socket.send(message).await?;
        }
    }
    // Dropped without, the tunnel is reset.
    socket.get_mut().shutdown().await?;
    Ok(())
}

/// Sends `bytes` and gives the SHA-256 of what comes back, in hex.
pub async fn exchange(
    tunnel: impl AsyncRead + AsyncWrite + Send + 'static,
    bytes: Vec<u8>,
) -> Result<String, Error> {
    let (mut reader, mut writer) = tokio::io::split(tunnel);
    let sending = tokio::spawn(async move {
        writer.write_all(&bytes).await?;
        writer.shutdown().await
    });
    let mut hash = Sha256::new();
    let mut piece = vec![0; 64 * 1024];
    loop {
        match reader.read(&mut piece).await? {
            0 => break,
            length => hash.update(&piece[..length]),
        }
    }
    sending.await??;
    Ok(crate::files::hex(&hash.finalize()))
}

/// Sends `count` messages of growing size, each after the echo of the one
/// before, and closes.
pub async fn converse(
    tunnel: impl AsyncRead + AsyncWrite + Unpin,
    count: usize,
) -> Result<(), Error> {
    let mut socket = WebSocketStream::from_raw_socket(tunnel, Role::Client, None).await;
    for number in 0..count {
        let message = Message::text(format!("{number} ").repeat(1 + number * number));
        socket.send(message.clone()).await?;
        let echo = socket.next().await.ok_or("no echo")??;
        if echo != message {
            return Err(format!("echo {number} differs").into());
        }
    }
    socket.close(None).await?;
    while let Some(last) = socket.next().await {
        if !last?.is_close() {
            return Err("more than was sent".into());
        }
    }
    // The server may have ended the tunnel with its own close.
    let _ = socket.get_mut().shutdown().await;
    Ok(())
}
