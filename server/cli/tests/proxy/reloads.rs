//! SIGHUP changes the routes, and leaves open what is open.

use std::{
    fs,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures_util::{SinkExt as _, StreamExt as _};
use http::Request;
use http_body_util::BodyExt as _;
use lacewing_client::{Body, Client};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use crate::{
    peers::{Script, client, patiently, script},
    program::{Directory, PROGRAM, Running},
};

async fn get(client: &Client, running: &Running, path: &str) -> (u16, String) {
    let uri = format!("http://{}{path}", running.http);
    let request = Request::get(uri).body(Body::empty()).unwrap();
    let response = patiently(client.request(request)).await.unwrap();
    let status = response.status().as_u16();
    let body = patiently(response.into_body().collect()).await.unwrap();
    (
        status,
        String::from_utf8_lossy(&body.to_bytes()).into_owned(),
    )
}

/// Waits until a path is answered with this status, by the generation of the last reload.
async fn becomes(client: &Client, running: &Running, path: &str, status: u16) {
    let pause = std::time::Duration::from_millis(20);
    patiently(async {
        while get(client, running, path).await.0 != status {
            tokio::time::sleep(pause).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_change_and_tunnels_and_connections_stay() {
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    let plain = script(move |mut peer: Script| {
        counted.fetch_add(1, Ordering::Relaxed);
        async move {
            while peer.head().await.is_some() {
                peer.say("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nplain")
                    .await;
            }
        }
    })
    .await;
    let chat = script(|peer: Script| async {
        if let Ok(mut socket) = tokio_tungstenite::accept_async(peer.0).await {
            while let Some(Ok(message)) = socket.next().await {
                if message.is_text() && socket.send(message).await.is_err() {
                    return;
                }
            }
        }
    })
    .await;
    let directory = Directory::new("lacewingd-proxy-reloads");
    let file = directory.path("lacewingd.toml");
    let write = |routes: &str| {
        let same = format!("https = 'off'\n[proxy]\n'/plain' = 'http://{plain}'\n");
        fs::write(&file, same + routes).unwrap();
    };
    write(&format!("'/chat' = 'http://{chat}'\n"));
    let running = Running::start_by(
        Command::new(PROGRAM),
        None,
        &["--https", "off", "--config", file.to_str().unwrap()],
    );
    let client = client(None);
    assert_eq!(
        get(&client, &running, "/plain").await,
        (200, "plain".into())
    );
    let io = TcpStream::connect(running.http).await.unwrap();
    let uri = format!("ws://{}/chat", running.http);
    let socket = patiently(tokio_tungstenite::client_async(uri, io)).await;
    let (mut socket, _) = socket.unwrap();

    for number in 0..10 {
        // The last reload takes the route away that the tunnel has.
        write(&format!("'/new{number}' = 'http://{plain}'\n"));
        running.signal("-HUP");
        becomes(&client, &running, &format!("/new{number}"), 200).await;
        let text = Message::text(format!("still here {number}"));
        patiently(socket.send(text.clone())).await.unwrap();
        assert_eq!(patiently(socket.next()).await.unwrap().unwrap(), text);
    }
    assert_eq!(get(&client, &running, "/new8").await.0, 404);
    assert_eq!(get(&client, &running, "/chat").await.0, 404);
    // The unchanged route has one connection all the time; each new one made its own.
    assert_eq!(
        get(&client, &running, "/plain").await,
        (200, "plain".into())
    );
    assert_eq!(connections.load(Ordering::Relaxed), 1 + 10);
    // Routes may go altogether.
    fs::write(&file, "https = 'off'\n").unwrap();
    running.signal("-HUP");
    becomes(&client, &running, "/plain", 404).await;
    patiently(socket.send(Message::text("last"))).await.unwrap();
    assert_eq!(
        patiently(socket.next()).await.unwrap().unwrap(),
        Message::text("last")
    );
}
