//! What moves a connection of hyper: whoever holds it, or a task of its own.

use std::{
    future::Future as _,
    mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Wake, Waker, ready},
};

use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{runtime::Handle, sync::Notify, task::AbortHandle};

use super::{transport::Counted, upload::Upload};
use crate::{Transport, telemetry};

/// The half of hyper's connection that reads and writes.
pub(super) type HyperConnection = http1::Connection<TokioIo<Counted<Box<dyn Transport>>>, Upload>;

/// Moves a connection. Whoever waits for a response does so. A task of its own would be woken for
/// each request, and wake the waiter for each response.
pub(super) struct Driver {
    mover: Mover,
    signal: Arc<Signal>,
    /// That of the signal.
    waker: Waker,
}

enum Mover {
    /// Whoever holds the connection. hyper gives its errors to the request under way.
    Holder(Pin<Box<HyperConnection>>),
    /// A task of its own.
    Task(AbortHandle),
    /// The connection is over.
    Nobody,
}

impl Driver {
    /// `keeper` is notified when something happens to the connection while it is idle.
    pub(super) fn new(connection: HyperConnection, keeper: Arc<Notify>) -> Self {
        let signal = Arc::new(Signal {
            keeper,
            state: Mutex::default(),
        });
        Self {
            mover: Mover::Holder(Box::pin(connection)),
            waker: Arc::clone(&signal).into(),
            signal,
        }
    }

    /// Polls something that comes out of the connection, and moves the connection for that.
    pub(super) fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut output: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        if let Mover::Task(_) = self.mover {
            return output(cx);
        }
        // Nobody else moves the connection, so nobody else has to be told.
        let mut unheard = Context::from_waker(Waker::noop());
        if let Poll::Ready(output) = output(&mut unheard) {
            return Poll::Ready(output);
        }
        loop {
            self.move_for(Listener::Holder(cx.waker().clone()));
            // To take an output wakes the connection, which is of no use before the next poll.
            let listener = self.signal.mute();
            if let Poll::Ready(output) = output(&mut unheard) {
                return Poll::Ready(output);
            }
            if let Listener::None = listener {
                // It was woken while hyper worked.
                return Poll::Pending;
            }
            ready!(self.signal.listen(listener));
        }
    }

    /// Takes an output that is there, without moving the connection.
    pub(super) fn take<T>(&mut self, output: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        drop(self.signal.mute());
        output(&mut Context::from_waker(Waker::noop()))
    }

    /// Returns whether nothing happened to the connection since it was moved.
    pub(super) fn is_quiet(&self) -> bool {
        match self.mover {
            Mover::Holder(_) => !self.signal.lock().fired,
            Mover::Task(_) => true,
            Mover::Nobody => false,
        }
    }

    /// The connection is idle. The keeper is told what happens to it.
    pub(super) fn rest(&mut self) {
        if self.signal.listen(Listener::Keeper).is_ready() {
            self.move_for(Listener::Keeper);
        }
    }

    /// The connection has a holder again, who polls it next.
    pub(super) fn wake_up(&self) {
        drop(self.signal.mute());
    }

    /// From now on a task moves the connection.
    pub(super) fn spawn(&mut self) {
        self.mover = match mem::replace(&mut self.mover, Mover::Nobody) {
            Mover::Holder(connection) => {
                let task = async move { drop(connection.await) };
                let task = tokio::spawn(telemetry::in_current_span(task));
                Mover::Task(task.abort_handle())
            }
            mover => mover,
        };
    }

    /// Closes the transport at once.
    pub(super) fn abort(&mut self) {
        if let Mover::Task(task) = mem::replace(&mut self.mover, Mover::Nobody) {
            task.abort();
        }
    }

    /// Closes the transport in order, with TLS's `close_notify`, once the last handle is dropped.
    pub(super) fn finish(&mut self) {
        if Handle::try_current().is_ok() {
            self.spawn();
        }
    }

    fn move_for(&mut self, listener: Listener) {
        let Mover::Holder(connection) = &mut self.mover else {
            return;
        };
        self.signal.start(listener);
        let mut cx = Context::from_waker(&self.waker);
        if connection.as_mut().poll(&mut cx).is_ready() {
            self.mover = Mover::Nobody;
        }
    }
}

/// The waker of a connection. It stays the same from one request to the next.
struct Signal {
    keeper: Arc<Notify>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Something happened since the connection was moved last.
    fired: bool,
    listener: Listener,
}

/// Who is told what happens to a connection.
#[derive(Default)]
enum Listener {
    /// Nobody: the connection is about to be moved, or its holder has what it waited for.
    #[default]
    None,
    Holder(Waker),
    Keeper,
}

impl Signal {
    /// The connection is moved now.
    fn start(&self, listener: Listener) {
        let mut state = self.lock();
        state.fired = false;
        state.listener = listener;
    }

    /// Tells nobody. Returns who would have been told.
    fn mute(&self) -> Listener {
        mem::take(&mut self.lock().listener)
    }

    /// Ready if something happened meanwhile.
    fn listen(&self, listener: Listener) -> Poll<()> {
        let mut state = self.lock();
        if state.fired {
            return Poll::Ready(());
        }
        state.listener = listener;
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut state = self.lock();
        if mem::replace(&mut state.fired, true) {
            return;
        }
        let listener = mem::take(&mut state.listener);
        drop(state);
        match listener {
            Listener::None => {}
            Listener::Holder(waker) => waker.wake(),
            Listener::Keeper => self.keeper.notify_one(),
        }
    }
}
