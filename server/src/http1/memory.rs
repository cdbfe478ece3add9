//! The memory of an HTTP/1.1 connection in the budget of its process.

use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use http::{HeaderValue, Response, StatusCode, header};
use http_body::Body;
use lacewing_conn::driver::{
    MemoryStep,
    facade::{MemoryAccount, MemoryOrder, MemoryReport, wakers},
};
use tokio::time::{Sleep, sleep};

use super::{
    buffer_size,
    exchange::{Ledger, ReplyBody},
    message,
};
use crate::{ServeError, ServerEvent};

/// Bytes that a connection costs beside its buffers: its task, and hyper's state.
const CONNECTION: usize = 8 << 10;

/// The time between two looks at the budget while nearly all memory is held.
const PAUSE: Duration = Duration::from_millis(100);

/// The most pauses in a row: ten seconds.
const MOST_PAUSES: u8 = 100;

/// The connection's account. hyper does not report the sizes of its buffers. Its reads show the
/// size of the read buffer. The write buffer counts with its maximum while the client does not
/// read.
pub(super) struct Memory<'a> {
    ledger: &'a Ledger,
    account: MemoryAccount,
    waker: Option<Waker>,
    /// The wait for connections that were ordered to end.
    pause: Option<Pin<Box<Sleep>>>,
    /// The number of pauses in a row.
    pauses: u8,
}

impl<'a> Memory<'a> {
    pub(super) fn new(ledger: &'a Ledger) -> Self {
        Self {
            ledger,
            account: ledger.options.connection.memory_budget.open_account(),
            waker: None,
            pause: None,
            pauses: 0,
        }
    }

    /// Polls the connection, unless nearly all memory is held. Connections that were ordered to end
    /// have their turns first.
    pub(super) fn poll_unless_full<F: Future>(
        &mut self,
        cx: &mut Context<'_>,
        connection: Pin<&mut F>,
    ) -> Poll<F::Output> {
        match self.must_wait(cx) {
            true => Poll::Pending,
            false => connection.poll(cx),
        }
    }

    /// The wait has an end in any case: an account may belong to something that does not obey.
    fn must_wait(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.account.budget().is_full() {
            (self.pause, self.pauses) = (None, 0);
            return false;
        }
        while self.pauses < MOST_PAUSES {
            let pause = self.pause.get_or_insert_with(|| Box::pin(sleep(PAUSE)));
            if pause.as_mut().poll(cx).is_pending() {
                return true;
            }
            self.pause = None;
            self.pauses = self.pauses.saturating_add(1);
        }
        self.pauses = 0;
        false
    }

    /// Reports the bytes that the connection holds, and obeys the budget. After an error, the
    /// connection ends.
    pub(super) fn check(&mut self, cx: &Context<'_>) -> Result<(), ServeError> {
        if wakers::register_new(&mut self.waker, cx.waker()) {
            self.account.register(cx.waker());
        }
        let stalled = self.ledger.watch.is_write_blocked();
        self.account.report(self.ledger.held());
        let Some(order) = self.account.order() else {
            return Ok(());
        };
        let step = match order {
            MemoryOrder::Close => MemoryStep::Close,
            MemoryOrder::Shed => MemoryStep::Shed,
        };
        if self.account.step() < MemoryStep::Shed {
            self.account.forget_order();
            return Ok(());
        }
        if order == MemoryOrder::Shed && !stalled {
            self.account.finish_order(0);
            return Ok(());
        }
        self.account.note(step);
        self.ledger.tell_memory_step(step);
        let budget = self.account.budget();
        Err(ServeError::Http1(
            format!(
                "memory_budget: the connections of this process hold {} of {} bytes, and this one \
                 is among those that hold most",
                budget.held(),
                budget.capacity()
            )
            .into(),
        ))
    }
}

impl Ledger {
    /// Returns whether the budget refuses a request, and reports that it does.
    pub(super) fn budget_refuses(&self) -> bool {
        let budget = &self.options.connection.memory_budget;
        if budget.step() < MemoryStep::Refuse || !budget.is_above_share(self.held()) {
            return false;
        }
        budget.count(MemoryStep::Refuse);
        self.tell_memory_step(MemoryStep::Refuse);
        true
    }

    /// Returns the bytes that the connection holds, as far as hyper shows them.
    fn held(&self) -> usize {
        let output = match self.watch.is_write_blocked() {
            true => buffer_size(&self.options.connection.limits),
            false => 0,
        };
        CONNECTION
            .saturating_add(self.watch.read_buffer())
            .saturating_add(output)
    }

    fn tell_memory_step(&self, step: MemoryStep) {
        let budget = &self.options.connection.memory_budget;
        let report = MemoryReport::of_budget(step, budget);
        self.telemetry.memory_step(&report);
        self.options.observer.tell(&ServerEvent::MemoryPressure {
            connection: &self.info,
            step,
            limit: report.limit,
            held: report.held,
            capacity: report.capacity,
            streams: usize::from(!self.is_idle()),
        });
    }
}

/// The response to a request that is refused: try again, on another connection.
pub(super) fn refusal<B: Body>() -> Response<ReplyBody<B>> {
    let mut response = message::refusal(StatusCode::SERVICE_UNAVAILABLE);
    let fields = response.headers_mut();
    fields.insert(header::CONNECTION, HeaderValue::from_static("close"));
    fields.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}
