//! The news of a board as Server-Sent Events.

use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::{sync::watch, time::Sleep};

use crate::board::{Board, Update, Viewer};

/// The time after which the browser tries again, in milliseconds.
const RETRY: u32 = 2_000;

/// The longest time without an event: then a comment shows that the program is there.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// The events of one viewer. They are made when the transport has room for the next: a viewer that
/// reads slowly gets fewer updates, each with all that changed, and no update waits in a queue.
pub(super) struct Events {
    board: Board,
    _viewer: Viewer,
    changes: Changes,
    /// The update that the viewer has seen.
    seen: Option<u64>,
    has_begun: bool,
    keep_alive: Pin<Box<Sleep>>,
}

type Changes = Pin<Box<dyn Future<Output = Option<watch::Receiver<u64>>> + Send>>;

impl Events {
    /// The events after that with the id `after`, or everything.
    pub(super) fn new(board: Board, viewer: Viewer, after: &str) -> Self {
        let own = after.strip_prefix(board.name());
        let seen = own.and_then(|seq| seq.strip_prefix('-')?.parse().ok());
        Self {
            changes: next(board.changes()),
            board,
            _viewer: viewer,
            seen,
            has_begun: false,
            keep_alive: Box::pin(tokio::time::sleep(KEEP_ALIVE)),
        }
    }

    fn event(&mut self, update: &Update) -> Bytes {
        self.seen = Some(update.seq);
        self.reset_keep_alive();
        format!(
            "id: {}-{}\nevent: {}\ndata: {}\n\n",
            self.board.name(),
            update.seq,
            update.kind,
            update.json
        )
        .into()
    }

    fn reset_keep_alive(&mut self) {
        let at = tokio::time::Instant::now() + KEEP_ALIVE;
        self.keep_alive.as_mut().reset(at);
    }
}

/// Waits for the next tick.
fn next(mut changes: watch::Receiver<u64>) -> Changes {
    Box::pin(async move { changes.changed().await.is_ok().then_some(changes) })
}

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        if !this.has_begun {
            this.has_begun = true;
            let retry = format!("retry: {RETRY}\n\n");
            return Poll::Ready(Some(Ok(Frame::data(retry.into()))));
        }
        loop {
            if this.keep_alive.as_mut().poll(cx).is_ready() {
                this.reset_keep_alive();
                return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b": alive\n\n")))));
            }
            let Some(changes) = ready!(this.changes.as_mut().poll(cx)) else {
                return Poll::Ready(None);
            };
            this.changes = next(changes);
            let update = this.board.update(this.seen);
            if !update.is_empty || this.seen.is_none() {
                return Poll::Ready(Some(Ok(Frame::data(this.event(&update)))));
            }
            this.seen = Some(update.seq);
        }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("seen", &self.seen)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;
    use crate::board::ConnectionFacts;

    async fn next_text(events: &mut Events) -> String {
        let frame = events.frame().await.unwrap().unwrap();
        String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap()
    }

    /// What happens while a viewer does not read is one update.
    #[tokio::test(start_paused = true)]
    async fn a_viewer_that_reads_slowly_has_no_queue() {
        let board = Board::new("test");
        tokio::spawn(board.clone().run());
        let mut events = Events::new(board.clone(), board.view().unwrap(), "");
        assert_eq!(next_text(&mut events).await, "retry: 2000\n\n");
        assert!(next_text(&mut events).await.contains("event: snapshot"));
        let connection = board.watch(ConnectionFacts::new("h2", "peer"));
        for stream in 0..50 {
            connection.begin(stream, "GET", "/");
            connection.ended(stream, None);
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        let mut text = next_text(&mut events).await;
        if text == ": alive\n\n" {
            text = next_text(&mut events).await;
        }
        assert!(text.contains("event: delta"), "{text}");
        assert_eq!(text.matches("\"path\"").count(), 50);
        // Then nothing happens but the sign of life.
        let next = next_text(&mut events).await;
        assert_eq!(next, ": alive\n\n");
    }
}
