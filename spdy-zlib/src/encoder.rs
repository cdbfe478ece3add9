//! From header fields to compressed header blocks.

use std::fmt;

use bytes::{BufMut, BytesMut};

use crate::deflate::{self, Deflater, STORED_BLOCK_HEAD};
use crate::whole_field::WholeField;
use crate::{EncodeError, Version};

/// The largest block before compression: with what zlib adds, it fits into a frame, whose
/// length has 24 bits.
const MAX_BLOCK: usize = 0xff_0000;

/// The compression of header blocks.
///
/// zlib over secrets leaks them: an attacker who puts guesses beside a cookie, and sees the length
/// of the block, learns the cookie byte by byte (CRIME, CVE-2012-4929). Hence
/// [`Compression::WholeField`] is the default, which every zlib inflates and which repeats nothing
/// less than whole fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Compression {
    /// Fields that occurred before are matched as a whole, and names. As safe as HPACK is: a guess
    /// shortens the block only when a field is right to its last byte, name and value; what is
    /// [sensitive](BlockEncoder::sensitive_field) can't be guessed at all. Lengths don't depend on
    /// which bytes a value has, those above 0x8f aside, which take nine bits instead of eight.
    ///
    /// About as fast as level 1. Holds up to 21 KiB, from the first block on.
    #[default]
    WholeField,
    /// Not at all: stored blocks, which every peer inflates. Safe, fast, no memory.
    Stored,
    /// zlib at a level from 1 (fast) to 9 (small); others are taken for the nearest. **Unsafe**
    /// where a connection carries secrets of one party and fields chosen by another, encrypted
    /// or not; sensitive fields are compressed like any others. Holds about 370 KiB from the first
    /// block on.
    Zlib(u8),
}

/// Encodes the header blocks of one direction of a connection.
///
/// All blocks are one zlib stream: they must be sent in the order in which they were encoded,
/// all of them, each once.
///
/// ```
/// use lacewing_spdy_zlib::{Compression, Encoder, Version};
///
/// let mut encoder = Encoder::new(Version::V3, Compression::default());
/// let mut dst = bytes::BytesMut::new();
/// let mut block = encoder.block(&mut dst);
/// block.field(b":status", [b"200 OK"]);
/// block.field(b"set-cookie", [&b"a=1"[..], b"b=2"]);
/// block.finish()?;
/// assert!(dst.ends_with(&[0x00, 0x00, 0xff, 0xff]));
/// # Ok::<(), lacewing_spdy_zlib::EncodeError>(())
/// ```
pub struct Encoder {
    version: Version,
    compression: Compression,
    stream: Stream,
}

/// The zlib stream, as far as there is one.
enum Stream {
    /// No block was written yet.
    New,
    /// Stored blocks have no state, their header apart.
    Stored,
    Zlib(Box<Deflater>),
    WholeField(Box<WholeField>),
}

impl Encoder {
    /// An encoder at the start of a connection.
    pub fn new(version: Version, compression: Compression) -> Self {
        Encoder {
            version,
            compression,
            stream: Stream::New,
        }
    }

    /// The version of the blocks.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The compression of blocks.
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// Starts a block at the end of `dst`. A block that is dropped without
    /// [`finish`](BlockEncoder::finish) leaves `dst` and the encoder as they were.
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

    /// Compresses what is in `dst` from `raw_at` on, in place.
    fn compress(
        &mut self,
        dst: &mut BytesMut,
        raw_at: usize,
        sensitive: &[usize],
    ) -> Result<(), EncodeError> {
        if let Stream::New = self.stream {
            self.stream = match self.compression {
                Compression::Stored => Stream::Stored,
                Compression::Zlib(level) => {
                    Stream::Zlib(Box::new(Deflater::new(self.version, level)?))
                }
                Compression::WholeField => {
                    Stream::WholeField(Box::new(WholeField::new(self.version)))
                }
            };
        }
        match &mut self.stream {
            Stream::New => Err(EncodeError::Backend),
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

/// A header block under way, made by [`Encoder::block`].
///
/// ```
/// use lacewing_spdy_zlib::{Compression, Encoder, Version};
///
/// let mut encoder = Encoder::new(Version::V2, Compression::Stored);
/// let mut dst = bytes::BytesMut::new();
/// let mut block = encoder.block(&mut dst);
/// block.field(b"method", [b"GET"]).field(b"url", [b"/"]);
/// drop(block); // changed our mind
/// assert!(dst.is_empty());
/// ```
#[must_use = "a block that is not finished is taken back"]
pub struct BlockEncoder<'a> {
    encoder: &'a mut Encoder,
    dst: &'a mut BytesMut,
    /// Length of `dst` before the block.
    start: usize,
    count_at: usize,
    fields: usize,
    /// The numbers of the sensitive ones, in order.
    sensitive: Vec<usize>,
    error: Option<EncodeError>,
    finished: bool,
}

impl BlockEncoder<'_> {
    /// Appends a field; several values of the name are joined by NUL. No values are written as
    /// one empty value.
    ///
    /// The caller obeys the rules of the drafts. Each name stands once, in lower case, and is
    /// not empty. No value is empty (one alone may be, in SPDY/3) or holds NUL.
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
    /// written out each time, and no match ever covers it. The length of a block never reveals
    /// whether a guess at the value was right. Other policies make no difference.
    ///
    /// `authorization`, `proxy-authorization`, and `cookie` and `set-cookie` with values of less than
    /// 20 bytes are taken for secrets without being called so.
    ///
    /// ```
    /// use lacewing_spdy_zlib::{Compression, Encoder, Version};
    ///
    /// let mut encoder = Encoder::new(Version::V3, Compression::WholeField);
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

    /// Fields so far.
    pub fn fields(&self) -> usize {
        self.fields
    }

    /// Ends the block: writes the count, compresses, flushes.
    ///
    /// # Errors
    ///
    /// The first [`EncodeError`] of the fields. The destination and the encoder are as before
    /// the block then, [`EncodeError::Backend`] aside.
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
