//! DATA as windows allow, and more than limits allow.

use lacewing_frames::http2::{ErrorCode, SettingId};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::Instant,
};

use crate::Need;

use super::{
    super::{
        expect::Expect,
        frame::{self, Frame, Id},
        record::Stream,
    },
    Player, Stop,
};

/// Bytes that are sent to see what happens beyond a limit.
const AFFORDABLE: u64 = 1 << 21;

/// Padding of an upload.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Padding {
    None,
    /// 255 bytes a frame.
    Most,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Player<T> {
    /// Sends DATA as the windows of the tested side allow.
    pub(super) async fn upload(
        &mut self,
        id: Id,
        length: u64,
        padding: Padding,
    ) -> Result<(), Stop> {
        let number = id.resolve(&self.record.requests);
        let mut left = length;
        while left > 0 {
            // What a frame takes of the windows beyond its content.
            let (most, overhead) = match padding {
                Padding::None => (16_384, 0),
                Padding::Most => (1, 256),
            };
            let window = self.monitor.room(&self.record, number);
            let content = left.min(most).min(window.saturating_sub(overhead));
            if content == 0 {
                let needed = self.monitor.needed(&self.record, number, overhead);
                self.until(&Expect::Any(needed)).await?;
                continue;
            }
            let data = frame::data_of(id, usize::try_from(content).unwrap_or(0));
            let data = match padding {
                Padding::None => data,
                Padding::Most => data.padded(255),
            };
            left = left.saturating_sub(content);
            let data = if left == 0 { data.end_stream() } else { data };
            self.send(&[data]).await;
            self.hear().await;
            // A complete response may cut an upload short (§8.1).
            if self.record.stream(number).is_some_and(Stream::is_over) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Sends more than the windows of the tested side allow.
    pub(super) async fn overrun(&mut self, id: Id) -> Result<(), Stop> {
        let number = id.resolve(&self.record.requests);
        let (stream, connection) = self.monitor.rooms(&self.record, number);
        let beyond = stream.min(connection).saturating_add(1);
        if beyond > AFFORDABLE {
            let need = Need::Window(u32::try_from(AFFORDABLE).unwrap_or(u32::MAX));
            return Err(Stop::Skipped(format!("needs {need}")));
        }
        let credit = if stream <= connection {
            let credit = self.record.stream(number).map_or(0, |stream| stream.credit);
            Expect::Credit(id, credit.saturating_add(1))
        } else {
            Expect::Credit(0.into(), self.record.credit.saturating_add(1))
        };
        let mut left = usize::try_from(beyond).unwrap_or(0);
        let mut frames = Vec::new();
        while left > 0 {
            let length = left.min(16_384);
            frames.push(frame::data_of(id, length));
            left = left.saturating_sub(length);
        }
        self.send(&frames).await;
        let error = Expect::StreamError(id, vec![ErrorCode::FLOW_CONTROL_ERROR]);
        self.until(&Expect::Any(vec![error, credit])).await
    }

    /// Sends a frame with a payload of one byte more than is allowed.
    pub(super) async fn too_long(&mut self, frame: &Frame) -> Result<(), Stop> {
        let most = self.record.setting(SettingId::MAX_FRAME_SIZE);
        let beyond = u64::from(most.unwrap_or(16_384)).saturating_add(1);
        if beyond > AFFORDABLE {
            let need = Need::FrameSize(u32::try_from(AFFORDABLE).unwrap_or(u32::MAX));
            return Err(Stop::Skipped(format!("needs {need}")));
        }
        let frame = frame.clone().sized(usize::try_from(beyond).unwrap_or(0));
        self.send(&[frame]).await;
        Ok(())
    }

    /// Takes what has come, and waits for nothing.
    async fn hear(&mut self) {
        self.read(Instant::now()).await;
    }
}
