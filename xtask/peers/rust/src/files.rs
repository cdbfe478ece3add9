//! Bodies: digests of what comes, files for what goes.

use std::fmt::Write as _;
use std::path::PathBuf;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use http::HeaderMap;
use http_body::{Body, Frame};
use http_body_util::{BodyExt as _, StreamBody};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncReadExt as _;

/// A whole body: its length, its SHA-256 in hex, its trailers.
pub struct Digested {
    pub length: u64,
    pub sha256: String,
    pub trailers: Option<HeaderMap>,
}

/// Reads `body` to its end.
pub async fn digest<B: Body<Data = Bytes>>(body: B) -> Result<Digested, B::Error> {
    let mut body = std::pin::pin!(body);
    let mut hash = Sha256::new();
    let (mut length, mut trailers) = (0, None);
    while let Some(frame) = body.frame().await {
        match frame?.into_data() {
            Ok(data) => {
                length += data.len() as u64;
                hash.update(&data);
            }
            Err(other) => trailers = other.into_trailers().ok(),
        }
    }
    Ok(Digested {
        length,
        sha256: hex(&hash.finalize()),
        trailers,
    })
}

/// Bytes in hex.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// The file as a body, read as it is asked for; then `trailers`, if any.
pub fn body(
    path: PathBuf,
    trailers: Option<HeaderMap>,
) -> impl Body<Data = Bytes, Error = std::io::Error> + Send + 'static {
    let end = stream::iter(trailers.map(|fields| Ok(Frame::trailers(fields))));
    StreamBody::new(read(path).map(|piece| piece.map(Frame::data)).chain(end))
}

/// The file in pieces.
fn read(path: PathBuf) -> impl Stream<Item = std::io::Result<Bytes>> + Send + 'static {
    stream::try_unfold(Err(path), |state| async move {
        let mut file = match state {
            Ok(file) => file,
            Err(path) => tokio::fs::File::open(path).await?,
        };
        let mut piece = Vec::with_capacity(64 * 1024);
        let read = file.read_buf(&mut piece).await?;
        Ok((read > 0).then(|| (Bytes::from(piece), Ok(file))))
    })
}
