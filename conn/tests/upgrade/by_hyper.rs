//! Upgrades where hyper does the HTTP/1.1 part, on either side.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, Response};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use lacewing_conn::{
    Side, Version,
    driver::{
        Mux, MuxConfig, OpenOptions,
        upgrade::{self, Upgrade},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    sync::mpsc,
};

use crate::*;

/// A server by hyper that upgrades, and echoes on each stream.
fn serve(io: DuplexStream) {
    let (upgraded, mut ready) = mpsc::channel::<(TokioIo<DuplexStream>, Bytes, Version)>(1);
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        let upgraded = upgraded.clone();
        async move {
            let version = upgrade::requested(request.headers()).unwrap();
            tokio::spawn(async move {
                let io = hyper::upgrade::on(&mut request).await.unwrap();
                let parts = io.downcast::<TokioIo<DuplexStream>>().unwrap();
                let parts = (parts.io, parts.read_buf, version);
                upgraded.send(parts).await.unwrap();
            });
            let response = upgrade::switching(version);
            Ok::<Response<Empty<Bytes>>, hyper::Error>(response.map(|()| Empty::new()))
        }
    });
    tokio::spawn(async move {
        hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(io), service)
            .with_upgrades()
            .await
            .unwrap();
    });
    tokio::spawn(async move {
        let (io, read, version) = ready.recv().await.unwrap();
        let (mux, connection) = Mux::server(io.into_inner(), version, MuxConfig::new(Side::Server));
        tokio::spawn(connection.with_input(BytesMut::from(&read[..])));
        while let Some((_, stream)) = mux.accept().await {
            tokio::spawn(echo(stream));
        }
    });
}

async fn exchange(mux: &Mux) {
    let mut stream = soon(mux.open(HeaderMap::new(), OpenOptions::default()))
        .await
        .unwrap();
    stream.write_all(b"over hyper").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut text = String::new();
    soon(stream.read_to_string(&mut text)).await.unwrap();
    assert_eq!(text, "over hyper");
}

#[tokio::test(start_paused = true)]
async fn hyper_as_the_server() {
    for version in Version::ALL {
        let (here, there) = tokio::io::duplex(64 << 10);
        serve(there);
        let request = Request::get("http://node/").body(()).unwrap();
        let upgrade = Upgrade::default().with(|upgrade| upgrade.version = version);
        let switched = soon(upgrade.request(here, request)).await.unwrap();
        assert_eq!(switched.version, version);
        let (mux, connection) = switched.client(MuxConfig::new(Side::Client));
        tokio::spawn(connection);
        exchange(&mux).await;
    }
}

/// hyper's buffer has the client's first frames when hyper passes the transport on.
#[tokio::test(start_paused = true)]
async fn bytes_that_hyper_read_after_the_head_are_not_lost() {
    let (mut here, there) = tokio::io::duplex(64 << 10);
    let mut peer = crate::peer::Peer::new(tokio::io::duplex(1).0, Version::Spdy31);
    let head = "GET / HTTP/1.1\r\nHost: n\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n";
    let mut bytes = BytesMut::from(head);
    crate::peer::syn_stream(&mut peer.encoder, &mut bytes, 1, &[]);
    peer.encoder.data_head(&mut bytes, 1, 3, true);
    bytes.extend_from_slice(b"abc");
    here.write_all(&bytes).await.unwrap();
    serve(there);
    let head = soon(read_head(&mut here)).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let mut peer = crate::peer::Peer::new(here, Version::Spdy31);
    soon(peer.expect_reply(1)).await;
    assert_eq!(soon(peer.expect_data(1)).await, b"abc");
}

#[tokio::test(start_paused = true)]
async fn hyper_as_the_client() {
    let (here, there) = tokio::io::duplex(64 << 10);
    let server = tokio::spawn(async move {
        let requested = Upgrade::default().accept(there).await.unwrap();
        let switched = requested.switch(HeaderMap::new(), MuxConfig::new(Side::Server));
        let (mux, connection) = switched.await.unwrap();
        tokio::spawn(connection);
        while let Some((_, stream)) = mux.accept().await {
            tokio::spawn(echo(stream));
        }
    });
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake::<_, Empty<Bytes>>(TokioIo::new(here))
            .await
            .unwrap();
    tokio::spawn(connection.with_upgrades());
    let request = Request::get("/")
        .header("host", "node")
        .header("connection", "Upgrade")
        .header("upgrade", "SPDY/3.1")
        .body(Empty::new())
        .unwrap();
    let response = soon(sender.send_request(request)).await.unwrap();
    assert_eq!(response.status(), 101);
    let io = soon(hyper::upgrade::on(response)).await.unwrap();
    // `Upgraded` also returns the bytes that it read before.
    let (mux, connection) = Mux::client(
        TokioIo::new(io),
        Version::Spdy31,
        MuxConfig::new(Side::Client),
    );
    tokio::spawn(connection);
    exchange(&mux).await;
    drop(mux);
    soon(server).await.unwrap();
}
