//! Requests of Lacewing's client, as a case needs them.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use lacewing_client::{ClientOptions, Connection, PushPolicy, Transport, Version};
use lacewing_conform::{Case, Need};
use tokio::task::JoinHandle;

/// Makes requests while the connection is open, with bodies if the case needs
/// them. The returned task ends with the connection.
pub(crate) fn make(case: &Case, io: impl Transport) -> JoinHandle<()> {
    let mut config = ClientOptions::default();
    let needs = |need| case.needs().contains(&need);
    // A SPDY client cannot forbid pushes.
    if case.version() != Version::Http2 || needs(Need::Push) {
        config = config.accept_push(PushPolicy::default());
    }
    let (connection, task) = Connection::handshake(io, case.version(), config);
    let task = tokio::spawn(async move {
        // The cases judge the end of the connection.
        let _ = task.await;
    });
    let upload = needs(Need::RequestBody);
    // Some cases need two concurrent requests. An upload needs the whole window
    // of the connection.
    let at_once = if upload { 1 } else { 2 };
    for _ in 0..at_once {
        let connection = connection.clone();
        tokio::spawn(async move {
            while connection.is_open() {
                let request = if upload {
                    let body = Bytes::from(vec![b'x'; 128 * 1024]);
                    Request::post("http://localhost/upload").body(Full::new(body))
                } else {
                    Request::get("http://localhost/").body(Full::default())
                };
                let response = connection.request(request.unwrap()).await;
                if let Ok(response) = response {
                    let _ = response.into_body().collect().await;
                }
                tokio::task::yield_now().await;
            }
        });
    }
    task
}
