//! An upload with progress. The connection polls a body for its next piece when the stream may
//! send, so a body that counts its pieces knows what has left, and a slow server holds it up.
//!
//! ```text
//! cargo run -p lacewing-client --example upload
//! ```

use std::{
    convert::Infallible,
    error::Error,
    io::Write,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use lacewing_client::{Client, Version};
use lacewing_server::{RequestBody, Server, service_fn};
use tokio::sync::watch;

/// The size of the upload, and of its pieces.
const SIZE: u64 = 4 << 20;
const PIECE: usize = 64 << 10;

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    run(&mut std::io::stdout()).await
}

pub(crate) async fn run(output: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let server = Server::builder().bind(([127, 0, 0, 1], 0).into());
    let server = server.build().await?;
    let address = server.local_addrs().next().ok_or("no address")?;
    tokio::spawn(server.serve(service_fn(count)));

    let (report, mut progress) = watch::channel(0);
    let upload = Progress {
        body: Zeros { left: SIZE },
        sent: 0,
        report,
    };
    let request = Request::put(format!("http://{address}/file")).body(upload)?;
    let client = Client::builder().cleartext_protocol(Version::Http2).build();
    let mut response = std::pin::pin!(client.request(request));
    let response = loop {
        tokio::select! {
            response = &mut response => break response?,
            Ok(()) = progress.changed() => {
                let sent = *progress.borrow_and_update();
                writeln!(output, "{} %", sent * 100 / SIZE)?;
            }
        }
    };
    let answer = response.into_body().collect().await?.to_bytes();
    writeln!(
        output,
        "the server has {}",
        String::from_utf8_lossy(&answer)
    )?;
    Ok(())
}

/// A body that reports how much of another one has left.
struct Progress<B> {
    body: B,
    sent: u64,
    report: watch::Sender<u64>,
}

impl<B: Body<Data = Bytes> + Unpin> Body for Progress<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame {
            self.sent += frame.data_ref().map_or(0, |data| data.len() as u64);
            self.report.send_replace(self.sent);
        }
        Poll::Ready(frame)
    }

    // With a known size, the request has a content-length.
    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// As good as a file.
struct Zeros {
    left: u64,
}

impl Body for Zeros {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let length = self.left.min(PIECE as u64);
        if length == 0 {
            return Poll::Ready(None);
        }
        self.left -= length;
        let piece = Bytes::from_static(&[0; PIECE]).slice(..usize::try_from(length).unwrap_or(0));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// Reads the upload, and answers with its length.
async fn count(request: Request<RequestBody>) -> Result<Response<String>, lacewing_server::Error> {
    let mut body = request.into_body();
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        bytes += frame?.data_ref().map_or(0, Bytes::len);
    }
    Ok(Response::new(format!("{bytes} bytes")))
}
