//! Connections that began as HTTP/1.1: the request that asked for the upgrade
//! is stream 1 (RFC 7540 §3.2).

use std::time::Instant;

use super::Engine;
use crate::{
    Error, Initiator, Reason,
    proto::{
        Broken, Config, Event, Head, Semantics, Side, StreamId, StreamKey, UsageError, content,
        memory,
        streams::{Opener, state::State},
        wire::settings_payload,
    },
};

impl Engine {
    /// Returns the SETTINGS of a client that asks for an upgrade: the payload that
    /// HTTP2-Settings carries, before base64url.
    pub fn upgrade_settings(config: &Config) -> Vec<u8> {
        settings_payload(config)
    }

    /// Continues as a server that has sent 101: `head` is the HTTP/1.1 request,
    /// whose body was read to its end before; `settings` is the payload that it
    /// carried. [`Event::Opened`] follows. To be called before any input.
    ///
    /// # Errors
    ///
    /// The violation in `settings`: an upgrade that should not have been taken;
    /// or a call on the wrong side.
    pub fn upgrade_server(
        &mut self,
        now: Instant,
        head: Head,
        settings: &[u8],
    ) -> Result<StreamKey, Error> {
        let usable = self.config.side == Side::Server
            && self.config.semantics == Semantics::Http
            && self.ids.is_unused()
            && head.is_request();
        if !usable {
            let text = UsageError::WrongHead.to_string();
            return Err(Error::connection(
                Initiator::User,
                Reason::InternalError,
                text,
            ));
        }
        let settings = self.wire.upgrade_settings(settings);
        let applied = settings.map_err(Broken::from);
        let applied = applied.and_then(|settings| self.apply_settings(settings));
        applied.map_err(|broken| Error::violation(&self.fatal(broken)))?;
        self.ids.take_first();
        let id = StreamId::new(1);
        let mut stream = self.new_stream(id, State::accepted(true, false), None);
        stream.opener = Opener::Peer;
        stream.opened = Some(now);
        stream.asked = content::Asked::by(&head);
        let memory = memory::of_list(&head.fields);
        let stream = self.streams.insert(stream);
        self.streams.hold_headers(stream, memory);
        self.push_event(Event::Opened {
            stream,
            head,
            fin: true,
            unidirectional: false,
            parent: None,
        });
        Ok(stream)
    }

    /// Continues as a client that received 101: its request, sent whole, is stream 1.
    /// `None` if streams were opened before, or on the wrong side.
    pub fn upgrade_client(&mut self, now: Instant, head: &Head) -> Option<StreamKey> {
        if self.config.side != Side::Client || !self.ids.is_unused() {
            return None;
        }
        let id = StreamId::new(1);
        let mut stream = self.new_stream(id, State::opened(true), None);
        stream.asked = content::Asked::by(head);
        self.ids.take_first();
        self.life.note_open(now, true);
        Some(self.streams.insert(stream))
    }
}
