//! Server-Sent Events: a server that sends an event now and then, and a client that reads each as
//! soon as it comes. A body is a stream of pieces, and nothing waits for its end.
//!
//! ```text
//! cargo run -p lacewing-client --example sse
//! ```

use std::{convert::Infallible, error::Error, io::Write, time::Duration};

use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use lacewing_client::{Body, Client, Version};
use lacewing_server::{RequestBody, Server, service_fn};

/// The longest event that is read.
const MAX_EVENT: usize = 64 << 10;

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    run(&mut std::io::stdout()).await
}

pub(crate) async fn run(output: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let server = Server::builder().bind(([127, 0, 0, 1], 0).into());
    let server = server.build().await?;
    let address = server.local_addrs().next().ok_or("no address")?;
    tokio::spawn(server.serve(service_fn(events)));

    let client = Client::builder().cleartext_protocol(Version::Http2).build();
    let request = Request::get(format!("http://{address}/clock"))
        .header("accept", "text/event-stream")
        .body(Body::empty())?;
    let mut body = client.request(request).await?.into_body();
    let mut text = String::new();
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame?.into_data() else {
            continue;
        };
        text.push_str(std::str::from_utf8(&piece)?);
        // A piece may end in the middle of an event: an empty line ends it.
        while let Some((event, rest)) = text.split_once("\n\n") {
            let data = event.lines().filter_map(|line| line.strip_prefix("data: "));
            writeln!(output, "{}", data.collect::<Vec<_>>().join(" "))?;
            text = rest.to_owned();
        }
        if text.len() > MAX_EVENT {
            return Err("an event has no end".into());
        }
    }
    Ok(())
}

/// Sends three events, with a pause before each.
async fn events(
    _: Request<RequestBody>,
) -> Result<Response<impl http_body::Body<Data = Bytes, Error = Infallible>>, Infallible> {
    let events = stream::unfold(1, |number| async move {
        if number > 3 {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        let event = format!("id: {number}\ndata: tick\ndata: {number}\n\n");
        let frame = Frame::data(Bytes::from(event));
        Some((Ok::<_, Infallible>(frame), number + 1))
    });
    let mut response = Response::new(StreamBody::new(Box::pin(events)));
    let fields = response.headers_mut();
    fields.insert(
        "content-type",
        http::HeaderValue::from_static("text/event-stream"),
    );
    fields.insert("cache-control", http::HeaderValue::from_static("no-cache"));
    Ok(response)
}
