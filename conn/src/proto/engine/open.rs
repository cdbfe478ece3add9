//! Streams that our side opens.

use std::time::Instant;

use super::Engine;
use crate::proto::{
    Direction, Head, OpenError, Priority, Semantics, Side, StreamId, StreamKey, UsageError,
    content, streams::state::State, wire::SendKind,
};

/// The options of a stream that we open.
///
/// ```
/// use lacewing_conn::proto::{Direction, OpenOptions, StreamId};
///
/// let options = OpenOptions::default().with(|options| options.fin = true);
/// assert_eq!(options.direction, Direction::Bidirectional);
///
/// // A stream of ours alone, which belongs to stream 1.
/// let options = OpenOptions::default().with(|options| {
///     options.direction = Direction::Unidirectional;
///     options.parent = Some(StreamId::new(1));
/// });
/// assert!(options.priority.is_none());
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct OpenOptions {
    /// No content follows the header list.
    pub fin: bool,
    /// The urgency of the stream.
    pub priority: Option<Priority>,
    /// The sides that send on it. On raw connections of SPDY only.
    pub direction: Direction,
    /// The stream of either side that this one is associated with. It must be open (the drafts'
    /// §3.3.1). Its end has no effect on this one. On raw connections of SPDY only.
    pub parent: Option<StreamId>,
}

impl OpenOptions {
    /// The options of a stream whose header list is followed by no content.
    #[must_use]
    pub fn without_content() -> Self {
        Self::default().with(|options| options.fin = true)
    }

    /// The same, after `change`: for use where a value is wanted.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// It needs nothing that only raw connections of SPDY have.
    fn is_plain(&self) -> bool {
        self.direction == Direction::Bidirectional && self.parent.is_none()
    }
}

impl Engine {
    /// Returns `true` if a stream can be opened now.
    pub fn can_open(&self) -> bool {
        self.check_open().is_ok()
    }

    /// Opens a stream with a request or, on a raw connection, with any header
    /// fields. The key of a unidirectional stream with `fin` is stale at once:
    /// the stream has ended.
    ///
    /// # Errors
    ///
    /// [`OpenError`]; a direction or a parent that this connection cannot
    /// express is [`UsageError::PlainStreamsOnly`], a parent that is not open
    /// [`UsageError::ParentClosed`].
    pub fn open(
        &mut self,
        now: Instant,
        mut head: Head,
        options: OpenOptions,
    ) -> Result<StreamKey, OpenError> {
        self.open_with(now, &mut head, options)
    }

    /// As [`open`](Self::open), but leaves the head to the caller, who may need it for another
    /// connection. A CONNECT request loses its `content-length`.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_with(
        &mut self,
        now: Instant,
        head: &mut Head,
        options: OpenOptions,
    ) -> Result<StreamKey, OpenError> {
        let http = self.config.semantics == Semantics::Http;
        let request = head.is_request();
        if http && (!request || self.config.side == Side::Server) {
            return Err(OpenError::Usage(UsageError::WrongHead));
        }
        if !options.is_plain() && (http || !self.rules.stream_associations) {
            return Err(OpenError::Usage(UsageError::PlainStreamsOnly));
        }
        self.check_open()?;
        if head.is_extended_connect() {
            if !self.rules.capabilities.extended_connect {
                return Err(OpenError::Usage(UsageError::Unsupported));
            }
            if !self.peer.takes_extended_connect() {
                return Err(OpenError::ExtendedConnectDisabled);
            }
        }
        if options.parent.is_some_and(|parent| !self.is_open(parent)) {
            return Err(OpenError::Usage(UsageError::ParentClosed));
        }
        if http {
            content::of_our_request(head, options.fin).map_err(OpenError::Usage)?;
            if !head.has_valid_host() {
                return Err(OpenError::Usage(UsageError::InvalidHost));
            }
        }
        let id = self.ids.next();
        let (fin, direction) = (options.fin, options.direction);
        let state = match direction {
            Direction::Bidirectional => State::opened(fin),
            Direction::Unidirectional => State::opened_one_way(fin),
        };
        let mut stream = self.new_stream(id, state, options.priority);
        stream.asked = content::Asked::by(head);
        let kind = SendKind::Open {
            priority: stream.priority,
            direction,
            parent: options.parent,
        };
        let encoded = self.wire.headers(id, kind, head, fin);
        encoded.map_err(|error| OpenError::Usage(error.into()))?;
        self.ids.take_next();
        self.life.note_open(now, self.streams.is_empty());
        let key = self.streams.insert(stream);
        if state.is_closed() {
            self.close_if_done(now, key);
        }
        Ok(key)
    }

    /// The stream is there, and not only because the user still works on it.
    fn is_open(&self, id: StreamId) -> bool {
        let stream = self.streams.find(id).and_then(|key| self.streams.get(key));
        stream.is_some_and(|stream| !stream.is_closed())
    }

    pub(super) fn check_open(&self) -> Result<(), OpenError> {
        if self.is_shutting_down() {
            return Err(OpenError::ShuttingDown);
        }
        if self.is_exhausted() {
            return Err(OpenError::IdsExhausted);
        }
        let max = self.peer.max_streams();
        if self.streams.opened() >= max {
            return Err(OpenError::TooManyStreams { max });
        }
        Ok(())
    }
}
