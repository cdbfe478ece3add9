//! Where else, and for what else, a server can be asked: ORIGIN (RFC 8336) and
//! ALTSVC (RFC 7838).

use std::time::Instant;

use bytes::Bytes;

use super::{Engine, Phase, UsageError, receive::Outcome};
use crate::proto::{Event, Side, StreamId, StreamKey};

/// Whose alternative services are announced.
///
/// ```
/// use bytes::Bytes;
/// use lacewing_conn::proto::AlternativeFor;
///
/// let origin = AlternativeFor::Origin(Bytes::from_static(b"https://example.org"));
/// # let _ = origin;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlternativeFor {
    /// An origin in ASCII, as `https://example.org`.
    Origin(Bytes),
    /// The origin of a request.
    Stream(StreamKey),
}

impl Engine {
    /// Tells the client for which origins the connection is good, in ASCII, as
    /// `https://example.org` (RFC 8336 §2). Several calls add up.
    ///
    /// # Errors
    ///
    /// [`UsageError::Unsupported`] where the protocol has no frame for it, on
    /// the client side, and if the origins do not fit one frame.
    pub fn announce_origins(&mut self, origins: &[Bytes]) -> Result<(), UsageError> {
        self.check_announce()?;
        let written = self.wire.origins(origins, self.output.buffer());
        written.map_err(|_| UsageError::Unsupported)
    }

    /// Tells the client where else an origin is served: a value as in the
    /// Alt-Svc header field (RFC 7838 §4).
    ///
    /// # Errors
    ///
    /// As [`announce_origins`](Self::announce_origins), and
    /// [`UsageError::StreamClosed`].
    pub fn announce_alternative(
        &mut self,
        whose: &AlternativeFor,
        value: &[u8],
    ) -> Result<(), UsageError> {
        self.check_announce()?;
        let (stream, origin): (_, &[u8]) = match whose {
            AlternativeFor::Origin(origin) => (None, origin),
            AlternativeFor::Stream(stream) => {
                self.streams.get(*stream).ok_or(UsageError::StreamClosed)?;
                (Some(stream.id()), &[])
            }
        };
        let out = self.output.buffer();
        let written = self.wire.alternative(stream, origin, value, out);
        written.map_err(|_| UsageError::Unsupported)
    }

    fn check_announce(&self) -> Result<(), UsageError> {
        if self.config.side == Side::Client {
            return Err(UsageError::Unsupported);
        }
        if self.phase == Phase::Closed {
            return Err(UsageError::StreamClosed);
        }
        Ok(())
    }

    pub(super) fn handle_alternative(
        &mut self,
        now: Instant,
        stream: Option<StreamId>,
        origin: Option<Bytes>,
        value: Bytes,
    ) -> Outcome {
        self.glitch(now)?;
        let key = stream.and_then(|id| self.streams.find(id));
        // RFC 7838 §4: for a stream that is not known it means nothing.
        if stream.is_some() && key.is_none() {
            return Ok(None);
        }
        Ok(Some(Event::AlternativeServices {
            origin,
            stream: key,
            value,
        }))
    }
}
