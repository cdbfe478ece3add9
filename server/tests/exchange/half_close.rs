//! Clients that close their side of the transport after their request.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::Frame;
use http_body_util::BodyExt;
use lacewing_conn::proto::Head;
use lacewing_server::{BoxError, RequestBody, ServerOptions, Spawn, Version, service_fn};
use tower_service::Service;

use crate::{bodies::pieces, peer::Peer};

/// The ends of incomplete uploads, as their handlers received them.
type Failures = Arc<Mutex<Vec<String>>>;

/// Slow handlers, in virtual time.
fn service(
    failures: &Failures,
) -> impl Service<
    Request<RequestBody>,
    Response = Response<impl http_body::Body<Data = Bytes, Error = BoxError> + Send + 'static>,
    Error = Infallible,
    Future: Send + 'static,
> + Clone
+ Send
+ 'static {
    let failures = Arc::clone(failures);
    service_fn(move |request: Request<RequestBody>| {
        let failures = Arc::clone(&failures);
        async move {
            let path = request.uri().path().to_owned();
            let (sender, body) = pieces();
            let text = match path.as_str() {
                "/late" => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    "late".to_owned()
                }
                "/upload" => match request.into_body().collect().await {
                    Ok(body) => {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        format!("read {}", body.to_bytes().len())
                    }
                    Err(error) => {
                        failures.lock().unwrap().push(error.to_string());
                        "cut".to_owned()
                    }
                },
                "/never" => {
                    let _ = request.into_body().collect().await;
                    std::future::pending().await
                }
                // Like a file: read piece by piece, on another thread.
                _ => "piece ".repeat(10),
            };
            tokio::spawn(async move {
                for piece in text.as_bytes().chunks(6) {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    let piece = Bytes::copy_from_slice(piece);
                    if sender.send(Ok(Frame::data(piece))).await.is_err() {
                        return;
                    }
                }
            });
            Ok(Response::new(body))
        }
    })
}

#[tokio::test(start_paused = true)]
async fn complete_requests_are_answered_and_then_the_connection_closes() {
    for version in Version::ALL {
        for spawn in [Spawn::WhenPending, Spawn::Never, Spawn::Always] {
            let options = ServerOptions::default().spawn(spawn);
            let mut peer = Peer::connect(version, options, service(&Failures::default()));
            let file = peer.open(Method::GET, "/file", None);
            let late = peer.open(Method::GET, "/late", None);
            let body = Some(Bytes::from(vec![1; 20_000]));
            let upload = peer.open(Method::POST, "/upload", body);
            peer.half_close().await;
            for (key, expected) in [
                (upload, "read 20000"),
                (late, "late"),
                (file, &"piece ".repeat(10)),
            ] {
                let answer = peer.answer(key).await;
                assert_eq!(answer.text(), expected, "{version}");
                assert!(answer.fin && answer.reset.is_none(), "{version}");
            }
            peer.until_closed().await;
            assert!(peer.hang_up().await.unwrap().is_ok(), "{version}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_is_cut_fails() {
    for version in Version::ALL {
        for beside in [false, true] {
            let failures = Failures::default();
            let service = service(&failures);
            let mut peer = Peer::connect(version, ServerOptions::default(), service);
            let late = beside.then(|| peer.open(Method::GET, "/late", None));
            let uri = "http://example.org/upload".parse().unwrap();
            let upload = peer.open_with(Head::request(Method::POST, uri));
            let half = Bytes::from_static(b"half");
            peer.stream(upload).send_data(half, false).unwrap();
            peer.half_close().await;
            if let Some(late) = late {
                assert_eq!(peer.answer(late).await.text(), "late", "{version}");
                assert!(peer.answer(upload).await.reset.is_some(), "{version}");
            }
            peer.until_closed().await;
            let result = peer.hang_up().await.unwrap();
            assert_eq!(result.is_ok(), beside, "{version}: {result:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_not_waited_for_for_ever() {
    for version in Version::ALL {
        let service = service(&Failures::default());
        let mut peer = Peer::connect(version, ServerOptions::default(), service);
        peer.open(Method::GET, "/never", None);
        peer.half_close().await;
        peer.until_closed().await;
    }
}

#[cfg(feature = "http1")]
mod by_http1 {
    use super::*;
    use crate::http1::Http1;
    use lacewing_server::ServeError;
    use tokio::io::AsyncWriteExt;

    fn connect(failures: &Failures) -> Http1 {
        Http1::connect(ServerOptions::default(), service(failures))
    }

    #[tokio::test(start_paused = true)]
    async fn complete_requests_are_answered_and_then_the_connection_closes() {
        for path in ["/file", "/late"] {
            let mut client = connect(&Failures::default());
            client.send("GET", path).await;
            client.io.shutdown().await.unwrap();
            let reply = client.reply("GET").await;
            assert!(reply.whole && reply.status() == 200, "{path}: {reply:?}");
            client.serving.await.unwrap().unwrap();
        }
        let mut client = connect(&Failures::default());
        let upload = "POST /upload HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbody";
        client.io.write_all(upload.as_bytes()).await.unwrap();
        client.io.shutdown().await.unwrap();
        let reply = client.reply("GET").await;
        assert!(reply.whole && reply.body.contains("read 4"), "{reply:?}");
        client.serving.await.unwrap().unwrap();
    }

    /// Several requests may wait in the connection.
    #[tokio::test(start_paused = true)]
    async fn all_that_was_asked_is_answered() {
        let mut client = connect(&Failures::default());
        let line = "GET /late HTTP/1.1\r\nhost: a\r\n\r\n".repeat(5);
        client.io.write_all(line.as_bytes()).await.unwrap();
        client.io.shutdown().await.unwrap();
        let mut all = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut client.io, &mut all)
            .await
            .unwrap();
        let all = String::from_utf8(all).unwrap();
        assert_eq!(all.matches("late").count(), 5, "{all}");
        assert_eq!(all.matches("\r\n0\r\n\r\n").count(), 5, "{all}");
        client.serving.await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn an_upload_that_is_cut_fails() {
        let failures = Failures::default();
        for request in [
            "POST /upload HTTP/1.1\r\nhost: a\r\ncontent-length: 40\r\n\r\nhalf",
            "POST /upload HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        ] {
            let mut client = connect(&failures);
            client.io.write_all(request.as_bytes()).await.unwrap();
            client.io.shutdown().await.unwrap();
            let _ = client.serving.await.unwrap();
            let failed = failures.lock().unwrap().pop();
            assert!(failed.is_some(), "{request}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_not_waited_for_for_ever() {
        for upload in ["", "content-length: 4\r\n"] {
            let mut client = connect(&Failures::default());
            let body = if upload.is_empty() { "" } else { "body" };
            let request = format!("POST /never HTTP/1.1\r\nhost: a\r\n{upload}\r\n{body}");
            client.io.write_all(request.as_bytes()).await.unwrap();
            client.io.shutdown().await.unwrap();
            let result = tokio::time::timeout(Duration::from_secs(3600), client.serving).await;
            let result = result.expect("the connection ends").unwrap();
            assert!(
                matches!(result, Err(ServeError::DrainTimeout { .. })),
                "{result:?}"
            );
        }
    }
}
