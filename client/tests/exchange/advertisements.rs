//! Messages of a server besides its responses, priorities of the client, and statistics.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use lacewing_client::{
    ClientOptions, ConnectionConfig, ConnectionStats, Limits, Origin, Priority, PriorityHandle,
    Security, Side,
};
use lacewing_server::ServerOptions;

use crate::support::{peer::*, *};

fn origin(text: &str) -> Origin {
    Origin::of(&text.parse().unwrap()).unwrap()
}

/// Behind TLS. In cleartext, no certificate vouches for them (RFC 8336 §2.1).
#[tokio::test]
async fn origins_are_remembered() {
    assert_eq!(advertised(Security::Cleartext).await, []);
    assert_eq!(
        advertised(Security::Tls).await,
        [
            origin("https://a.example"),
            origin("https://b.example:8443")
        ]
    );
}

async fn advertised(security: Security) -> Vec<Origin> {
    let config = ClientOptions::default().security(security);
    let (connection, mut peer) = by_hand(config, &[]).await;
    assert_eq!(connection.origins(), []);
    for text in [
        "https://a.example",
        "https://b.example:8443",
        "not an origin",
    ] {
        let mut entry = (text.len() as u16).to_be_bytes().to_vec();
        entry.extend_from_slice(text.as_bytes());
        peer.send(ORIGIN, 0, 0, &entry).await;
    }
    let response = connection.request(get("/"));
    peer.expect(HEADERS).await;
    peer.answer(1).await;
    response.await.unwrap();
    connection.origins()
}

#[tokio::test]
async fn alternative_services_are_remembered_and_told() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let to = Arc::clone(&told);
    let config = ClientOptions::default()
        .on_alternative_service(move |service| to.lock().unwrap().push(service.clone()));
    let (connection, mut peer) = by_hand(config, &[]).await;
    let response = connection.request(get("/"));
    peer.expect(HEADERS).await;
    let mut named = 17_u16.to_be_bytes().to_vec();
    named.extend_from_slice(b"https://a.exampleh3=\":443\"");
    peer.send(ALTSVC, 0, 0, &named).await;
    peer.send(ALTSVC, 0, 1, b"\0\0h2=\"b.example:444\"").await;
    peer.answer(1).await;
    response.await.unwrap();
    let services = connection.alternative_services();
    assert_eq!(services.len(), 2);
    assert_eq!(services[0].origin, Some(origin("https://a.example")));
    assert_eq!(services[0].value, "h3=\":443\"");
    assert_eq!(services[1].origin, None);
    assert_eq!(services[1].value, "h2=\"b.example:444\"");
    assert_eq!(*told.lock().unwrap(), services);
}

#[tokio::test]
async fn a_priority_is_told_in_a_field_and_changed_by_a_frame() {
    let (connection, mut peer) = by_hand(ClientOptions::default(), &[]).await;
    let handle = PriorityHandle::new(Priority::new(5, false));
    let mut request = get("/image");
    request.extensions_mut().insert(handle.clone());
    let response = connection.request(request);
    let head = peer.expect(HEADERS).await;
    // The value of the field is sent as a literal or in Huffman code.
    let size = head.payload.len();
    handle.set(Priority::new(1, true));
    let update = peer.expect(PRIORITY_UPDATE).await;
    assert_eq!(update.payload, "\0\0\0\u{1}u=1, i");
    peer.send(HEADERS, END_HEADERS, 1, OK).await;
    let response = response.await.unwrap();
    // During the response too. A repetition is reported once.
    handle.set(Priority::new(6, false));
    let update = peer.expect(PRIORITY_UPDATE).await;
    assert_eq!(update.payload, "\0\0\0\u{1}u=6");
    peer.send(DATA, END_STREAM, 1, b"image").await;
    assert_eq!(text(response).await, "image");
    // Too late for this request: nothing is sent.
    handle.set(Priority::new(0, false));
    let other = connection.request(get("/image"));
    let plain = peer.expect(HEADERS).await;
    assert!(plain.payload.len() < size);
    peer.answer(plain.stream).await;
    other.await.unwrap();
}

#[test]
fn priorities_do_no_harm_anywhere() {
    every_version(|version| async move {
        let pair = pair(version);
        let handle = PriorityHandle::new(Priority::new(0, false));
        let mut request = get("/bytes/3000000");
        request.extensions_mut().insert(handle.clone());
        let response = pair.connection.request(request).await.unwrap();
        handle.set(Priority::new(7, true));
        assert_eq!(measure(response.into_body()).await.0, 3_000_000);
        handle.set(Priority::new(3, true));
        let seen = text(pair.connection.request(get("/fields")).await.unwrap()).await;
        assert!(!seen.contains("priority"), "{seen}");
        let mut request = get("/fields");
        request.extensions_mut().insert(Priority::new(2, false));
        let seen = text(pair.connection.request(request).await.unwrap()).await;
        let told = seen.contains("\"priority\": \"u=2\"");
        assert_eq!(told, version == lacewing_client::Version::Http2, "{seen}");
    });
}

#[test]
fn figures_can_be_asked_for_and_are_told() {
    every_version(|version| async move {
        let told: Arc<Mutex<Vec<ConnectionStats>>> = Arc::default();
        let to = Arc::clone(&told);
        let config = ClientOptions::default().on_stats(Duration::from_millis(5), move |stats| {
            to.lock().unwrap().push(stats.clone());
        });
        let pair = pair_with(version, config, ServerOptions::default());
        let response = pair.connection.request(get("/bytes/100000")).await.unwrap();
        assert_eq!(measure(response.into_body()).await.0, 100_000);
        let stats = pair.connection.stats().await.unwrap();
        assert_eq!(stats.data_received, 100_000);
        assert_eq!(stats.open_streams, 0);
        until("three reports", || told.lock().unwrap().len() >= 3).await;
        let connection = pair.connection.clone();
        drop(pair.connection);
        connection.shutdown();
        pair.client_task.await.unwrap().unwrap();
        let last = told.lock().unwrap().pop().unwrap();
        assert_eq!(last.data_received, 100_000);
        let error = connection.stats().await.unwrap_err();
        assert!(error.connection().is_some(), "{error}");
    });
}

/// The server disappears silently: keep-alive notices it.
#[tokio::test(start_paused = true)]
async fn keep_alive_gives_a_silent_server_up() {
    let limits = Limits::new(Side::Client).with(|limits| {
        limits.keep_alive_interval = Some(Duration::from_secs(10));
        limits.keep_alive_timeout = Duration::from_secs(5);
    });
    let config = ClientOptions::default().connection(
        ConnectionConfig::new(Side::Client).with(|config| config.limits = limits.into()),
    );
    let (connection, mut peer) = by_hand(config, &[]).await;
    let response = tokio::spawn(connection.request(get("/never")));
    // The server answers for a while.
    for _ in 0..3 {
        loop {
            let frame = peer.frame().await.unwrap();
            if frame.kind == SETTINGS && frame.flags & ACK == 0 {
                peer.send(SETTINGS, ACK, 0, &[]).await;
            }
            if frame.kind == PING {
                peer.send(PING, ACK, 0, &frame.payload).await;
                break;
            }
        }
    }
    let error = response.await.unwrap().unwrap_err();
    assert!(error.connection().unwrap().is_connection(), "{error}");
    assert!(!connection.is_open());
    drop(peer);
}
