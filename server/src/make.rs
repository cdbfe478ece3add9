//! The service of a connection: the same for all, or one made for each.

use std::future::{Future, poll_fn, ready};

use tower_service::Service;

use crate::{BoxError, ConnectionInfo, HttpService};

/// Makes the service of each connection.
pub(crate) trait Make: Clone + Send + 'static {
    type Service: HttpService;

    fn make(
        self,
        connection: &ConnectionInfo,
    ) -> impl Future<Output = Result<Self::Service, BoxError>> + Send;
}

/// The same for all connections.
#[derive(Clone)]
pub(crate) struct Same<S>(pub(crate) S);

impl<S: HttpService> Make for Same<S> {
    type Service = S;

    fn make(self, _: &ConnectionInfo) -> impl Future<Output = Result<S, BoxError>> + Send {
        ready(Ok(self.0))
    }
}

/// A maker of services, called with the information about each connection.
#[derive(Clone)]
pub(crate) struct Each<M>(pub(crate) M);

impl<M> Make for Each<M>
where
    M: Service<ConnectionInfo, Response: HttpService, Error: Into<BoxError>, Future: Send>
        + Clone
        + Send
        + 'static,
{
    type Service = M::Response;

    async fn make(mut self, connection: &ConnectionInfo) -> Result<M::Response, BoxError> {
        poll_fn(|cx| self.0.poll_ready(cx))
            .await
            .map_err(Into::into)?;
        let made = self.0.call(connection.clone());
        made.await.map_err(Into::into)
    }
}
