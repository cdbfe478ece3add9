//! Streams that our side opens.

use std::time::Instant;

use http::Method;

use super::{Engine, OpenError, UsageError};
use crate::proto::{
    Head, Priority, Semantics, Side, StreamId, StreamKey, streams::state::State, wire::SendKind,
};

impl Engine {
    /// A stream could be opened now.
    pub fn can_open(&self) -> bool {
        self.check_open().is_ok()
    }

    /// Opens a stream with a request (or, on a raw connection, any header
    /// fields). `fin`: no body follows.
    pub fn open(
        &mut self,
        now: Instant,
        head: Head,
        fin: bool,
        priority: Option<Priority>,
    ) -> Result<StreamKey, OpenError> {
        self.clock = now;
        let http = self.config.semantics == Semantics::Http;
        let request = head.is_request();
        if http && (!request || self.config.side == Side::Server) {
            return Err(OpenError::Usage(UsageError::WrongHead));
        }
        self.check_open()?;
        if head.is_extended_connect() {
            if self.rules.headers_anywhere {
                return Err(OpenError::Usage(UsageError::Unsupported));
            }
            if !self.peer_takes_extended_connect {
                return Err(OpenError::ExtendedConnectDisabled);
            }
        }
        let id = StreamId::new(self.next_id);
        let mut stream = self.new_stream(id, State::opened(fin), priority);
        stream.bodyless = head.is_method(&Method::HEAD);
        stream.connect = head.is_method(&Method::CONNECT);
        let kind = SendKind::Open {
            priority: stream.priority,
        };
        let encoded = self
            .wire
            .headers(id, kind, &head, fin, self.output.buffer());
        encoded.map_err(|error| OpenError::Usage(error.into()))?;
        self.next_id = self.next_id.saturating_add(2);
        self.opened = self.opened.saturating_add(1);
        Ok(self.streams.insert(stream))
    }

    pub(super) fn check_open(&self) -> Result<(), OpenError> {
        if self.is_shutting_down() {
            return Err(OpenError::ShuttingDown);
        }
        if self.is_exhausted() {
            return Err(OpenError::IdsExhausted);
        }
        if self.opened >= self.peer_max_streams {
            return Err(OpenError::TooManyStreams {
                max: self.peer_max_streams,
            });
        }
        Ok(())
    }
}
