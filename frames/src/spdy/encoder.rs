//! Encodes messages to the bytes of a connection, with the zlib stream of its header blocks.

use bytes::{BufMut, BytesMut};

use super::head::{self, FrameHead, STREAM_ID_MASK};
use super::{
    BlockEncoder, Compression, EncodeError, ErrorCode, Frame, GoAway, GoAwayStatus, Kind, Ping,
    RstStream, Setting, SpareDeflater, SynStreamHead, WindowUpdate, WireVersion, flags, headers,
    settings,
};

/// Encodes one direction of a connection.
///
/// Send all frames with header blocks, in the order in which they were encoded: their blocks form
/// one zlib stream. After an error nothing was written.
///
/// ```
/// use bytes::BytesMut;
/// use lacewing_frames::spdy::{Compression, Encoder, WireVersion};
///
/// let mut encoder = Encoder::new(WireVersion::V3, Compression::default());
/// let mut wire = BytesMut::new();
/// encoder.syn_reply(&mut wire, 1, false, |block| {
///     block.field(b":status", [b"200 OK"]);
///     block.field(b":version", [b"HTTP/1.1"]);
/// })?;
/// encoder.data_head(&mut wire, 1, 5, true);
/// wire.extend_from_slice(b"hello");
/// # Ok::<(), lacewing_frames::spdy::EncodeError>(())
/// ```
#[derive(Debug)]
pub struct Encoder {
    version: WireVersion,
    blocks: lacewing_spdy_zlib::Encoder,
}

impl Encoder {
    /// Returns an encoder for the start of a connection.
    pub fn new(version: WireVersion, compression: Compression) -> Encoder {
        Encoder {
            version,
            blocks: lacewing_spdy_zlib::Encoder::new(version, compression),
        }
    }

    /// The version of the connection.
    pub fn version(&self) -> WireVersion {
        self.version
    }

    /// Takes the state of the encoder of an idle connection
    /// ([`lacewing_spdy_zlib::Encoder::take_spare`]).
    pub fn take_spare(&mut self) -> Option<SpareDeflater> {
        self.blocks.take_spare()
    }

    /// Returns whether it has state to give away ([`lacewing_spdy_zlib::Encoder::has_state`]).
    pub fn has_state(&self) -> bool {
        self.blocks.has_state()
    }

    /// Lends the state of another connection to this encoder.
    pub fn lend_spare(&mut self, spare: SpareDeflater) {
        self.blocks.lend_spare(spare);
    }

    /// The heap that the encoder of header blocks holds, in bytes.
    pub fn memory(&self) -> usize {
        self.blocks.memory()
    }

    /// Appends SYN_STREAM (section 2.6.1).
    ///
    /// # Errors
    ///
    /// [`EncodeError::Block`] if the header list does not fit its block.
    pub fn syn_stream(
        &mut self,
        dst: &mut BytesMut,
        head: SynStreamHead,
        fields: impl FnOnce(&mut BlockEncoder<'_>),
    ) -> Result<(), EncodeError> {
        let fixed = |version, dst: &mut BytesMut| head.put(version, 0, dst);
        self.with_block(dst, Kind::SYN_STREAM, head.flags(), fixed, fields)
    }

    /// Appends SYN_REPLY (section 2.6.2).
    ///
    /// # Errors
    ///
    /// As [`syn_stream`](Self::syn_stream).
    pub fn syn_reply(
        &mut self,
        dst: &mut BytesMut,
        stream_id: u32,
        fin: bool,
        fields: impl FnOnce(&mut BlockEncoder<'_>),
    ) -> Result<(), EncodeError> {
        let fixed = |version, dst: &mut BytesMut| headers::put_fixed(dst, version, stream_id, 0);
        let flags = headers::flags(fin, 0);
        self.with_block(dst, Kind::SYN_REPLY, flags, fixed, fields)
    }

    /// Appends HEADERS (section 2.6.7).
    ///
    /// # Errors
    ///
    /// As [`syn_stream`](Self::syn_stream).
    pub fn headers(
        &mut self,
        dst: &mut BytesMut,
        stream_id: u32,
        fin: bool,
        fields: impl FnOnce(&mut BlockEncoder<'_>),
    ) -> Result<(), EncodeError> {
        let fixed = |version, dst: &mut BytesMut| headers::put_fixed(dst, version, stream_id, 0);
        let flags = headers::flags(fin, 0);
        self.with_block(dst, Kind::HEADERS, flags, fixed, fields)
    }

    /// Appends the eight bytes of a DATA frame's head (section 2.2.2). `len` bytes of payload must
    /// follow, at most [`FrameHead::MAX_LENGTH`].
    #[inline]
    pub fn data_head(&self, dst: &mut BytesMut, stream_id: u32, len: u32, fin: bool) {
        debug_assert!(
            len <= FrameHead::MAX_LENGTH,
            "DATA longer than a frame can be"
        );
        let head = FrameHead::Data {
            stream_id: stream_id & STREAM_ID_MASK,
            flags: head::flag(fin, flags::FIN),
            length: len,
        };
        dst.put_slice(&head.to_bytes());
    }

    /// Appends RST_STREAM (section 2.6.3).
    pub fn rst_stream(&self, dst: &mut BytesMut, stream_id: u32, code: ErrorCode) {
        fixed_size(RstStream::new(stream_id, code).encode(self.version, dst));
    }

    /// Appends SETTINGS (section 2.6.4). `clear` asks the client to delete its stored settings.
    ///
    /// # Errors
    ///
    /// [`EncodeError::FrameTooLong`] for more entries than a frame holds, about two million.
    pub fn settings(
        &self,
        dst: &mut BytesMut,
        clear: bool,
        entries: &[Setting],
    ) -> Result<(), EncodeError> {
        let flags = head::flag(clear, flags::CLEAR_SETTINGS);
        settings::put(dst, self.version, flags, entries)
    }

    /// Appends PING (section 2.6.5).
    pub fn ping(&self, dst: &mut BytesMut, id: u32) {
        fixed_size(Ping::new(id).encode(self.version, dst));
    }

    /// Appends GOAWAY (section 2.6.6). SPDY/2 has no status there, so it is omitted.
    pub fn go_away(&self, dst: &mut BytesMut, last_good_stream_id: u32, status: GoAwayStatus) {
        let frame = match self.version {
            WireVersion::V2 => GoAway::without_status(last_good_stream_id),
            WireVersion::V3 => GoAway::new(last_good_stream_id, status),
        };
        fixed_size(frame.encode(self.version, dst));
    }

    /// Appends WINDOW_UPDATE (section 2.6.8). Do not use it with SPDY/2, whose peers ignore it.
    pub fn window_update(&self, dst: &mut BytesMut, stream_id: u32, delta: u32) {
        fixed_size(WindowUpdate::new(stream_id, delta).encode(self.version, dst));
    }

    /// Appends any other frame, as it is: NOOP, CREDENTIAL, or an unknown frame. A raw header block
    /// would have to continue this connection's zlib stream.
    ///
    /// # Errors
    ///
    /// As [`Frame::encode`].
    pub fn frame(&self, dst: &mut BytesMut, frame: &Frame) -> Result<(), EncodeError> {
        frame.encode(self.version, dst)
    }

    fn with_block(
        &mut self,
        dst: &mut BytesMut,
        kind: Kind,
        flags: u8,
        fixed: impl FnOnce(WireVersion, &mut BytesMut),
        fields: impl FnOnce(&mut BlockEncoder<'_>),
    ) -> Result<(), EncodeError> {
        let start = dst.len();
        head::put_control(dst, self.version, kind, flags, 0)?;
        fixed(self.version, dst);
        let mut block = self.blocks.block(dst);
        fields(&mut block);
        let result = block.finish().map_err(EncodeError::from).and_then(|()| {
            let payload = dst.len().saturating_sub(start + FrameHead::LEN);
            // The block encoder limits the size of blocks, so this does not fail.
            head::checked_length(payload)
        });
        match result {
            Ok(length) => {
                let [_, l0, l1, l2] = length.to_be_bytes();
                if let Some(slot) = dst.get_mut(start + 5..start + FrameHead::LEN) {
                    slot.copy_from_slice(&[l0, l1, l2]);
                }
                Ok(())
            }
            Err(error) => {
                dst.truncate(start);
                Err(error)
            }
        }
    }
}

/// Frames of four or eight bytes cannot be too long.
fn fixed_size(result: Result<(), EncodeError>) {
    debug_assert!(result.is_ok());
}
