//! The application behind every bench server: one piece of code, generic over
//! the library's request body, so that only the protocol stack differs.
//!
//! | request | answer |
//! |---|---|
//! | `GET /` | `hello world` |
//! | `GET /bytes/N` | N bytes, in pieces of 64 KiB out of one static block |
//! | `POST /upload` | reads the body, answers its length in decimal |
//! | `POST /echo` | streams the body back |
//! | `GET /allocations` | [`Counts`] so far, `name=number` a line |

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};

use crate::allocations::Counts;

/// The application.
#[derive(Clone, Copy, Debug, Default)]
pub struct Routes;

impl Routes {
    /// Answers `request`; the future allocates nothing.
    pub fn respond<B: Body<Data = Bytes>>(self, request: Request<B>) -> Answer<B> {
        let (head, body) = request.into_parts();
        let path = head.uri.path();
        match (&head.method, path) {
            (&Method::GET, "/") => Answer::text(Bytes::from_static(b"hello world")),
            (&Method::POST, "/upload") => Answer::Upload { body, received: 0 },
            (&Method::POST, "/echo") => Answer::body(RouteBody::Echo(body)),
            (&Method::GET, "/allocations") => Answer::text(allocations()),
            (&Method::GET, _) => match path.strip_prefix("/bytes/").map(str::parse) {
                Some(Ok(left)) => Answer::body(RouteBody::Repeat { left }),
                Some(Err(_)) => Answer::status(StatusCode::BAD_REQUEST),
                None => Answer::status(StatusCode::NOT_FOUND),
            },
            _ => Answer::status(StatusCode::NOT_FOUND),
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> tower_service::Service<Request<B>> for Routes {
    type Response = Response<RouteBody<B>>;
    type Error = B::Error;
    type Future = Answer<B>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), B::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Answer<B> {
        self.respond(request)
    }
}

impl<B: Body<Data = Bytes> + Unpin> hyper::service::Service<Request<B>> for Routes {
    type Response = Response<RouteBody<B>>;
    type Error = B::Error;
    type Future = Answer<B>;

    fn call(&self, request: Request<B>) -> Answer<B> {
        self.respond(request)
    }
}

/// The future of an answer: ready at once, but for an upload.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub enum Answer<B> {
    /// A response that waits for nothing; `None` once given out.
    Ready(Option<Response<RouteBody<B>>>),
    /// Reads the request's body to its end.
    Upload {
        /// The request's body.
        body: B,
        /// Bytes read so far.
        received: u64,
    },
}

impl<B> Answer<B> {
    fn body(body: RouteBody<B>) -> Answer<B> {
        Answer::Ready(Some(Response::new(body)))
    }

    fn text(text: Bytes) -> Answer<B> {
        Answer::body(RouteBody::Once(Some(text)))
    }

    fn status(status: StatusCode) -> Answer<B> {
        let mut response = Response::new(RouteBody::Once(None));
        *response.status_mut() = status;
        Answer::Ready(Some(response))
    }
}

impl<B: Body<Data = Bytes> + Unpin> Future for Answer<B> {
    type Output = Result<Response<RouteBody<B>>, B::Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Answer::Ready(response) => match response.take() {
                Some(response) => Poll::Ready(Ok(response)),
                None => Poll::Pending,
            },
            Answer::Upload { body, received } => {
                while let Some(frame) = ready!(Pin::new(&mut *body).poll_frame(context)) {
                    if let Some(data) = frame?.data_ref() {
                        *received += data.len() as u64;
                    }
                }
                let text = Bytes::from(received.to_string());
                Poll::Ready(Ok(Response::new(RouteBody::Once(Some(text)))))
            }
        }
    }
}

/// A response's body (and the bench client's request body).
#[derive(Debug)]
pub enum RouteBody<B> {
    /// These bytes, then the end.
    Once(Option<Bytes>),
    /// `left` bytes out of a static block.
    Repeat {
        /// The bytes that are left.
        left: u64,
    },
    /// The request's body.
    Echo(B),
}

impl<B: Body<Data = Bytes> + Unpin> Body for RouteBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.get_mut() {
            RouteBody::Once(data) => Poll::Ready(data.take().map(|data| Ok(Frame::data(data)))),
            RouteBody::Repeat { left: 0 } => Poll::Ready(None),
            RouteBody::Repeat { left } => {
                let piece = piece(*left);
                *left -= piece.len() as u64;
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(piece)))))
            }
            RouteBody::Echo(body) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            RouteBody::Once(data) => data.is_none(),
            RouteBody::Repeat { left } => *left == 0,
            RouteBody::Echo(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            RouteBody::Once(data) => {
                SizeHint::with_exact(data.as_ref().map_or(0, |data| data.len() as u64))
            }
            RouteBody::Repeat { left } => SizeHint::with_exact(*left),
            RouteBody::Echo(body) => body.size_hint(),
        }
    }
}

const PIECE: usize = 64 * 1024;
static BLOCK: [u8; PIECE] = [b'.'; PIECE];

/// At most `left` bytes of the block.
fn piece(left: u64) -> &'static [u8] {
    let len = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
    BLOCK.get(..len).unwrap_or(&BLOCK)
}

fn allocations() -> Bytes {
    let counts = Counts::now();
    if counts == Counts::default() {
        return Bytes::from_static(b"not counted: build with --features count-allocations\n");
    }
    let Counts {
        allocations,
        bytes,
        live_bytes,
    } = counts;
    format!("allocations={allocations}\nbytes={bytes}\nlive_bytes={live_bytes}\n").into()
}
