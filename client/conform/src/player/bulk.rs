//! Uploads: DATA within the windows of the tested side, and beyond them.

use lacewing_frames::Side;
use tokio::time::Instant;

use crate::{case::Need, expect::Expect, record::Stream, stream_id::Id, transcript::Stop};

use super::{Dialect, Player, Session as _};

/// The most bytes that we send to exceed a limit of the tested side.
pub(crate) const AFFORDABLE: u64 = 1 << 21;

/// The most content of one DATA frame.
const FRAME: usize = 16_384;

/// The form of an upload's DATA frames.
pub(crate) struct Upload<P: Dialect> {
    /// The most content of a frame.
    pub(crate) most: u64,
    /// The flow-controlled bytes of a frame beside its content.
    pub(crate) overhead: u64,
    pub(crate) frame: fn(Id, usize) -> P::Frame,
}

impl<P: Dialect> Upload<P> {
    pub(super) fn plain() -> Self {
        Self {
            most: u64::try_from(FRAME).unwrap_or(u64::MAX),
            overhead: 0,
            frame: P::data,
        }
    }
}

impl<P: Dialect> Player<'_, P> {
    /// Sends DATA as the windows of the tested side allow.
    pub(crate) async fn upload(
        &mut self,
        id: Id,
        length: u64,
        form: Upload<P>,
    ) -> Result<(), Stop> {
        let number = id.resolve(&self.record.requests);
        let mut left = length;
        while left > 0 {
            let [stream, connection] = self.session.windows(&self.record, number);
            let window = stream.min(connection);
            let content = left
                .min(form.most)
                .min(window.saturating_sub(form.overhead));
            if content == 0 {
                let missing = form.overhead.saturating_add(1).saturating_sub(window);
                self.credit(id, missing).await?;
                continue;
            }
            left = left.saturating_sub(content);
            let data = (form.frame)(id, usize::try_from(content).unwrap_or(0));
            let data = if left == 0 { P::end(data) } else { data };
            self.send(&[data]).await;
            // Reads available input without waiting.
            self.read(Instant::now()).await;
            // A complete response may cut an upload short (RFC 9113 §8.1).
            if self.cuts_short(number) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Waits for more credit, or for the end of the upload.
    async fn credit(&mut self, id: Id, missing: u64) -> Result<(), Stop> {
        let number = id.resolve(&self.record.requests);
        let more = |id: u32| self.record.credit(id).saturating_add(missing);
        let mut right = vec![
            Expect::Credit(id, more(number)),
            Expect::Credit(0.into(), more(0)),
        ];
        // Ignores the end of a request: a client ends it before the response. A server that
        // echoes reads on only when its response is taken.
        if self.tested() == Side::Server {
            right.push(Expect::Response(id, 100..=599));
        }
        self.until(&Expect::Any(right)).await
    }

    fn cuts_short(&self, stream: u32) -> bool {
        let over = self.record.stream(stream).is_some_and(Stream::is_over);
        over && self.tested() == Side::Server
    }

    /// Sends one byte more than the windows of the tested side allow.
    pub(super) async fn overrun(&mut self, id: Id) -> Result<(), Stop> {
        let number = id.resolve(&self.record.requests);
        let [stream, connection] = self.session.windows(&self.record, number);
        let beyond = stream.min(connection).saturating_add(1);
        if beyond > AFFORDABLE {
            let most = u32::try_from(AFFORDABLE).unwrap_or(u32::MAX);
            return Err(Stop::needs(Need::Window(most)));
        }
        let mut right = P::overrun_errors(id);
        let credit = |id: u32| self.record.credit(id).saturating_add(1);
        // The tested side may have advertised credit before our DATA arrived.
        right.push(match stream <= connection {
            true => Expect::Credit(id, credit(number)),
            false => Expect::Credit(0.into(), credit(0)),
        });
        let mut left = usize::try_from(beyond).unwrap_or(0);
        let mut frames = Vec::new();
        while left > 0 {
            let length = left.min(FRAME);
            frames.push(P::data(id, length));
            left = left.saturating_sub(length);
        }
        self.send(&frames).await;
        self.until(&Expect::Any(right)).await
    }
}
