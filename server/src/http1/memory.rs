//! The memory of an HTTP/1.1 connection in the budget of its process.

use std::task::{Context, Waker};

use http::{HeaderValue, Response, StatusCode, header};
use http_body::Body;
use lacewing_conn::driver::{
    MemoryStep,
    facade::{MemoryAccount, MemoryOrder, MemoryReport, wakers},
};

use super::{
    buffer_size,
    exchange::{Ledger, ReplyBody},
    message,
};
use crate::{ServeError, ServerEvent};

/// Bytes that a connection costs beside its buffers: its task, and hyper's state.
const CONNECTION: usize = 8 << 10;

/// The connection's account. hyper does not report the sizes of its buffers. Its reads show the
/// size of the read buffer. The write buffer counts with its maximum while the client does not
/// read.
pub(super) struct Memory<'a> {
    ledger: &'a Ledger,
    account: MemoryAccount,
    waker: Option<Waker>,
}

impl<'a> Memory<'a> {
    pub(super) fn new(ledger: &'a Ledger) -> Self {
        Self {
            ledger,
            account: ledger.options.connection.memory_budget.open_account(),
            waker: None,
        }
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
