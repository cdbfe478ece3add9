//! A task that runs late: it reads the peer's input before it judges the peer's deadlines.

use std::time::Duration;

use http::HeaderMap;
use lacewing_conn::{
    Side, Version,
    driver::{Mux, MuxConfig, OpenOptions, facade::Driver},
    proto::{Config, Semantics},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    sync::mpsc,
    task::JoinHandle,
    time::advance,
};

use crate::support::*;

/// A client and a server, with the test between them, which forwards bytes.
struct Between {
    client: DuplexStream,
    server: DuplexStream,
    mux: Mux,
    serving: JoinHandle<Result<(), lacewing_conn::Error>>,
    _told: mpsc::UnboundedReceiver<Told>,
}

impl Between {
    fn new(version: Version, change: impl FnOnce(&mut Config)) -> Self {
        let (here, client) = duplex(64 << 10);
        let (there, server) = duplex(64 << 10);
        let (mux, connection) = Mux::client(here, version, MuxConfig::new(Side::Client));
        tokio::spawn(connection);
        let config = Config::new(version, Side::Server).with(|config| {
            config.semantics = Semantics::Raw;
            change(config);
        });
        let (told, receiver) = mpsc::unbounded_channel();
        let application = Server {
            head: Default::default(),
            reply: bytes::Bytes::new(),
            told,
            wakers: mpsc::unbounded_channel().0,
        };
        let serving = tokio::spawn(Driver::new(there, config, application));
        Self {
            client,
            server,
            mux,
            serving,
            _told: receiver,
        }
    }

    /// The bytes that the client sent.
    async fn next_from_client(&mut self) -> Vec<u8> {
        available(&mut self.client).await
    }

    async fn next_from_server(&mut self) -> Vec<u8> {
        available(&mut self.server).await
    }

    /// Opens a stream that stays open.
    fn open(&self) {
        let mux = self.mux.clone();
        tokio::spawn(async move {
            let stream = mux.open(HeaderMap::new(), OpenOptions::default()).await;
            tokio::time::sleep(Duration::from_secs(1_000_000)).await;
            drop(stream);
        });
    }
}

async fn available(io: &mut DuplexStream) -> Vec<u8> {
    settle().await;
    let mut bytes = vec![0; 64 << 10];
    let len = tokio::select! {
        biased;
        read = io.read(&mut bytes) => read.unwrap(),
        () = std::future::ready(()) => 0,
    };
    bytes.truncate(len);
    bytes
}

#[tokio::test(start_paused = true)]
async fn a_first_frame_that_arrived_in_time_counts() {
    for version in Version::ALL {
        let mut between = Between::new(version, |_| {});
        between.open();
        let first = between.next_from_client().await;
        between.server.write_all(&first[..5]).await.unwrap();
        settle().await;
        between.server.write_all(&first[5..]).await.unwrap();
        // The runtime is blocked, so the server's task does not run meanwhile.
        advance(Duration::from_secs(11)).await;
        settle().await;
        assert!(!between.serving.is_finished(), "{version}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_a_ping_that_arrived_in_time_counts() {
    for version in Version::ALL {
        let mut between = Between::new(version, |config| {
            config.limits.keep_alive_interval = Some(Duration::from_secs(10));
            config.limits.keep_alive_timeout = Duration::from_secs(5);
        });
        between.open();
        for _ in 0..3 {
            let sent = between.next_from_client().await;
            between.server.write_all(&sent).await.unwrap();
            let sent = between.next_from_server().await;
            between.client.write_all(&sent).await.unwrap();
        }
        tokio::time::sleep(Duration::from_secs(11)).await;
        let ping = between.next_from_server().await;
        assert!(!ping.is_empty(), "{version}");
        between.client.write_all(&ping).await.unwrap();
        let answer = between.next_from_client().await;
        assert!(!answer.is_empty(), "{version}");
        between.server.write_all(&answer).await.unwrap();
        advance(Duration::from_secs(9)).await;
        settle().await;
        assert!(
            !between.serving.is_finished(),
            "{version}: the connection ended"
        );
    }
}

/// A peer that always sends does not escape its deadlines.
#[tokio::test(start_paused = true)]
async fn a_peer_that_drips_is_still_ended() {
    for version in Version::ALL {
        let mut between = Between::new(version, |_| {});
        between.open();
        let first = between.next_from_client().await;
        // One byte per second of the first frame, which has ten.
        for byte in &first[..first.len().min(20)] {
            if between.server.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let ended = soon(&mut between.serving).await.unwrap();
        assert!(ended.is_err(), "{version}");
    }
}
