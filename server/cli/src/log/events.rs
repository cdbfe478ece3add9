//! The server's events as lines of the log. Of a flood, the log has a few lines and the number
//! of the others, so that a client cannot fill a disk.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use lacewing_server::{ServeError, ServerEvent};
use tokio::time::{MissedTickBehavior, interval};
use tracing::{debug, warn};

/// The time after which lines of each kind are written again.
const WINDOW: Duration = Duration::from_secs(10);

/// The most lines of one kind in that time.
const MAX_LINES: u32 = 20;

/// The kinds of events that have bounds of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Accepting,
    MadeRoom,
    Rejected,
    Closed,
    Request,
    Memory,
    Other,
}

impl Kind {
    const ALL: [(Self, &'static str); 7] = [
        (Self::Accepting, "about accepting"),
        (
            Self::MadeRoom,
            "about connections that made room for others",
        ),
        (Self::Rejected, "about connections that were rejected"),
        (Self::Closed, "about connections that ended with an error"),
        (Self::Request, "about requests that failed or were refused"),
        (Self::Memory, "about the memory budget"),
        (Self::Other, "about other events"),
    ];

    fn of(event: &ServerEvent<'_>) -> Self {
        match event {
            ServerEvent::AcceptFailed { .. } | ServerEvent::AcceptPaused { .. } => Self::Accepting,
            ServerEvent::Rejected { error, .. }
            | ServerEvent::Closed {
                error: Some(error), ..
            } if matches!(error, ServeError::MadeRoom { .. }) => Self::MadeRoom,
            ServerEvent::Rejected { .. } => Self::Rejected,
            ServerEvent::Closed { .. } => Self::Closed,
            ServerEvent::StreamFailed { .. } => Self::Request,
            ServerEvent::MemoryPressure { .. } => Self::Memory,
            _ => Self::Other,
        }
    }
}

/// Writes the server's events to the log.
#[derive(Clone, Debug, Default)]
pub(crate) struct Events(Arc<Mutex<[u32; Kind::ALL.len()]>>);

impl Events {
    /// Logs an event, unless its kind has used up the lines of this window.
    pub(crate) fn log(&self, event: &ServerEvent<'_>) {
        match event {
            // Statistics are for metrics.
            ServerEvent::Connected { .. }
            | ServerEvent::Stats { .. }
            | ServerEvent::Closed { error: None, .. } => debug!("{event}"),
            // A client may hang up at any time.
            ServerEvent::Closed {
                error: Some(error), ..
            }
            | ServerEvent::Rejected { error, .. }
                if error.is_disconnect() =>
            {
                debug!("{event}");
            }
            _ if self.takes(Kind::of(event)) => warn!("{event}"),
            _ => {}
        }
    }

    /// Reports at the end of each window how many lines were left out, for ever.
    pub(crate) async fn report_left_out(self) {
        let mut windows = interval(WINDOW);
        windows.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            windows.tick().await;
            for (about, left_out) in self.end_window() {
                let seconds = WINDOW.as_secs();
                warn!("{left_out} more lines {about} are left out, of the last {seconds} s");
            }
        }
    }

    /// Counts a line; `false` if it must be left out.
    fn takes(&self, kind: Kind) -> bool {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.get_mut(kind as usize);
        count.is_none_or(|count| {
            *count = count.saturating_add(1);
            *count <= MAX_LINES
        })
    }

    /// Begins a new window. Returns the kinds of which lines were left out, with
    /// their numbers.
    fn end_window(&self) -> Vec<(&'static str, u32)> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = std::mem::take(&mut *counts);
        let kinds = Kind::ALL.into_iter().zip(counts);
        kinds
            .filter(|(_, count)| *count > MAX_LINES)
            .map(|((_, about), count)| (about, count.saturating_sub(MAX_LINES)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_lines_in_a_window_and_the_rest_is_a_number() {
        let events = Events::default();
        let lines = (0..1000).filter(|_| events.takes(Kind::MadeRoom)).count();
        assert_eq!(lines, 20);
        assert!(events.takes(Kind::Request), "another kind");
        let about = "about connections that made room for others";
        assert_eq!(events.end_window(), [(about, 980)]);
        assert!(events.end_window().is_empty());
        assert!(events.takes(Kind::MadeRoom));
    }

    #[test]
    fn kinds_are_numbered_in_order_and_making_room_is_no_disconnect() {
        let error = ServeError::MadeRoom { max_connections: 1 };
        for (index, (kind, _)) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, index);
        }
        assert!(!error.is_disconnect());
    }
}
