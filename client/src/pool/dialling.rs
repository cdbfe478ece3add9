//! The task that makes connections for waiting requests, one at a time for each origin.

use std::sync::Arc;

use super::Pool;
#[cfg(feature = "h2c")]
use super::wait_queue::Waiting;
#[cfg(feature = "h2c")]
use crate::link::Failure;
use crate::{ClientError, Connection, Origin};

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
                Ok(connection) => {
                    if !self.pool.serve_queue(&self.origin, &connection) {
                        return;
                    }
                }
                Err(error) => return self.pool.fail_queue(&self.origin, &error),
            }
        }
    }

    #[cfg(not(feature = "h2c"))]
    async fn make(&self) -> Result<Connection, ClientError> {
        let made = self.pool.dial(&self.origin, &mut None).await?;
        Ok(made.connection)
    }

    /// With `Upgrade: h2c`, the oldest request makes the connection, if it can be sent over
    /// HTTP/1.1.
    #[cfg(feature = "h2c")]
    async fn make(&self) -> Result<Connection, ClientError> {
        let pool = &self.pool;
        let first = if pool.settings.h2c_upgrade {
            let mut entries = pool.lock();
            let entry = entries.by_origin.get_mut(&self.origin);
            entry.and_then(|entry| entry.queue.take_for_upgrade())
        } else {
            None
        };
        let Some((age, request, answer)) = first else {
            let made = pool.dial(&self.origin, &mut None).await?;
            return Ok(made.connection);
        };
        let mut request = Some(request);
        let made = pool.dial(&self.origin, &mut request).await;
        let mut entries = pool.lock();
        let entry = entries.by_origin.entry(self.origin.clone()).or_default();
        entry.queue.upgrade_is_over();
        match (made, request) {
            (Ok(made), None) => {
                // The request's future may be dropped already.
                let _ = made.response.map(|response| answer.send(Ok(response)));
                Ok(made.connection)
            }
            (made, Some(request)) => {
                let waiting = Waiting::Response(Box::new(request), answer);
                entry.queue.push(age, waiting);
                made.map(|made| made.connection)
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
