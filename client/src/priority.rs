//! The urgency of a request, which can change while the request is open.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use lacewing_conn::proto::{Priority, StreamKey};

use crate::link::{Link, NewPriority};

/// A request extension that sets the request's urgency, like [`Priority`], and can change it later
/// (RFC 9218 §7). Over HTTP/2 it sends PRIORITY_UPDATE; over SPDY the change affects only the data
/// that this side sends.
///
/// A handle is for one request: put a clone into its extensions and keep the other.
///
/// ```
/// use lacewing_client::{Body, Priority, PriorityHandle};
///
/// let handle = PriorityHandle::new(Priority::new(5, false));
/// let mut request = http::Request::get("https://example.org/image").body(Body::empty()).unwrap();
/// request.extensions_mut().insert(handle.clone());
/// // The image scrolls into view:
/// handle.set(Priority::new(2, true));
/// assert_eq!(handle.priority().urgency(), 2);
/// ```
#[derive(Clone)]
pub struct PriorityHandle(Arc<Mutex<Target>>);

struct Target {
    priority: Priority,
    stream: Option<(Weak<Link>, Arc<NewPriority>)>,
}

impl PriorityHandle {
    /// Creates the handle of a request with this initial urgency.
    pub fn new(priority: Priority) -> Self {
        Self(Arc::new(Mutex::new(Target {
            priority,
            stream: None,
        })))
    }

    /// The urgency of the request.
    pub fn priority(&self) -> Priority {
        self.lock().priority
    }

    /// Changes the urgency of the request. Without effect once the response is
    /// complete.
    pub fn set(&self, priority: Priority) {
        let mut target = self.lock();
        target.priority = priority;
        if let Some((link, stream)) = &target.stream {
            if let (Some(link), Some(message)) = (link.upgrade(), stream.set(priority)) {
                // A closed connection has no streams to reorder.
                let _ = link.send(message);
            }
        }
    }

    /// Binds the handle to the request's stream. Returns the current priority.
    pub(crate) fn bind(&self, link: Weak<Link>, stream: StreamKey) -> Priority {
        let mut target = self.lock();
        target.stream = Some((link, NewPriority::new(stream)));
        target.priority
    }

    fn lock(&self) -> MutexGuard<'_, Target> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for PriorityHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PriorityHandle")
            .field("priority", &self.priority())
            .finish_non_exhaustive()
    }
}
