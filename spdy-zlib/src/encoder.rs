//! Encodes header fields to compressed header blocks.

use std::{fmt, mem};

use bytes::{BufMut, BytesMut};

use crate::deflate::{self, Deflater, STORED_BLOCK_HEAD};
use crate::whole_field::{Packed, WholeField};
use crate::{EncodeError, WireVersion};

/// The largest block before compression. With zlib's overhead it fits into a frame, which has a
/// length of 24 bits.
const MAX_BLOCK: usize = 0xff_0000;

/// The memory of zlib's compressor, with its scratch space.
const ZLIB: usize = 370 << 10;

/// The compression of header blocks.
///
/// zlib reveals secrets. An attacker who can place guesses beside a cookie, and sees the length of
/// the block, learns the cookie byte by byte (CRIME, CVE-2012-4929). Therefore
/// [`Compression::WholeField`] is the default. Every zlib inflates it, and it never copies less
/// than a whole field or name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Compression {
    /// Matches names, and whole fields that occurred before. As safe as HPACK: a guess shortens
    /// the block only if a field is right to its last byte, name and value.
    /// [Sensitive](BlockEncoder::sensitive_field) values cannot be guessed at all. Lengths do not
    /// depend on a value's bytes, except that bytes above 0x8f take nine bits instead of eight.
    ///
    /// About as fast as level 1. Holds up to 21 KiB, from the first block on.
    #[default]
    WholeField,
    /// No compression: stored blocks, which every peer inflates. Safe and fast, without memory.
    Stored,
    /// zlib at a level from 1 (fast) to 9 (small). Other values mean the nearest level. **Unsafe**
    /// where a connection carries secrets of one party and fields that another party chooses.
    /// Encryption does not help, and sensitive fields are compressed like others. Holds about 370
    /// KiB from the first block on.
    Zlib(u8),
}

/// Encodes the header blocks of one direction of a connection.
///
/// All blocks form one zlib stream. Send them in the order in which they were encoded, each exactly
/// once.
///
/// ```
/// use lacewing_spdy_zlib::{Compression, Encoder, WireVersion};
///
/// let mut encoder = Encoder::new(WireVersion::V3, Compression::default());
/// let mut dst = bytes::BytesMut::new();
/// let mut block = encoder.block(&mut dst);
/// block.field(b":status", [b"200 OK"]);
/// block.field(b"set-cookie", [&b"a=1"[..], b"b=2"]);
/// block.finish()?;
/// assert!(dst.ends_with(&[0x00, 0x00, 0xff, 0xff]));
/// # Ok::<(), lacewing_spdy_zlib::EncodeError>(())
/// ```
pub struct Encoder {
    version: WireVersion,
    compression: Compression,
    stream: Stream,
    /// For the next block.
    spare: Option<Box<WholeField>>,
}

/// The window and the index that an idle [`Encoder`] has given away, for use by another.
///
/// It takes 8 to 22 KiB of heap.
pub struct SpareDeflater(Box<WholeField>);

impl SpareDeflater {
    /// The heap that it takes, in bytes.
    pub fn memory(&self) -> usize {
        self.0.memory()
    }
}

impl fmt::Debug for SpareDeflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpareDeflater").finish_non_exhaustive()
    }
}

/// The zlib stream, if it exists.
enum Stream {
    /// No block was written.
    New,
    /// Stored blocks have no state except for the stream's header.
    Stored,
    Zlib(Box<Deflater>),
    WholeField(Box<WholeField>),
    /// Whole fields, while the connection is idle.
    Packed(Box<Packed>),
}

impl Encoder {
    /// Returns an encoder for the start of a connection.
    pub fn new(version: WireVersion, compression: Compression) -> Self {
        Encoder {
            version,
            compression,
            stream: Stream::New,
            spare: None,
        }
    }

    /// The version of the blocks.
    pub fn version(&self) -> WireVersion {
        self.version
    }

    /// The compression of blocks.
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// Takes the window and the index of an encoder that will be idle, to [lend](Self::lend_spare)
    /// them to one that will not. The encoder keeps the last 2 KiB before compression and the
    /// places of the last 64 fields: 3.3 KiB at most. The next block can refer only to these.
    ///
    /// Returns `None` without [`Compression::WholeField`], or if there is nothing to take.
    pub fn take_spare(&mut self) -> Option<SpareDeflater> {
        let Stream::WholeField(stream) = &self.stream else {
            return self.spare.take().map(SpareDeflater);
        };
        let packed = Stream::Packed(Box::new(Packed::new(stream)));
        match mem::replace(&mut self.stream, packed) {
            Stream::WholeField(stream) => Some(SpareDeflater(stream)),
            _ => None,
        }
    }

    /// Returns whether the encoder has a window and an index that it would give away. A
    /// [lent](Self::lend_spare) one does not count, before its use.
    pub fn has_state(&self) -> bool {
        matches!(self.stream, Stream::WholeField(_))
    }

    /// Lends the window and the index of another encoder to this one. An encoder that lacks them,
    /// and needs them, allocates its own.
    pub fn lend_spare(&mut self, spare: SpareDeflater) {
        let lacks = matches!(self.stream, Stream::New | Stream::Packed(_));
        if lacks && self.compression == Compression::WholeField {
            self.spare.get_or_insert(spare.0);
        }
    }

    /// The heap that the encoder holds, in bytes.
    pub fn memory(&self) -> usize {
        let stream = match &self.stream {
            Stream::New | Stream::Stored => 0,
            Stream::Zlib(_) => ZLIB,
            Stream::WholeField(stream) => stream.memory(),
            Stream::Packed(stream) => stream.memory(),
        };
        let spare = self.spare.as_ref();
        stream + spare.map_or(0, |stream| stream.memory())
    }

    /// Starts a block at the end of `dst`. If you drop a block without
    /// [`finish`](BlockEncoder::finish), `dst` and the encoder are unchanged.
    pub fn block<'a>(&'a mut self, dst: &'a mut BytesMut) -> BlockEncoder<'a> {
        let start = dst.len();
        if self.compression == Compression::Stored {
            if matches!(self.stream, Stream::New) {
                deflate::put_stored_header(self.version, dst);
            }
            dst.put_bytes(0, STORED_BLOCK_HEAD);
        }
        let count_at = dst.len();
        self.version.put_length(dst, 0);
        BlockEncoder {
            encoder: self,
            dst,
            start,
            count_at,
            fields: 0,
            sensitive: Vec::new(),
            error: None,
            finished: false,
        }
    }

    /// Compresses the bytes of `dst` from `raw_at` on, in place.
    fn compress(
        &mut self,
        dst: &mut BytesMut,
        raw_at: usize,
        sensitive: &[usize],
    ) -> Result<(), EncodeError> {
        if let Stream::Packed(stream) = &self.stream {
            self.stream = Stream::WholeField(stream.unpack(self.spare.take()));
        }
        if let Stream::New = self.stream {
            self.stream = match self.compression {
                Compression::Stored => Stream::Stored,
                Compression::Zlib(level) => {
                    Stream::Zlib(Box::new(Deflater::new(self.version, level)?))
                }
                Compression::WholeField => {
                    let unused = Packed::unused(self.version);
                    Stream::WholeField(unused.unpack(self.spare.take()))
                }
            };
        }
        match &mut self.stream {
            Stream::New | Stream::Packed(_) => Err(EncodeError::Backend),
            Stream::Stored => {
                deflate::store(dst, raw_at.saturating_sub(STORED_BLOCK_HEAD));
                Ok(())
            }
            Stream::Zlib(deflater) => deflater.deflate(dst, raw_at),
            Stream::WholeField(stream) => {
                stream.deflate(dst, raw_at, sensitive);
                Ok(())
            }
        }
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder")
            .field("version", &self.version)
            .field("compression", &self.compression)
            .finish_non_exhaustive()
    }
}

/// A header block in progress, made by [`Encoder::block`].
///
/// ```
/// use lacewing_spdy_zlib::{Compression, Encoder, WireVersion};
///
/// let mut encoder = Encoder::new(WireVersion::V2, Compression::Stored);
/// let mut dst = bytes::BytesMut::new();
/// let mut block = encoder.block(&mut dst);
/// block.field(b"method", [b"GET"]).field(b"url", [b"/"]);
/// drop(block); // changed our mind
/// assert!(dst.is_empty());
/// ```
#[must_use = "a block that is not finished is discarded"]
pub struct BlockEncoder<'a> {
    encoder: &'a mut Encoder,
    dst: &'a mut BytesMut,
    /// The length of `dst` before the block.
    start: usize,
    count_at: usize,
    fields: usize,
    /// The indices of the sensitive fields, in order.
    sensitive: Vec<usize>,
    error: Option<EncodeError>,
    finished: bool,
}

impl BlockEncoder<'_> {
    /// Appends a field. NUL joins several values of the name. A field without values is written
    /// with one empty value.
    ///
    /// The caller must obey the rules of the drafts. Each name occurs once, is in lower case, and
    /// is not empty. No value contains NUL. No value is empty, except a single one in SPDY/3.
    pub fn field<I>(&mut self, name: &[u8], values: I) -> &mut Self
    where
        I: IntoIterator,
        I::Item: AsRef<[u8]>,
    {
        let version = self.encoder.version;
        let limit = version.max_length();
        let rewind = self.dst.len();

        self.fields += 1;
        version.put_length(self.dst, name.len());
        self.dst.put_slice(name);
        let length_at = self.dst.len();
        version.put_length(self.dst, 0);
        let value_at = self.dst.len();
        for (index, value) in values.into_iter().enumerate() {
            if index != 0 {
                self.dst.put_u8(0);
            }
            self.dst.put_slice(value.as_ref());
            if self.error.is_some() || self.dst.len() - self.count_at > MAX_BLOCK {
                break;
            }
        }
        let value = self.dst.len() - value_at;
        version.patch_length(self.dst, length_at, value);

        let error = if name.len() > limit {
            Some(EncodeError::NameTooLong { limit })
        } else if value > limit {
            Some(EncodeError::ValueTooLong { limit })
        } else if self.fields > limit {
            Some(EncodeError::TooManyFields { limit })
        } else if self.dst.len() - self.count_at > MAX_BLOCK {
            Some(EncodeError::BlockTooLarge { limit: MAX_BLOCK })
        } else {
            None
        };
        self.error = self.error.or(error);
        if self.error.is_some() {
            self.dst.truncate(rewind);
        }
        self
    }

    /// Appends a field whose value is a secret. Under [`Compression::WholeField`] the value is
    /// written out each time, and no match ever covers it. The length of a block therefore never
    /// reveals whether a guess at the value was right. Under the other policies, this is the same
    /// as [`field`](Self::field).
    ///
    /// `authorization` and `proxy-authorization`, and `cookie` and `set-cookie` with values of less
    /// than 20 bytes, are always treated in this way.
    ///
    /// ```
    /// use lacewing_spdy_zlib::{Compression, Encoder, WireVersion};
    ///
    /// let mut encoder = Encoder::new(WireVersion::V3, Compression::WholeField);
    /// let mut lengths = Vec::new();
    /// for round in 0..3 {
    ///     let mut dst = bytes::BytesMut::new();
    ///     let mut block = encoder.block(&mut dst);
    ///     block.sensitive_field(b"x-api-key", [b"b7f0d1c4a9e2"]);
    ///     block.finish()?;
    ///     lengths.push(dst.len());
    /// }
    /// assert_eq!(lengths[1], lengths[2]);
    /// assert!(lengths[2] > b"b7f0d1c4a9e2".len());
    /// # Ok::<(), lacewing_spdy_zlib::EncodeError>(())
    /// ```
    pub fn sensitive_field<I>(&mut self, name: &[u8], values: I) -> &mut Self
    where
        I: IntoIterator,
        I::Item: AsRef<[u8]>,
    {
        self.sensitive.push(self.fields);
        self.field(name, values)
    }

    /// The number of fields so far.
    pub fn fields(&self) -> usize {
        self.fields
    }

    /// Ends the block: writes the count, compresses, flushes.
    ///
    /// # Errors
    ///
    /// The first [`EncodeError`] of the fields. The destination and the encoder are then as before
    /// the block, except after [`EncodeError::Backend`].
    pub fn finish(mut self) -> Result<(), EncodeError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let version = self.encoder.version;
        version.patch_length(self.dst, self.count_at, self.fields);
        self.encoder
            .compress(self.dst, self.count_at, &self.sensitive)?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for BlockEncoder<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.dst.truncate(self.start);
        }
    }
}

impl fmt::Debug for BlockEncoder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockEncoder")
            .field("fields", &self.fields)
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}
