//! A graceful shutdown loses no accepted request.

use std::convert::Infallible;

use http::{Method, Request, Response};
use lacewing_server::{RequestBody, ServerOptions, Shutdown, Version, service_fn};
use tokio::sync::watch;

use crate::peer::Peer;

#[tokio::test]
async fn what_was_accepted_is_answered_and_then_the_connection_closes() {
    for version in Version::ALL {
        let shutdown = Shutdown::new();
        let (let_go, gate) = watch::channel(false);
        let service = service_fn(move |_: Request<RequestBody>| {
            let mut gate = gate.clone();
            async move {
                let _ = gate.wait_for(|open| *open).await;
                Ok::<_, Infallible>(Response::new("answered".to_owned()))
            }
        });
        let options = ServerOptions::default().shutdown(shutdown.signal());
        let mut peer = Peer::connect(version, options, service);
        let keys: Vec<_> = (0..20).map(|_| peer.open(Method::GET, "/", None)).collect();
        peer.flush().await;
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        shutdown.start();
        peer.until(|peer| peer.engine.is_shutting_down()).await;
        let_go.send_replace(true);
        for key in keys {
            assert_eq!(peer.answer(key).await.text(), "answered", "{version}");
        }
        peer.until_closed().await;
        drop(peer.hang_up().await);
    }
}

#[tokio::test]
async fn an_idle_connection_closes_at_once() {
    for version in Version::ALL {
        let shutdown = Shutdown::new();
        let options = ServerOptions::default().shutdown(shutdown.signal());
        let service = service_fn(|_: Request<RequestBody>| async {
            Ok::<_, Infallible>(Response::new(String::from("hello")))
        });
        let mut peer = Peer::connect(version, options, service);
        assert_eq!(peer.get("/").await.text(), "hello");
        shutdown.start();
        peer.until_closed().await;
        let result = peer.hang_up().await.unwrap();
        assert!(result.is_ok(), "{version}: {result:?}");
    }
}
