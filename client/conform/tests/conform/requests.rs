//! Our client on any transport, with what a case needs of it.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use lacewing_client::{ClientOptions, Connection, PushPolicy, Transport, Version};
use lacewing_conform::{Case, Need};
use tokio::task::JoinHandle;

/// Makes requests for as long as the connection is open; with bodies where the
/// case needs one. What is returned ends with the connection.
pub(crate) fn make(case: &Case, io: impl Transport) -> JoinHandle<()> {
    let mut config = ClientOptions::default();
    let needs = |need| case.needs().contains(&need);
    // Clients of SPDY cannot say that they want no pushes.
    if case.version() != Version::Http2 || needs(Need::Push) {
        config = config.accept_push(PushPolicy::default());
    }
    let (connection, task) = Connection::handshake(io, case.version(), config);
    let task = tokio::spawn(async move {
        // How a connection with a scripted peer ends is for the cases to judge.
        let _ = task.await;
    });
    let upload = needs(Need::RequestBody);
    // Two at once make the second request of a case come; an upload has the
    // connection's window for itself.
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
