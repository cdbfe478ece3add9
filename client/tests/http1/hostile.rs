//! Servers that stall, flood, lie and babble. Every wait ends, with an error that names the limit.

use std::time::Duration;

use http_body_util::BodyExt as _;
use lacewing_client::{Body, Client, ClientError, Initiator};
use tokio::io::AsyncReadExt as _;

use super::script::{self, Server};
use crate::support::*;

/// A client of a server that says this after the head of each request, and then waits or closes.
fn client_of(says: impl Into<String>, closes: bool) -> Client {
    let says = says.into();
    let serve = move |mut server: Server, _| {
        let says = says.clone();
        async move {
            server.head().await;
            server.say(says).await;
            if !closes {
                server.hold().await;
            }
        }
    };
    script::client(|it| it, serve).0
}

async fn error_of(client: &Client) -> ClientError {
    let patience = Duration::from_secs(3600);
    let answer = tokio::time::timeout(patience, client.request(get("/"))).await;
    answer.expect("hangs").unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn a_head_that_stops_ends_by_headers_timeout() {
    let error = error_of(&client_of("HTTP/1.1 200 OK\r\nx-a: b\r\n", false)).await;
    assert!(error.to_string().contains("headers_timeout"), "{error}");
    // After an informational response, the next head has its own time.
    let (client, _) = script::client(
        |it| it,
        |mut server, _| async move {
            server.head().await;
            server.say("HTTP/1.1 103 Early Hints\r\n\r\n").await;
            tokio::time::sleep(Duration::from_secs(60)).await;
            server.say("HTTP/1.1 2").await;
            server.hold().await;
        },
    );
    let error = error_of(&client).await;
    assert!(error.to_string().contains("headers_timeout"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_ends_by_stall_timeout() {
    let error = error_of(&client_of("", false)).await;
    assert!(error.to_string().contains("stall_timeout"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stops_ends_by_stall_timeout() {
    let client = client_of("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", false);
    let mut body = client.request(get("/")).await.unwrap().into_body();
    assert_eq!(
        body.frame().await.unwrap().unwrap().into_data().unwrap(),
        "half"
    );
    let error = body.frame().await.unwrap().unwrap_err();
    assert!(error.to_string().contains("stall_timeout"), "{error}");
    assert_eq!(client.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_takes_no_upload_ends_by_write_stall_timeout() {
    let (client, _) = script::client(
        |it| it,
        |mut server, _| async move {
            server.head().await;
            std::future::pending::<()>().await;
        },
    );
    let upload = client.request(post("/", Body::from(vec![0; 1 << 20])));
    let error = tokio::time::timeout(Duration::from_secs(3600), upload).await;
    let error = error.expect("hangs").unwrap_err();
    assert!(error.to_string().contains("write_stall_timeout"), "{error}");
}

/// Uploads 256 KiB to a server that takes `piece` bytes each second, and answers at the end.
async fn upload_to_slow_reader(piece: usize) -> Result<String, ClientError> {
    let (client, _) = script::client(
        |it| it,
        move |mut server, _| async move {
            server.head().await;
            let mut left = 256 << 10;
            while left > 0 {
                let mut bytes = vec![0; piece.min(left)];
                match server.0.read(&mut bytes).await {
                    Ok(1..) => left -= bytes.len(),
                    _ => return,
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            server
                .say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                .await;
            server.hold().await;
        },
    );
    let upload = client.request(post("/", Body::from(vec![0; 256 << 10])));
    let response = tokio::time::timeout(Duration::from_secs(3600), upload).await;
    Ok(text(response.expect("hangs")?).await)
}

#[tokio::test(start_paused = true)]
async fn a_server_that_takes_an_upload_byte_by_byte_ends_by_min_rate() {
    let error = upload_to_slow_reader(10).await.unwrap_err();
    assert!(error.to_string().contains("min_rate"), "{error}");
    // A slow path lives.
    assert_eq!(upload_to_slow_reader(512).await.unwrap(), "ok");
}

#[tokio::test]
async fn a_head_without_end_ends_by_its_limit() {
    let (client, _) = script::client(
        |it| it,
        |mut server, _| async move {
            server.head().await;
            server.say("HTTP/1.1 200 OK\r\nx: ").await;
            for _ in 0..100_000 {
                server.say([b'a'; 1000]).await;
            }
        },
    );
    let error = error_of(&client).await;
    assert!(
        error.to_string().contains("max_header_list_size"),
        "{error}"
    );
    let fields: String = (0..5000).map(|n| format!("x{n}: 1\r\n")).collect();
    let error = error_of(&client_of(
        format!("HTTP/1.1 200 OK\r\n{fields}\r\n"),
        false,
    ))
    .await;
    assert!(error.to_string().contains("max_header_fields"), "{error}");
}

#[tokio::test]
async fn informational_responses_without_end_do_not_hold_memory_or_hang_the_runtime() {
    let (client, _) = script::client(
        |it| it,
        |mut server, _| async move {
            server.head().await;
            for _ in 0..10_000 {
                server.say("HTTP/1.1 103 Early Hints\r\nx: y\r\n\r\n").await;
            }
            server
                .say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                .await;
            server.hold().await;
        },
    );
    assert_eq!(text(client.request(get("/")).await.unwrap()).await, "ok");
}

#[tokio::test]
async fn a_close_before_the_response_is_the_servers() {
    for says in ["", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\nx: "] {
        let error = error_of(&client_of(says, true)).await;
        assert!(
            error.to_string().contains("closed the connection"),
            "{says:?}: {error}"
        );
        assert!(!error.is_connect());
    }
}

#[tokio::test]
async fn a_body_without_its_end_is_an_error_after_its_bytes() {
    for head in [
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nhalf",
    ] {
        let client = client_of(head, true);
        let mut body = client.request(get("/")).await.unwrap().into_body();
        assert_eq!(
            body.frame().await.unwrap().unwrap().into_data().unwrap(),
            "half"
        );
        let error = body.frame().await.unwrap().unwrap_err();
        assert_eq!(error.initiator(), Initiator::Peer, "{error}");
        assert!(
            error.to_string().contains("before the end of the body"),
            "{head:?}: {error}"
        );
    }
}

#[tokio::test]
async fn garbage_is_named_as_such() {
    for says in [
        "SSH-2.0-OpenSSH_9.6\r\n",
        "\x15\x03\x01\x00\x02\x02\x46",
        "HTTP/1.1 999999 What\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: ten\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nbad name: 1\r\n\r\n",
    ] {
        let error = error_of(&client_of(says, true)).await;
        assert!(
            matches!(error, ClientError::Connection(_)),
            "{says:?}: {error}"
        );
        assert!(error.to_string().contains("HTTP/1.1"), "{says:?}: {error}");
    }
    let client = client_of(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        true,
    );
    let body = client.request(get("/")).await.unwrap().into_body();
    assert!(body.collect().await.is_err());
}

/// Bytes that nobody asked for must not become the answer to the next request.
#[tokio::test]
async fn a_response_too_many_ends_the_connection() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nfirst";
    let forged = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged";
    let client = client_of(format!("{answer}{forged}"), false);
    assert_eq!(text(client.request(get("/")).await.unwrap()).await, "first");
    assert_eq!(text(client.request(get("/")).await.unwrap()).await, "first");
}

#[tokio::test]
async fn a_switch_of_protocols_that_nobody_asked_for_is_an_error() {
    let says = "HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n";
    let error = error_of(&client_of(says, false)).await;
    assert!(matches!(error, ClientError::Connection(_)), "{error}");
}
