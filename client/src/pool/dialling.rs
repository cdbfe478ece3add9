//! The task that makes connections for waiting requests, one at a time for each origin.

use std::sync::Arc;

#[cfg(feature = "h2c")]
use super::wait_queue::{Answered, Waiting};
use super::{Made, Pool};
#[cfg(feature = "h2c")]
use crate::link::Failure;
use crate::{ClientError, Origin};

/// The task that makes connections for the queue of an origin.
pub(super) struct Dialling {
    pub(super) pool: Arc<Pool>,
    pub(super) origin: Origin,
    pub(super) serial: u64,
}

impl Dialling {
    pub(super) async fn run(self) {
        loop {
            match self.make().await {
                Ok(Made::Multiplexed { connection, .. }) => {
                    if !self.pool.serve_queue(&self.origin, &connection) {
                        return;
                    }
                }
                #[cfg(feature = "http1")]
                Ok(Made::Http1(made)) => return self.pool.serve_queue_http1(&self.origin, made),
                Err(error) => return self.pool.fail_queue(&self.origin, &error),
            }
        }
    }

    #[cfg(not(feature = "h2c"))]
    async fn make(&self) -> Result<Made, ClientError> {
        self.pool.dial(&self.origin, &mut None).await
    }

    /// With `Upgrade: h2c`, the oldest request makes the connection, if it can be sent over
    /// HTTP/1.1.
    #[cfg(feature = "h2c")]
    async fn make(&self) -> Result<Made, ClientError> {
        let pool = &self.pool;
        let first = if pool.settings.h2c_upgrade {
            let mut entries = pool.lock();
            let entry = entries.by_origin.get_mut(&self.origin);
            entry.and_then(|entry| entry.queue.take_for_upgrade())
        } else {
            None
        };
        let Some((age, request, answer)) = first else {
            return pool.dial(&self.origin, &mut None).await;
        };
        let mut request = Some(request);
        let made = pool.dial(&self.origin, &mut request).await;
        let mut entries = pool.lock();
        let entry = entries.by_origin.entry(self.origin.clone()).or_default();
        entry.queue.upgrade_is_over();
        match (made, request) {
            (Ok(mut made), None) => {
                // The request's future may be dropped already.
                if let Some(response) = made.take_response() {
                    let _ = answer.send(Ok(Answered::Response(response)));
                }
                Ok(made)
            }
            (made, Some(request)) => {
                let waiting = Waiting::Response(Box::new(request), answer);
                entry.queue.push(age, waiting);
                made
            }
            (Err(error), None) => {
                let _ = answer.send(Err(Failure::new(error.clone())));
                Err(error)
            }
        }
    }
}

/// Fails the queued requests: no task will serve them.
impl Drop for Dialling {
    fn drop(&mut self) {
        let mut entries = self.pool.lock();
        let Some(entry) = entries.by_origin.get_mut(&self.origin) else {
            return;
        };
        if entry
            .dial
            .take_if(|dial| dial.serial == self.serial)
            .is_some()
        {
            let left = std::mem::take(&mut entry.queue);
            entries.forget_empty(&self.origin);
            drop(entries);
            drop(left);
        }
    }
}
