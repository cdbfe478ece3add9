//! Pushes: promises, and the requests that are served for them.

use http::Request;
use lacewing_conn::{
    driver::facade::Context,
    proto::{Control, Head, StreamKey},
};

use super::Exchanges;
use crate::{HttpService, PushError, PushedRequest, RequestBody};

impl<S: HttpService> Exchanges<S> {
    pub(super) fn push(
        &mut self,
        conn: &mut Context<'_>,
        parent: StreamKey,
        request: Request<()>,
    ) -> Result<(), PushError> {
        let (parts, ()) = request.into_parts();
        let head = Head {
            control: Control::Request {
                method: parts.method.clone(),
                uri: parts.uri.clone(),
                protocol: None,
            },
            fields: parts.headers.clone(),
        };
        let stream = conn.stream(parent).push(head)?;
        self.telemetry.interim(parent.id(), "promise of a push");
        let mut request = Request::from_parts(parts, RequestBody::empty());
        request.extensions_mut().insert(PushedRequest);
        let seldom = self.seldom.get_or_insert_default();
        seldom.promised.push_back((stream, request));
        Ok(())
    }

    /// Calls the handlers of pushed requests after the first poll of the handlers
    /// that promised them.
    pub(super) fn serve_promised(&mut self, conn: &mut Context<'_>) {
        while let Some((stream, mut request)) = self.next_promised() {
            // The client may have declined it meanwhile.
            if conn.stream(stream).priority().is_none() {
                continue;
            }
            self.attach(conn, stream, &mut request);
            self.serve(conn, stream, &mut Some(request));
        }
    }

    #[inline]
    fn next_promised(&mut self) -> Option<(StreamKey, Request<RequestBody>)> {
        self.seldom.as_mut()?.promised.pop_front()
    }
}
