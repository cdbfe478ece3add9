//! Informational responses (RFC 9110 §15.2).

use http::StatusCode;
use lacewing_conn::{
    driver::facade::Context,
    proto::{Head, StreamKey},
};

use super::Exchanges;
use crate::{HttpService, InformError};

impl<S: HttpService> Exchanges<S> {
    /// Sends `100 Continue` to a client that waits for it with its body.
    pub(super) fn send_continue(&mut self, conn: &mut Context<'_>, stream: StreamKey) {
        // Without effect where there is none (SPDY), and after the response.
        let head = Head::response(StatusCode::CONTINUE);
        if conn.stream(stream).inform(head).is_ok() {
            self.telemetry.interim(stream.id(), "100 Continue");
        }
    }

    pub(super) fn inform(
        &mut self,
        conn: &mut Context<'_>,
        stream: StreamKey,
        mut head: Head,
    ) -> Result<(), InformError> {
        // A client that does not read must not fill memory.
        if conn.unwritten() > conn.limits().max_output_backlog {
            return Err(InformError::Busy);
        }
        super::response::remove_connection_fields(&mut head.fields);
        conn.stream(stream).inform(head)?;
        self.telemetry
            .interim(stream.id(), "informational response");
        Ok(())
    }
}
