//! The account of a connection: the outcomes of its requests, in the counts of its thread.

use std::{cell::RefCell, rc::Rc, sync::Arc, time::Instant};

use http::StatusCode;

use super::{
    plan::{Begun, Plan},
    tally::Tally,
};

/// Requests in a row that a server may leave alone before they count as failed. A server that
/// refuses everything cannot keep a run alive.
const MAX_FRUITLESS: u32 = 1_000;

/// Counts the outcomes of a connection's requests.
pub(super) struct Account {
    plan: Arc<Plan>,
    tally: Rc<RefCell<Tally>>,
    /// Requests that the server left alone since the last response.
    fruitless: u32,
    /// Complete responses.
    answered: u64,
}

/// The end of a connection.
pub(super) struct Ended {
    /// Requests that were under way, those of the warm-up left out.
    pub(super) in_flight: usize,
    /// Why it ended before the plan did.
    pub(super) cause: Option<String>,
    /// Complete responses.
    pub(super) answered: u64,
}

impl Account {
    pub(super) fn new(plan: Arc<Plan>, tally: Rc<RefCell<Tally>>) -> Self {
        Self {
            plan,
            tally,
            fruitless: 0,
            answered: 0,
        }
    }

    /// Complete responses on the connection.
    pub(super) fn answered(&self) -> u64 {
        self.answered
    }

    pub(super) fn is_warm_up(&self, begun: Begun) -> bool {
        begun.planned < self.plan.steady_from
    }

    pub(super) fn sent(&self, begun: Begun) {
        if let Some(live) = &self.plan.live {
            live.sent();
        }
        if !self.is_warm_up(begun) {
            if let Some(judged) = &self.plan.judged {
                judged.sent();
            }
            self.tally.borrow_mut().sent += 1;
        }
    }

    /// Counts bytes of content.
    pub(super) fn received(&self, bytes: usize) {
        self.tally.borrow_mut().received += bytes as u64;
    }

    /// Counts the head of a response.
    pub(super) fn first_byte(&self, begun: Begun, now: Instant) {
        if !self.is_warm_up(begun) {
            let time = now.saturating_duration_since(begun.sent);
            self.tally.borrow_mut().first_byte.record(time);
        }
    }

    /// Counts a complete response. `status`: `None` for a raw stream.
    pub(super) fn complete(&mut self, begun: Begun, status: Option<StatusCode>, now: Instant) {
        self.answered += 1;
        self.fruitless = 0;
        if let Some(live) = &self.plan.live {
            live.answered(now.saturating_duration_since(begun.sent));
        }
        let mut tally = self.tally.borrow_mut();
        if self.is_warm_up(begun) {
            tally.warm_up += 1;
        } else {
            let at = now.saturating_duration_since(self.plan.steady_from);
            let service = now.saturating_duration_since(begun.sent);
            let response = self.plan.is_open_loop();
            let response = response.then(|| now.saturating_duration_since(begun.planned));
            if let Some(judged) = &self.plan.judged {
                let good = status.is_none_or(|status| status.as_u16() < 400);
                judged.answered(good, response.unwrap_or(service));
            }
            tally.count_response(status, service, response, at);
        }
    }

    /// Returns a request to the plan: the server left it alone. After too many, it has failed.
    pub(super) fn left_alone(&mut self, begun: Begun, cause: String) {
        if self.fruitless >= MAX_FRUITLESS {
            return self.failed(begun, cause);
        }
        self.fruitless += 1;
        self.plan.put_back(begun);
        if let Some(live) = &self.plan.live {
            live.left_alone();
        }
        let mut tally = self.tally.borrow_mut();
        if !self.is_warm_up(begun) {
            tally.sent = tally.sent.saturating_sub(1);
            if let Some(judged) = &self.plan.judged {
                judged.left_alone();
            }
        }
        tally.repeated.count(cause);
    }

    /// Counts a request without a complete response.
    pub(super) fn failed(&self, begun: Begun, cause: String) {
        if let Some(live) = &self.plan.live {
            live.failed();
        }
        let mut tally = self.tally.borrow_mut();
        if self.is_warm_up(begun) {
            tally.warm_up_failed += 1;
        } else {
            if let Some(judged) = &self.plan.judged {
                judged.failed();
            }
            tally.count_failure(cause, self.plan.steady_from.elapsed());
        }
    }
}
