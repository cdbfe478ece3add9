//! Both ends of a connection in one place, and their exchanges.

use std::{future::Future, io, time::Duration};

use http::{HeaderMap, HeaderValue};
use lacewing_conn::{
    Error, Side, Version,
    driver::{Mux, MuxConfig, OpenOptions, RawStream},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    task::JoinHandle,
    time::timeout,
};

pub(crate) type Task = JoinHandle<Result<(), Error>>;

/// Both ends of a connection, with their tasks.
pub(crate) struct Pair {
    pub(crate) client: Mux,
    pub(crate) server: Mux,
    pub(crate) tasks: [Task; 2],
}

pub(crate) fn pair(version: Version, pipe: usize) -> Pair {
    let (here, there) = tokio::io::duplex(pipe);
    pair_over(version, MuxConfig::new, here, there)
}

pub(crate) fn pair_over(
    version: Version,
    config: impl Fn(Side) -> MuxConfig,
    here: DuplexStream,
    there: DuplexStream,
) -> Pair {
    let (client, connection) = Mux::client(here, version, config(Side::Client));
    let client_task = tokio::spawn(connection);
    let (server, connection) = Mux::server(there, version, config(Side::Server));
    let server_task = tokio::spawn(connection);
    Pair {
        client,
        server,
        tasks: [client_task, server_task],
    }
}

impl Pair {
    /// A plain stream that the client opened and the server accepted.
    pub(crate) async fn stream(&self) -> (RawStream, RawStream) {
        (open(&self.client).await, accept(&self.server).await.1)
    }

    /// Both tasks end when no handle is left.
    pub(crate) async fn end(self) {
        let Self {
            client,
            server,
            tasks,
        } = self;
        drop((client, server));
        for task in tasks {
            soon(task).await.unwrap().unwrap();
        }
    }
}

/// With paused time, a hang is noticed at once.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    timeout(Duration::from_secs(300), future)
        .await
        .expect("hangs")
}

pub(crate) fn headers(name: &'static str, value: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(name, HeaderValue::from_str(value).unwrap());
    headers
}

/// Bytes that depend on a seed, with a period that is no divisor of a frame's length.
pub(crate) fn bytes(len: usize, seed: usize) -> Vec<u8> {
    let period = len.min(9973);
    let hash = |at: usize| at.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 7;
    let mut data: Vec<u8> = (0..period).map(|at| hash(at) as u8).collect();
    while data.len() < len {
        let more = period.min(len - data.len());
        data.extend_from_within(..more);
    }
    data
}

/// A plain stream.
pub(crate) async fn open(mux: &Mux) -> RawStream {
    let open = mux.open(HeaderMap::new(), OpenOptions::default());
    soon(open).await.unwrap()
}

/// The next stream that the peer opened.
pub(crate) async fn accept(mux: &Mux) -> (HeaderMap, RawStream) {
    soon(mux.accept()).await.unwrap()
}

/// Echoes the data of every stream that the peer opens.
pub(crate) fn echo(mux: Mux) -> JoinHandle<()> {
    tokio::spawn(async move {
        while let Some((headers, stream)) = mux.accept().await {
            tokio::spawn(send_back(headers, stream));
        }
    })
}

/// Ends a task that never ends by itself.
pub(crate) async fn stop(task: JoinHandle<()>) {
    task.abort();
    let _ = task.await;
}

/// Echoes the data of a stream, with its header list as the reply.
pub(crate) async fn send_back(headers: HeaderMap, stream: RawStream) {
    stream.reply(headers);
    let (mut reader, mut writer) = stream.into_split();
    let _ = tokio::io::copy(&mut reader, &mut writer).await;
    let _ = writer.shutdown().await;
}

/// The error that ended the stream.
pub(crate) fn cause(error: &io::Error) -> Error {
    let inner = error.get_ref().expect("an error of ours inside");
    inner.downcast_ref::<Error>().unwrap().clone()
}

/// Sends data and checks its echo at the same time.
pub(crate) async fn exchange(stream: RawStream, data: Vec<u8>) {
    let (mut reader, mut writer) = stream.into_split();
    let expected = data.clone();
    let writing = tokio::spawn(async move {
        writer.write_all(&data).await.unwrap();
        writer.shutdown().await.unwrap();
    });
    let mut got = Vec::new();
    reader.read_to_end(&mut got).await.unwrap();
    writing.await.unwrap();
    assert_eq!(got.len(), expected.len());
    assert!(got == expected, "other bytes came back");
}

/// Writes until the stream fails, and returns the error.
pub(crate) async fn write_to_the_end(stream: &mut RawStream) -> Error {
    // Far more than any window or buffer.
    for _ in 0..20_000 {
        if let Err(error) = soon(stream.write_all(&[0; 1024])).await {
            return cause(&error);
        }
    }
    panic!("the writer did not fail");
}

/// Requests the end of our half, and does not wait until it is sent.
pub(crate) async fn begin_shutdown(stream: &mut RawStream) {
    tokio::select! {
        biased;
        done = stream.shutdown() => done.unwrap(),
        () = std::future::ready(()) => {}
    }
}
