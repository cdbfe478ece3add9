//! Servers that follow a script, byte by byte.

use std::{
    future::Future,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use lacewing_client::{Client, ClientBuilder, dial_fn};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

/// A client whose connections lead to this server; the second value counts them.
pub(super) fn client<F, R>(
    change: impl FnOnce(ClientBuilder) -> ClientBuilder,
    serve: F,
) -> (Client, Arc<AtomicUsize>)
where
    F: Fn(Server, usize) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let dials = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&dials);
    let dial = dial_fn(move |_| {
        let (here, there) = tokio::io::duplex(64 << 10);
        let number = count.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(serve(Server(there), number));
        async { Ok::<_, io::Error>(here) }
    });
    let builder = change(Client::builder().http1());
    (builder.dial(dial).build(), dials)
}

/// The server's end of a connection.
pub(super) struct Server(pub(super) DuplexStream);

impl Server {
    /// Reads one head; `None` at the end of the connection.
    pub(super) async fn head(&mut self) -> Option<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.ok()?);
        }
        Some(String::from_utf8(head).unwrap().to_ascii_lowercase())
    }

    pub(super) async fn read(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes).await.unwrap();
        bytes
    }

    pub(super) async fn say(&mut self, text: impl AsRef<[u8]>) {
        let _ = self.0.write_all(text.as_ref()).await;
    }

    /// Keeps the connection open until the client ends it.
    pub(super) async fn hold(&mut self) {
        let mut bytes = [0; 1024];
        while self.0.read(&mut bytes).await.unwrap_or(0) > 0 {}
    }
}

/// Polls a future once.
pub(super) async fn is_pending<F: Future + Unpin>(mut future: F) -> bool {
    std::future::poll_fn(|cx| {
        let polled = std::pin::Pin::new(&mut future).poll(cx);
        std::task::Poll::Ready(polled.is_pending())
    })
    .await
}
