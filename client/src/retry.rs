//! Repeats requests that a server did not process.

use std::{sync::Arc, time::Duration};

use http::{Request, Response};
use lacewing_conn::{Reason, driver::Incoming};

use crate::{
    ClientError, Connection, GivenUp, Origin, ResponseFuture,
    age::Age,
    body::RequestBody,
    error::is_pointless,
    link::{Failure, Progress, Rest, Submission},
    pool::Pool,
    spare::Again,
    telemetry,
};

/// The pause after the first try without progress; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The number of tries of one request while other requests were answered. Each try needs an
/// answered request, so this limit only stops a server that answers all requests but one.
const TRIES_OVERTAKEN: u32 = 10_000;

/// Sends a request over a connection. The failure has what [`again`] needs.
pub(crate) fn send(
    connection: &Connection,
    request: Request<RequestBody>,
    age: Age,
) -> ResponseFuture {
    connection.send(Submission::new(request, age, Again::Possible))
}

/// One request, repeated as long as the server does not process it.
pub(crate) async fn exchange(
    pool: Arc<Pool>,
    origin: Origin,
    request: Request<RequestBody>,
    age: Age,
) -> Result<Response<Incoming>, ClientError> {
    match pool.send(&origin, request, age).await {
        Ok(response) => Ok(response),
        // In a box: it is rare, and each request would have room for it.
        Err(failure) => Box::pin(again(pool, origin, age, failure)).await,
    }
}

/// The tries after the first one, which failed.
pub(crate) async fn again(
    pool: Arc<Pool>,
    origin: Origin,
    age: Age,
    mut failure: Box<Failure>,
) -> Result<Response<Incoming>, ClientError> {
    let mut tries = Tries::new(pool.settings().max_retries);
    #[cfg(feature = "http1")]
    {
        failure = match in_http1(&pool, &origin, age, failure).await {
            Ok(response) => return Ok(response),
            Err(failure) => failure,
        };
    }
    loop {
        let Failure {
            error,
            rest,
            progress,
        } = *failure;
        // A full queue is the caller's error to handle.
        let unprocessed = match error {
            ClientError::Connection(cause) if cause.is_retryable() => cause,
            error => return Err(error),
        };
        let pause = match tries.next(&unprocessed, progress) {
            Ok(pause) => pause,
            Err(why) => return Err(tries.given_up(why, unprocessed)),
        };
        let next = match rest {
            Rest::Whole(request) => *request,
            Rest::Body(_) | Rest::Nothing => {
                return Err(tries.given_up(GivenUp::BodySpent, unprocessed));
            }
        };
        telemetry::retried(&origin, &unprocessed);
        if let Some(pause) = pause {
            tokio::time::sleep(pause).await;
        }
        failure = match pool.send(&origin, next, age).await {
            Ok(response) => return Ok(response),
            Err(failure) => failure,
        };
    }
}

/// Repeats a request once in HTTP/1.1, if that is what its server requires.
#[cfg(feature = "http1")]
async fn in_http1(
    pool: &Arc<Pool>,
    origin: &Origin,
    age: Age,
    mut failure: Box<Failure>,
) -> crate::link::Outcome {
    let reason = failure.error.connection().map(lacewing_conn::Error::reason);
    if reason != Some(Reason::Http11Required) {
        return Err(failure);
    }
    match std::mem::replace(&mut failure.rest, Rest::Nothing) {
        Rest::Whole(request) => match pool.repeat_in_http1(origin, request, age).await {
            Ok(outcome) => outcome,
            Err(request) => {
                failure.rest = Rest::Whole(request);
                Err(failure)
            }
        },
        rest => {
            failure.rest = rest;
            Err(failure)
        }
    }
}

/// The tries of a request so far.
#[derive(Debug)]
struct Tries {
    /// The most retries in a row without progress.
    max_retries: u32,
    /// Tries without progress since the last answered request.
    fruitless: u32,
    /// Tries after which the connection had answered other requests.
    overtaken: u32,
    /// All tries.
    made: u32,
}

impl Tries {
    fn new(max_retries: u32) -> Self {
        Self {
            max_retries,
            fruitless: 0,
            overtaken: 0,
            made: 0,
        }
    }

    /// Decides whether to try again after this failure, and after which pause. A try is not counted
    /// if the connection answered other requests: the server only had no room yet.
    fn next(
        &mut self,
        error: &lacewing_conn::Error,
        progress: Progress,
    ) -> Result<Option<Duration>, GivenUp> {
        self.made = self.made.saturating_add(1);
        if is_pointless(error) {
            return Err(GivenUp::Pointless);
        }
        // After ENHANCE_YOUR_CALM there is always a pause, even if other requests were answered.
        if progress == Progress::Made && error.reason() != Reason::EnhanceYourCalm {
            self.fruitless = 0;
            self.overtaken = self.overtaken.saturating_add(1);
            return if self.max_retries == 0 || self.overtaken > TRIES_OVERTAKEN {
                Err(GivenUp::TriesSpent)
            } else {
                Ok(None)
            };
        }
        if self.fruitless >= self.max_retries {
            return Err(GivenUp::TriesSpent);
        }
        let doubled = FIRST_PAUSE.saturating_mul(1 << self.fruitless.min(16));
        self.fruitless = self.fruitless.saturating_add(1);
        Ok(Some(doubled.min(LONGEST_PAUSE)))
    }

    fn given_up(&self, why: GivenUp, source: lacewing_conn::Error) -> ClientError {
        ClientError::NotProcessed {
            tries: self.made,
            why,
            source,
        }
    }
}

#[cfg(test)]
mod tests {
    use lacewing_conn::{Error as Cause, Initiator};

    use super::*;

    fn refused() -> Cause {
        Cause::reset(Initiator::Peer, Reason::RefusedStream)
    }

    #[test]
    fn pauses_grow_between_fruitless_tries_and_these_are_counted() {
        let mut tries = Tries::new(9);
        let mut pauses = Vec::new();
        while let Ok(pause) = tries.next(&refused(), Progress::None) {
            pauses.push(pause.unwrap().as_millis());
        }
        assert_eq!(pauses, [10, 20, 40, 80, 160, 320, 640, 1000, 1000]);
        let error = tries.given_up(GivenUp::TriesSpent, refused()).to_string();
        assert!(error.contains("10 tries"), "{error}");
        assert!(error.contains("REFUSED_STREAM"), "{error}");
    }

    #[test]
    fn progress_of_others_costs_nothing_and_starts_anew() {
        let mut tries = Tries::new(1);
        for _ in 0..100 {
            assert!(matches!(
                tries.next(&refused(), Progress::None),
                Ok(Some(FIRST_PAUSE))
            ));
            for _ in 0..10 {
                assert_eq!(tries.next(&refused(), Progress::Made), Ok(None));
            }
        }
        let spent = (0..TRIES_OVERTAKEN).any(|_| tries.next(&refused(), Progress::Made).is_err());
        assert!(spent, "there is an end to it");
        let mut tries = Tries::new(0);
        assert!(tries.next(&refused(), Progress::Made).is_err());
    }

    #[test]
    fn what_would_end_the_same_is_not_tried_and_calm_is_kept() {
        for reason in [Reason::Http11Required, Reason::InadequateSecurity] {
            let error = Cause::connection(Initiator::Peer, reason, "GOAWAY");
            let next = Tries::new(5).next(&error, Progress::Made);
            assert_eq!(next, Err(GivenUp::Pointless), "{reason}");
        }
        let error = Cause::connection(Initiator::Peer, Reason::EnhanceYourCalm, "GOAWAY");
        let next = Tries::new(5).next(&error, Progress::Made);
        assert_eq!(next, Ok(Some(FIRST_PAUSE)));
    }
}
