//! Responses that a server sends without being asked (RFC 9113 §8.4).

use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use http::{Request, Uri};
use lacewing_conn::driver::facade::wakers;

use crate::ResponseFuture;

/// Bounds for accepted pushes; for
/// [`ClientOptions::accept_push`](crate::ClientOptions::accept_push). Without one, the
/// client disables push, and refuses what SPDY servers push nevertheless.
///
/// ```
/// use lacewing_client::{Client, PushPolicy};
///
/// let policy = PushPolicy::default().max_streams(10).max_waiting(4);
/// let client = Client::builder()
///     .options(|options| options.accept_push(policy))
///     .build();
/// # let _ = client;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a policy does nothing until accept_push"]
pub struct PushPolicy {
    pub(crate) max_streams: u32,
    pub(crate) max_waiting: usize,
}

/// The pushes of one connection, in the order of their promises; from
/// [`Connection::pushes`](crate::Connection::pushes).
///
/// A promise that is not taken waits here, up to `max_waiting` of them; further
/// ones are refused. Its data is bounded by the receive windows.
///
/// ```
/// # async fn run(connection: lacewing_client::Connection) -> Result<(), lacewing_client::ClientError> {
/// let mut pushes = connection.pushes();
/// while let Some(pushed) = pushes.next().await {
///     println!("{} comes with {}", pushed.request.uri(), pushed.parent);
///     let response = pushed.response.await?;
///     println!("{}", response.status());
/// }
/// # Ok(())
/// # }
/// # let _ = run;
/// ```
#[derive(Clone, Debug)]
pub struct Pushes {
    pub(crate) waiting: Option<Arc<Waiting>>,
}

/// One push: a request that the client did not make, and the response to it.
/// Dropping the response, or its body before its end, resets the pushed stream
/// with CANCEL.
///
/// ```
/// fn name(pushed: &lacewing_client::Pushed) -> &str {
///     pushed.request.uri().path()
/// }
/// # let _ = name;
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Pushed {
    /// The URI of the request to which the push belongs.
    pub parent: Uri,
    /// The request that the server answers: GET or HEAD, of the same origin as
    /// the parent.
    pub request: Request<()>,
    /// The future of its response.
    pub response: ResponseFuture,
}

impl Default for PushPolicy {
    /// 32 pushed streams at once, 32 promises that wait to be taken.
    fn default() -> Self {
        Self {
            max_streams: 32,
            max_waiting: 32,
        }
    }
}

impl PushPolicy {
    /// Sets the number of pushed streams that may be open at once. The client refuses further ones.
    pub fn max_streams(mut self, streams: u32) -> Self {
        self.max_streams = streams;
        self
    }

    /// Sets the number of promises that may wait to be taken. The client refuses further ones.
    pub fn max_waiting(mut self, promises: usize) -> Self {
        self.max_waiting = promises;
        self
    }
}

impl Pushes {
    /// Returns the next push; `None` when the connection is over. Returns `None` at once
    /// if the connection does not accept pushes.
    pub async fn next(&mut self) -> Option<Pushed> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// As [`next`](Self::next), for futures written by hand.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Pushed>> {
        match &self.waiting {
            Some(waiting) => waiting.poll_take(cx),
            None => Poll::Ready(None),
        }
    }
}

/// The queue of pushes between the connection's task and its handles.
#[derive(Debug)]
pub(crate) struct Waiting {
    max: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    pushes: VecDeque<Pushed>,
    takers: Vec<Waker>,
    over: bool,
}

impl Waiting {
    pub(crate) fn new(policy: PushPolicy) -> Arc<Self> {
        Arc::new(Self {
            max: policy.max_waiting,
            state: Mutex::default(),
        })
    }

    pub(crate) fn is_full(&self) -> bool {
        let state = self.lock();
        state.over || state.pushes.len() >= self.max
    }

    pub(crate) fn put(&self, pushed: Pushed) {
        let mut state = self.lock();
        state.pushes.push_back(pushed);
        wake(state);
    }

    /// Drops the pushes when no handle is left, which cancels them.
    pub(crate) fn discard(&self) {
        let pushes = std::mem::take(&mut self.lock().pushes);
        drop(pushes);
    }

    /// Records that no more pushes will follow.
    pub(crate) fn end(&self) {
        let mut state = self.lock();
        state.over = true;
        wake(state);
    }

    fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Option<Pushed>> {
        let mut state = self.lock();
        if let Some(pushed) = state.pushes.pop_front() {
            return Poll::Ready(Some(pushed));
        }
        if state.over {
            return Poll::Ready(None);
        }
        wakers::register_shared(&mut state.takers, cx.waker());
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wake(mut state: MutexGuard<'_, State>) {
    let takers = std::mem::take(&mut state.takers);
    drop(state);
    wakers::wake(takers);
}
