//! The book about every exchange, and the rules that hold in the end.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use http::{Method, Uri};
use lacewing_client::ClientError;

use crate::{
    content::{Live, Seen},
    plan::{Outcome, Plan, Reading},
};

/// Everything that the tasks of a schedule share.
#[derive(Debug)]
pub(crate) struct World {
    plans: Vec<Plan>,
    records: Vec<Record>,
    /// Requests of the client; the plans behind them are those of pushes.
    requests: u32,
    live: Arc<AtomicUsize>,
}

/// The record of one exchange.
#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) calls: AtomicUsize,
    pub(crate) promised: AtomicBool,
    pub(crate) handler_failed: AtomicUsize,
    pub(crate) handler_panicked: AtomicUsize,
    pub(crate) response_failed: Arc<AtomicUsize>,
    pub(crate) upload_failed: Arc<AtomicUsize>,
    /// The request's content, as handlers saw it.
    pub(crate) uploads: Mutex<Vec<Seen>>,
    /// The outcome for the user.
    pub(crate) ended: Mutex<Vec<Ended>>,
}

/// The outcome of a request.
#[derive(Clone, Debug)]
pub(crate) enum Ended {
    GaveUp,
    Failed(ClientError),
    Responded(u16, Seen),
}

/// The degree to which faults disturb the exchanges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weather {
    /// Only what the plans have.
    Calm,
    /// Graceful shutdowns too.
    Leaving,
    /// Anything.
    Storm,
}

/// The content of responses differs from that of requests.
pub(crate) fn response_number(number: u32) -> u32 {
    number + 1_000
}

fn count(counter: &AtomicUsize) -> usize {
    counter.load(Ordering::Relaxed)
}

impl World {
    /// `plans` has the requests first, and one plan for each of their pushes behind.
    pub(crate) fn new(requests: usize, plans: Vec<Plan>) -> Arc<Self> {
        Arc::new(Self {
            records: plans.iter().map(|_| Record::default()).collect(),
            plans,
            requests: requests as u32,
            live: Arc::default(),
        })
    }

    pub(crate) fn live(&self) -> Live {
        Live::new(&self.live)
    }

    pub(crate) fn plan(&self, number: u32) -> &Plan {
        &self.plans[number as usize]
    }

    pub(crate) fn record(&self, number: u32) -> &Record {
        &self.records[number as usize]
    }

    pub(crate) fn of(&self, uri: &Uri) -> (u32, &Plan, &Record) {
        let number = uri.path().trim_start_matches('/').parse().unwrap();
        (number, self.plan(number), self.record(number))
    }

    pub(crate) fn pushes_of(&self, number: u32) -> std::ops::Range<u32> {
        let pushes = |plan: &Plan| plan.handler.pushes as u32;
        let before: u32 = self.plans[..number as usize].iter().map(pushes).sum();
        let start = self.requests + before;
        start..start + pushes(self.plan(number))
    }

    /// The number of the content that the user receives.
    pub(crate) fn expected_number(&self, number: u32) -> u32 {
        match self.plan(number).handler.result {
            Outcome::Echoes => number,
            _ => response_number(number),
        }
    }

    /// No future, body or handler is left.
    pub(crate) fn is_empty(&self) -> bool {
        count(&self.live) == 0
    }

    pub(crate) fn assert_rules(&self, weather: Weather) {
        for number in 0..self.plans.len() as u32 {
            let is_push = number >= self.requests;
            self.assert_rules_of(number, is_push, weather);
        }
    }

    fn assert_rules_of(&self, number: u32, is_push: bool, weather: Weather) {
        let (plan, record) = (self.plan(number), self.record(number));
        let describe = || format!("{number} (push: {is_push}), {weather:?}: {plan:#?} {record:#?}");
        let ended = record.ended.lock().unwrap().clone();
        let calls = count(&record.calls);
        assert!(calls <= 1, "called {calls} times: {}", describe());
        if is_push {
            assert!(ended.len() <= 1, "{} outcomes: {}", ended.len(), describe());
        } else {
            assert!(ended.len() == 1, "{} outcomes: {}", ended.len(), describe());
        }
        for seen in record.uploads.lock().unwrap().iter() {
            self.assert_upload(plan, seen, &describe);
        }
        let Some(ended) = ended.first() else {
            return;
        };
        if let Ended::Responded(status, seen) = ended {
            self.assert_response(plan, record, *status, seen, &describe);
        }
        if weather == Weather::Storm || is_push {
            return;
        }
        match ended {
            Ended::GaveUp => {}
            Ended::Failed(error) => {
                let leaves = weather == Weather::Leaving
                    && (error.is_retryable() || matches!(error, ClientError::NotProcessed { .. }));
                // A server that leaves closes connections whose protocol it does not know yet.
                let unknown = error
                    .to_string()
                    .contains("closed the transport without a frame");
                let leaves = leaves || (weather == Weather::Leaving && unknown);
                if leaves {
                    assert!(calls == 0, "not processed, but called: {}", describe());
                    return;
                }
                let sound = plan.upload.as_ref().is_none_or(|upload| upload.is_sound());
                assert!(!sound || !self.responds(plan), "failed: {}", describe());
            }
            Ended::Responded(_, Seen::Failed { .. }) => {
                let sound = plan.upload.as_ref().is_none_or(|upload| upload.is_sound())
                    && plan.expected().is_sound();
                assert!(!sound, "cut: {}", describe());
            }
            Ended::Responded(..) => {}
        }
    }

    fn responds(&self, plan: &Plan) -> bool {
        // A wrong length is refused before anything is sent.
        let response = plan.expected();
        response.is_sound()
            || plan.handler.result == Outcome::Fails
            || plan.handler.result == Outcome::Panics
    }

    fn assert_upload(&self, plan: &Plan, seen: &Seen, describe: &dyn Fn() -> String) {
        let Seen::Whole { len, trailers } = seen else {
            return;
        };
        match &plan.upload {
            None => assert!((*len, *trailers) == (0, false), "content: {}", describe()),
            Some(upload) => {
                assert!(upload.is_sound(), "a cut upload is whole: {}", describe());
                assert!(
                    (*len, *trailers) == (upload.len, upload.trailers),
                    "an upload that ended early is whole: {}",
                    describe()
                );
            }
        }
    }

    fn assert_response(
        &self,
        plan: &Plan,
        record: &Record,
        status: u16,
        seen: &Seen,
        describe: &dyn Fn() -> String,
    ) {
        if status != 200 {
            let failed = count(&record.handler_failed)
                + count(&record.handler_panicked)
                + count(&record.response_failed)
                + count(&record.upload_failed);
            let refused = [408, 413, 417, 431, 503].contains(&status);
            let wrong = !plan.expected().is_sound();
            assert!(
                refused || failed > 0 || wrong,
                "status {status}: {}",
                describe()
            );
            return;
        }
        assert!(
            count(&record.calls) == 1,
            "a response of no handler: {}",
            describe()
        );
        let planned = [Outcome::Responds, Outcome::Echoes].contains(&plan.handler.result);
        assert!(
            planned,
            "a response of a handler that failed: {}",
            describe()
        );
        let expected = plan.expected();
        let head = plan.method == Method::HEAD;
        match seen {
            Seen::Whole { len, .. } if head => assert!(*len == 0, "{}", describe()),
            Seen::Whole { len, trailers } => {
                assert!(
                    expected.is_sound(),
                    "a cut response is whole: {}",
                    describe()
                );
                assert!(
                    (*len, *trailers) == (expected.len, expected.trailers),
                    "a response that ended early is whole: {}",
                    describe()
                );
            }
            Seen::Failed { len, .. } => assert!(*len <= expected.len, "{}", describe()),
            Seen::Left { .. } => {
                let all = plan.user.reading == Reading::All;
                assert!(!all, "{}", describe());
            }
        }
    }
}

impl World {
    pub(crate) fn requests(&self) -> std::ops::Range<u32> {
        0..self.requests
    }

    /// No user left before the end: nothing was on its way when the connection ended.
    pub(crate) fn is_heard_out(&self) -> bool {
        self.records.iter().all(|record| {
            let ended = record.ended.lock().unwrap();
            let whole = |ended: &Ended| matches!(ended, Ended::Responded(_, Seen::Whole { .. }));
            ended.iter().all(whole)
        })
    }

    /// Handlers that panicked, and that gave errors.
    pub(crate) fn handlers_that_failed(&self) -> (usize, usize) {
        let sum = |of: fn(&Record) -> usize| self.records.iter().map(of).sum();
        (
            sum(|record| count(&record.handler_panicked)),
            sum(|record| count(&record.handler_failed)),
        )
    }
}
