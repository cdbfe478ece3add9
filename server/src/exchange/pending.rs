//! The table of what takes longer than one poll, by the slot of its stream.

use lacewing_conn::proto::StreamKey;

use super::{PinnedBody, Ticket, handler::Task};
use crate::HttpService;

/// Places that an idle connection keeps.
const IDLE_PLACES: usize = 8;

/// What takes longer than one poll, of one stream.
pub(super) enum Place<S: HttpService> {
    Free,
    /// The handler runs on a task of its own.
    Handling {
        stream: StreamKey,
        ticket: Ticket,
        task: Task<S>,
    },
    /// The response's body has more to give.
    Sending {
        stream: StreamKey,
        body: PinnedBody<S>,
    },
}

impl<S: HttpService> Place<S> {
    fn stream(&self) -> Option<StreamKey> {
        match self {
            Self::Free => None,
            Self::Handling { stream, .. } | Self::Sending { stream, .. } => Some(*stream),
        }
    }
}

pub(super) struct Places<S: HttpService> {
    places: Vec<Place<S>>,
    /// Places that are taken.
    taken: usize,
}

impl<S: HttpService> Default for Places<S> {
    fn default() -> Self {
        Self {
            places: Vec::new(),
            taken: 0,
        }
    }
}

impl<S: HttpService> Places<S> {
    /// Nothing is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.taken == 0
    }

    /// Puts something into the place of its stream, and gives out what was
    /// there of an earlier one.
    #[must_use]
    pub(super) fn put(&mut self, stream: StreamKey, new: Place<S>) -> Place<S> {
        let slot = stream.slot();
        if slot >= self.places.len() {
            self.places
                .resize_with(slot.saturating_add(1), || Place::Free);
        }
        let Some(place) = self.places.get_mut(slot) else {
            return Place::Free;
        };
        if let Place::Free = place {
            self.taken = self.taken.saturating_add(1);
        }
        std::mem::replace(place, new)
    }

    pub(super) fn of(&mut self, stream: StreamKey) -> Option<&mut Place<S>> {
        self.places
            .get_mut(stream.slot())
            .filter(|place| place.stream() == Some(stream))
    }

    /// Takes what is kept of a stream.
    pub(super) fn take(&mut self, stream: StreamKey) -> Place<S> {
        let Some(place) = self.of(stream) else {
            return Place::Free;
        };
        let old = std::mem::replace(place, Place::Free);
        self.taken = self.taken.saturating_sub(1);
        old
    }

    /// An idle connection holds next to nothing.
    pub(super) fn release_memory(&mut self) {
        if self.places.capacity() > IDLE_PLACES {
            self.places = Vec::new();
        }
    }
}
