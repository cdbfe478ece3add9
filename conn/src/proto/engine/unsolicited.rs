//! Unsolicited frames: ORIGIN (RFC 8336), ALTSVC (RFC 7838), CREDENTIAL and NOOP
//! (the SPDY drafts).

use std::{num::NonZeroU16, time::Instant};

use bytes::Bytes;

use super::Engine;
use crate::proto::{Event, Outcome, Side, StreamId, StreamKey, UsageError};

/// The origin that an alternative service is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlternativeFor {
    /// An origin in ASCII, as `https://example.org`.
    Origin(Bytes),
    /// The origin of a request.
    Stream(StreamKey),
}

impl Engine {
    /// Sends the origins for which this server is authoritative on the connection, in ASCII,
    /// as `https://example.org` (RFC 8336 §2). Several calls add up.
    ///
    /// # Errors
    ///
    /// * [`UsageError::Unsupported`]: the protocol has no ORIGIN frame, or this side is the client.
    /// * [`UsageError::TooLarge`]: the origins do not fit one frame.
    /// * [`UsageError::StreamClosed`]: the connection is closed.
    pub fn send_origins(&mut self, origins: &[Bytes]) -> Result<(), UsageError> {
        self.check_sender(Side::Server)?;
        self.wire.origins(origins)?;
        Ok(())
    }

    /// Advertises alternative services of an origin: a value as in the Alt-Svc header field
    /// (RFC 7838 §4).
    ///
    /// # Errors
    ///
    /// * [`UsageError::Unsupported`]: the protocol has no ALTSVC frame, or this side is the client.
    /// * [`UsageError::TooLarge`]: the origin and the value do not fit one frame.
    /// * [`UsageError::StreamClosed`]: the stream or the connection is closed.
    pub fn send_alternative(
        &mut self,
        origin_of: &AlternativeFor,
        value: &[u8],
    ) -> Result<(), UsageError> {
        self.check_sender(Side::Server)?;
        let (stream, origin): (_, &[u8]) = match origin_of {
            AlternativeFor::Origin(origin) => (None, origin),
            AlternativeFor::Stream(stream) => {
                self.streams.get(*stream).ok_or(UsageError::StreamClosed)?;
                (Some(stream.id()), &[])
            }
        };
        self.wire.alternative(stream, origin, value)?;
        Ok(())
    }

    /// Presents a client's certificate for streams of another origin
    /// (CREDENTIAL, §2.6.9 of the third draft). Slots begin at 1.
    ///
    /// `proof` is the signature, as in TLS. `chain` is the certificates in DER, the client's own
    /// first. Lacewing's server stores no certificate.
    ///
    /// # Errors
    ///
    /// * [`UsageError::Unsupported`]: the protocol has no CREDENTIAL frame, or this side is the
    ///   server.
    /// * [`UsageError::TooLarge`]: proof and chain do not fit one frame.
    /// * [`UsageError::StreamClosed`]: the connection is closed.
    pub fn send_credential(
        &mut self,
        slot: NonZeroU16,
        proof: Bytes,
        chain: Vec<Bytes>,
    ) -> Result<(), UsageError> {
        self.check_sender(Side::Client)?;
        self.wire.credential(slot, proof, chain)?;
        Ok(())
    }

    /// Sends NOOP (of the second draft), which has no meaning and needs no answer. It keeps the
    /// state of the path's middleboxes alive.
    ///
    /// # Errors
    ///
    /// * [`UsageError::Unsupported`]: the protocol has no NOOP frame.
    /// * [`UsageError::StreamClosed`]: the connection is closed.
    pub fn send_noop(&mut self) -> Result<(), UsageError> {
        self.check_sender(self.config.side)?;
        self.wire.noop()?;
        Ok(())
    }

    /// Fails unless `side` is ours and may still send.
    fn check_sender(&self, side: Side) -> Result<(), UsageError> {
        if self.config.side != side {
            return Err(UsageError::Unsupported);
        }
        if self.shutdown.is_closed() {
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
        self.charges.glitch(&self.config.limits, now)?;
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
