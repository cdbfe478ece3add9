//! Requests to origins that speak HTTP/1.1.

use std::sync::Arc;

use http::Request;

use super::{Kept, Made, Pool, outcome};
use crate::{
    Connecting, Connection, Origin,
    age::Age,
    body::RequestBody,
    http1::{self, Http1Connection, Lease, Next, Sent},
    link::{Failure, Outcome, Submission},
    spare::Again,
};

impl Pool {
    /// Repeats a request in HTTP/1.1, which the server requires. The origin's later requests go the
    /// same way, for `idle_timeout` and as long as its HTTP/1.1 connections are kept. Returns the request if the connector
    /// does not speak HTTP/1.1.
    pub(crate) async fn repeat_in_http1(
        self: &Arc<Self>,
        origin: &Origin,
        request: Box<Request<RequestBody>>,
        age: Age,
    ) -> Result<Outcome, Box<Request<RequestBody>>> {
        if self.connector.connect_http1(origin).is_none() {
            return Err(request);
        }
        self.http1.require(origin);
        // They end when their last responses are complete.
        drop(self.take_connections(origin));
        Ok(self.send_http1(origin, *request, age).await)
    }

    /// Removes the origin's connections in multiplexed protocols.
    fn take_connections(&self, origin: &Origin) -> Vec<Kept> {
        let mut entries = self.lock();
        let Some(entry) = entries.by_origin.get_mut(origin) else {
            return Vec::new();
        };
        let taken = std::mem::take(&mut entry.connections);
        entries.forget_empty(origin);
        taken
    }

    /// Makes a transport in the protocol that the server chooses, or in HTTP/1.1 if it requires that.
    pub(super) fn connect<'a>(&'a self, origin: &'a Origin) -> Connecting<'a> {
        let required = self.http1.is_required(origin);
        let http1 = required.then(|| self.connector.connect_http1(origin));
        let http1 = http1.flatten();
        http1.unwrap_or_else(|| self.connector.connect(origin))
    }

    /// Sends a request over an idle connection. If the server closed that one, over another.
    pub(super) async fn send_http1_over(
        self: &Arc<Self>,
        (connection, place): (Http1Connection, http1::Permit),
        origin: &Origin,
        request: Request<RequestBody>,
        age: Age,
    ) -> Outcome {
        let origins = Arc::clone(&self.http1);
        let lease = Lease::new(connection, Some(place), origins, origin.clone());
        let options = &self.settings.options;
        match http1::send(lease, request, options, origin.security()).await {
            Sent::Response(response) => Ok(response),
            Sent::Failed(failure) => Err(failure),
            Sent::Closed {
                request,
                place,
                next,
            } => {
                // In a box: it is rare, and each request would have room for it.
                let other = self.send_http1_again(origin, *request, age, place, next);
                Box::pin(other).await
            }
        }
    }

    /// Sends a request over an idle connection of the origin, or over a new one.
    pub(super) async fn send_http1(
        self: &Arc<Self>,
        origin: &Origin,
        request: Request<RequestBody>,
        age: Age,
    ) -> Outcome {
        match self.http1.place(origin).await {
            Ok(place) => {
                let place = Some(place);
                let sent = self.send_http1_again(origin, request, age, place, Next::Any);
                sent.await
            }
            Err(error) => Err(Failure::unsent(error, request)),
        }
    }

    async fn send_http1_again(
        self: &Arc<Self>,
        origin: &Origin,
        mut request: Request<RequestBody>,
        age: Age,
        mut place: Option<http1::Permit>,
        mut next: Next,
    ) -> Outcome {
        // Each turn uses up an idle connection; a new one is never `Closed`.
        loop {
            let idle = match next {
                Next::Any => self.http1.take(origin),
                Next::New => None,
            };
            let connection = match idle {
                Some(connection) => connection,
                None => match self.dial(origin, &mut None).await {
                    Ok(Made::Http1(connection)) => connection,
                    Ok(Made::Multiplexed { connection, .. }) => {
                        self.adopt(origin, &connection);
                        return outcome(connection.send(Submission::new(
                            request,
                            age,
                            Again::Possible,
                        )))
                        .await;
                    }
                    Err(error) => return Err(Failure::unsent(error, request)),
                },
            };
            let origins = Arc::clone(&self.http1);
            let lease = Lease::new(connection, place.take(), origins, origin.clone());
            match http1::send(lease, request, &self.settings.options, origin.security()).await {
                Sent::Response(response) => return Ok(response),
                Sent::Failed(failure) => return Err(failure),
                Sent::Closed {
                    request: again,
                    place: free,
                    next: then,
                } => {
                    request = *again;
                    place = free;
                    next = then;
                }
            }
        }
    }

    /// Keeps the first HTTP/1.1 connection of an origin. The requests that wait continue by
    /// themselves.
    pub(super) fn serve_queue_http1(self: &Arc<Self>, origin: &Origin, made: Http1Connection) {
        self.http1.put(origin, made);
        let mut entries = self.lock();
        while let Some((_, waiting)) = entries.pop(origin) {
            waiting.proceed_in_http1(origin);
        }
        if let Some(entry) = entries.by_origin.get_mut(origin) {
            entry.dial = None;
        }
        entries.forget_empty(origin);
    }

    /// Keeps a connection of a server that chose HTTP/1.1 before, and another protocol now.
    fn adopt(self: &Arc<Self>, origin: &Origin, connection: &Connection) {
        self.http1.forget(origin);
        let mut entries = self.lock();
        self.keep(&mut entries, origin, connection);
    }
}
