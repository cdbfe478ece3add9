//! The outcome of an informational response or a push.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http::StatusCode;
use lacewing_conn::proto::{OpenError, UsageError};
use tokio::sync::oneshot;

/// The outcome of an informational response or of a push. It is on its way
/// already: await this to learn the outcome. Dropping it changes nothing.
///
/// ```
/// use http::{Request, Response};
/// use lacewing_server::{BoxError, PushError, Pusher, RequestBody};
///
/// async fn page(request: Request<RequestBody>) -> Result<Response<String>, BoxError> {
///     if let Some(pusher) = request.extensions().get::<Pusher>() {
///         let style = pusher.push(Request::get("/style.css").body(())?);
///         match style.await {
///             Ok(()) | Err(PushError::Disabled) => {}
///             Err(error) => eprintln!("/style.css is not pushed: {error}"),
///         }
///     }
///     Ok(Response::new(String::from("<link rel=stylesheet href=/style.css>")))
/// }
/// # let _ = page;
/// ```
pub struct Delivery<E>(Stage<E>);

enum Stage<E> {
    Known(Option<E>),
    Pending(oneshot::Receiver<Result<(), E>>),
}

/// Reports the outcome to a [`Delivery`].
pub(crate) type Report<E> = oneshot::Sender<Result<(), E>>;

/// A delivery whose outcome is not known yet.
pub(crate) fn pending<E>() -> (Report<E>, Delivery<E>) {
    let (report, outcome) = oneshot::channel();
    (report, Delivery(Stage::Pending(outcome)))
}

impl<E> Delivery<E> {
    /// A delivery that failed before it began.
    pub(crate) fn failed(error: E) -> Self {
        Self(Stage::Known(Some(error)))
    }
}

/// An error type with a value for the end of the stream or of the connection.
pub(crate) trait Gone {
    const GONE: Self;
}

impl<E: Gone + Unpin> Future for Delivery<E> {
    type Output = Result<(), E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        match &mut self.get_mut().0 {
            Stage::Known(error) => Poll::Ready(error.take().map_or(Ok(()), Err)),
            Stage::Pending(outcome) => Pin::new(outcome)
                .poll(cx)
                .map(|outcome| outcome.unwrap_or(Err(E::GONE))),
        }
    }
}

impl<E> fmt::Debug for Delivery<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery").finish_non_exhaustive()
    }
}

/// The error of an informational response that was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InformError {
    /// The response was sent already.
    AlreadyReplied,
    /// SPDY has no informational responses.
    Unsupported,
    /// The stream or its connection has ended.
    Gone,
    /// The status is not informational, or 101, which only HTTP/1.1 has.
    NotInterim {
        /// The status in question.
        status: StatusCode,
    },
    /// The client does not read, or handlers send faster than the connection. Wait and try again,
    /// or omit the response.
    Busy,
    /// The header fields are not for an informational response, or too large.
    Malformed,
}

impl From<UsageError> for InformError {
    fn from(error: UsageError) -> Self {
        match error {
            UsageError::AlreadyReplied => Self::AlreadyReplied,
            UsageError::Unsupported => Self::Unsupported,
            UsageError::StreamClosed | UsageError::HalfClosed => Self::Gone,
            _ => Self::Malformed,
        }
    }
}

impl Gone for InformError {
    const GONE: Self = Self::Gone;
}

impl fmt::Display for InformError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AlreadyReplied => "too late: the response was sent",
            Self::Unsupported => "SPDY has no informational responses",
            Self::Gone => "the stream is gone",
            Self::NotInterim { status } => {
                return write!(
                    f,
                    "{status} is not an informational status of this protocol"
                );
            }
            Self::Busy => "too many informational responses wait for a client that does not read",
            Self::Malformed => "the header fields cannot be sent in an informational response",
        })
    }
}

impl std::error::Error for InformError {}

/// The error of a push that was not sent. The request of the parent stream does not fail with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PushError {
    /// The client accepts no pushes (SETTINGS_ENABLE_PUSH), or not any more.
    Disabled,
    /// The client accepts no more pushes at once.
    TooMany {
        /// The number that it accepts.
        max: u32,
    },
    /// The request must not be pushed.
    NotAllowed(PushRule),
    /// The response of the parent stream is complete, or its stream has ended.
    Gone,
    /// Handlers send faster than the connection.
    Busy,
}

/// The rule about pushed requests that was broken (RFC 9113 §8.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PushRule {
    /// Only GET and HEAD can be pushed: safe and cacheable.
    Method,
    /// A pushed request has no body.
    Body,
    /// Only what is on the origin of the client's request can be pushed.
    Authority,
    /// The head cannot be sent.
    Head,
}

impl fmt::Display for PushRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Method => "only GET and HEAD requests can be pushed",
            Self::Body => "a pushed request has no body",
            Self::Authority => "only what is on the origin of the client's request can be pushed",
            Self::Head => "the head of the pushed request cannot be sent",
        })
    }
}

impl From<OpenError> for PushError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::PushDisabled => Self::Disabled,
            OpenError::TooManyStreams { max } => Self::TooMany { max },
            OpenError::Usage(UsageError::StreamClosed | UsageError::HalfClosed)
            | OpenError::ShuttingDown
            | OpenError::IdsExhausted => Self::Gone,
            _ => Self::NotAllowed(PushRule::Head),
        }
    }
}

impl Gone for PushError {
    const GONE: Self = Self::Gone;
}

impl fmt::Display for PushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disabled => f.write_str("the client accepts no pushes"),
            Self::TooMany { max } => write!(f, "the client accepts {max} pushes at once"),
            Self::NotAllowed(rule) => rule.fmt(f),
            Self::Gone => f.write_str("the request that the push belongs to is gone"),
            Self::Busy => f.write_str("too many pushes wait for the connection"),
        }
    }
}

impl std::error::Error for PushError {}
