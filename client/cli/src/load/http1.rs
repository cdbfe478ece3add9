//! A connection in HTTP/1.1, by hyper: one request at a time.

use std::{cell::Cell, future::poll_fn, pin::Pin, rc::Rc, sync::Arc, time::Instant};

use bytes::Bytes;
use http::StatusCode;
use http_body::Body as _;
use http_body_util::Full;
use hyper::{
    body::Incoming,
    client::conn::http1::{Builder, SendRequest},
};
use hyper_util::rt::TokioIo;
use lacewing_client::Transport;
use tokio::{sync::Notify, time::timeout};

use super::{
    account::{Account, Ended},
    arrivals::Wake,
    plan::{Begun, Phase, Plan, Taken},
    watching::Single,
};

/// A connection, and what it does now.
pub(super) struct Connection {
    plan: Arc<Plan>,
    account: Account,
    watched: Single,
    /// The connection's number.
    number: usize,
    /// The turn of the next request in the plan's round.
    turn: usize,
    /// The request that is under way.
    under_way: Rc<Cell<Option<Begun>>>,
}

impl Connection {
    pub(super) fn new(plan: Arc<Plan>, account: Account, watched: Single, number: usize) -> Self {
        Self {
            plan,
            account,
            watched,
            number,
            // Connections begin at different places of the round.
            turn: number,
            under_way: Rc::default(),
        }
    }

    /// Runs the connection to its end.
    pub(super) async fn drive(mut self, io: Box<dyn Transport>) -> Ended {
        let mut phase = self.plan.phase.clone();
        let under_way = Rc::clone(&self.under_way);
        let cause = tokio::select! {
            cause = self.requests(io) => cause,
            // An error means that the run is over, too.
            _ = phase.wait_for(|phase| *phase == Phase::Over) => None,
        };
        let open = under_way.take();
        Ended {
            in_flight: open
                .filter(|begun| !self.account.is_warm_up(*begun))
                .map_or(0, |_| 1),
            cause,
            answered: self.account.answered(),
        }
    }

    /// Sends requests until the plan has no more, or the connection ends: then for this cause.
    async fn requests(&mut self, io: Box<dyn Transport>) -> Option<String> {
        let handshake = Builder::new().handshake::<_, Full<Bytes>>(TokioIo::new(io));
        let (mut sender, connection) = match handshake.await {
            Ok(connection) => connection,
            Err(error) => return Some(cause(&error)),
        };
        let task = tokio::task::spawn_local(connection);
        let _guard = AbortOnDrop(task.abort_handle());
        let notify = Arc::new(Notify::new());
        let _joined = self
            .plan
            .join(self.number, || Wake::Task(Arc::clone(&notify)));
        loop {
            if let Err(error) = sender.ready().await {
                return Some(cause(&error));
            }
            let begun = self.next(&notify).await?.send(Instant::now());
            if sender.is_closed() {
                self.plan.put_back(begun);
                return Some("connection closed by the server".to_owned());
            }
            self.under_way.set(Some(begun));
            self.account.sent(begun);
            let limit = self.plan.waits.response;
            let outcome = timeout(limit, self.exchange(&mut sender, begun)).await;
            self.under_way.set(None);
            match &outcome {
                Ok(Ok(_)) => self.watched.ended(),
                _ => self.watched.failed(),
            }
            match outcome {
                Ok(Ok(status)) => self.account.complete(begun, Some(status), Instant::now()),
                Ok(Err(Failed::Untouched(cause))) => {
                    self.account.left_alone(begun, cause.clone());
                    return Some(cause);
                }
                Ok(Err(Failed::Broken(cause))) => {
                    self.account.failed(begun, cause.clone());
                    return Some(cause);
                }
                Err(_) => {
                    let cause = format!("timeout after {limit:?}");
                    self.account.failed(begun, cause.clone());
                    return Some(cause);
                }
            }
        }
    }

    /// Waits for the next request. `None`: the connection has no more.
    async fn next(&self, notify: &Notify) -> Option<Taken> {
        let mut phase = self.plan.phase.clone();
        loop {
            if !self.plan.is_sending() {
                return None;
            }
            if let Some(taken) = self.plan.take(self.number) {
                self.plan.set_room(self.number, 0);
                return Some(taken);
            }
            if self.plan.is_done(self.number) {
                return None;
            }
            // A request that is due from now on wakes the connection.
            if self.plan.set_room(self.number, 1) {
                continue;
            }
            tokio::select! {
                () = notify.notified() => {}
                _ = phase.changed() => {}
            }
        }
    }

    async fn exchange(
        &mut self,
        sender: &mut SendRequest<Full<Bytes>>,
        begun: Begun,
    ) -> Result<StatusCode, Failed> {
        let requests = &self.plan.requests;
        let Some(template) = requests.get(self.turn % requests.len().max(1)) else {
            return Err(Failed::Broken("no request".to_owned()));
        };
        self.turn = self.turn.wrapping_add(1);
        self.watched.begin(template);
        let response = sender
            .try_send_request(template.http1())
            .await
            .map_err(|mut error| match error.take_message() {
                // hyper returns the request: no byte of it was sent.
                Some(_) => Failed::Untouched(cause(error.error())),
                None => Failed::Broken(cause(error.error())),
            })?;
        self.account.first_byte(begun, Instant::now());
        let status = response.status();
        self.watched.answered(status.as_u16());
        self.read(response.into_body()).await?;
        Ok(status)
    }

    async fn read(&self, mut body: Incoming) -> Result<(), Failed> {
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            let frame = frame.map_err(|error| Failed::Broken(cause(&error)))?;
            let length = frame.data_ref().map_or(0, Bytes::len);
            self.account.received(length);
            self.watched.received(length);
        }
        Ok(())
    }
}

/// A request without a complete response.
enum Failed {
    /// The server certainly left it alone.
    Untouched(String),
    Broken(String),
}

struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The cause of a failure, without what differs from one time to the next.
fn cause(error: &hyper::Error) -> String {
    if error.is_parse() {
        return format!("the server broke a rule: {error}");
    }
    if error.is_closed() || error.is_canceled() || error.is_incomplete_message() {
        return "connection closed by the server".to_owned();
    }
    let source = std::error::Error::source(error);
    match source.and_then(|source| source.downcast_ref::<std::io::Error>()) {
        Some(error) => format!("connection lost: {}", error.kind()),
        None => format!("connection ended: {error}"),
    }
}
