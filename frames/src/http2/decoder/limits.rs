//! The limits of the decoder, each with the attack that it stops.

/// The limits of a [`Decoder`](super::Decoder). Each stops an attack. Honest peers reach none of
/// them.
///
/// ```
/// use lacewing_frames::http2::DecoderLimits;
///
/// let limits = DecoderLimits::default().with(|limits| limits.max_header_fields = 200);
/// assert_eq!(limits.max_frame_size, 16_384);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DecoderLimits {
    /// The longest payload of a frame in bytes: our SETTINGS_MAX_FRAME_SIZE. The decoder rejects a
    /// longer frame by its head, so no peer can make us buffer 16 MiB. The default, 16,384, is the
    /// minimum of HTTP/2.
    pub max_frame_size: u32,
    /// The largest header list in bytes, uncompressed, with 32 for each field: our
    /// SETTINGS_MAX_HEADER_LIST_SIZE. It stops HPACK bombs, where 4 KiB in the table and one byte
    /// for each reference expand to gigabytes (CVE-2016-6581). The default is 65,536. A larger list
    /// is truncated and reported as an error; the connection continues.
    pub max_header_list_size: usize,
    /// The most fields in a header list. Each part of a split cookie counts. It stops lists of
    /// thousands of tiny fields, which take far more memory than 32 bytes each (CVE-2026-49975).
    /// The default is 1,000. A longer list is truncated and reported as an error.
    pub max_header_fields: usize,
    /// The most CONTINUATION frames in a header block. It stops endless header blocks
    /// (CVE-2024-27316 and others). The default is 8.
    pub max_continuations: u32,
    /// The most compressed bytes in a header block. All of them must be decompressed, even if the
    /// list is refused. It stops endless header blocks, and decompression as an attack on the CPU
    /// (CVE-2022-41723). The default is 131,072.
    pub max_header_block: usize,
    /// The most entries in a SETTINGS frame. It stops frames full of settings (similar to
    /// CVE-2019-9515). The default is 32.
    pub max_settings_entries: usize,
    /// The most entries in an ORIGIN frame: each takes more memory than its two bytes on the wire.
    /// The default is 256. The decoder reports a longer frame as unknown.
    pub max_origins: usize,
}

impl Default for DecoderLimits {
    fn default() -> DecoderLimits {
        DecoderLimits {
            max_frame_size: 16_384,
            max_header_list_size: 64 * 1024,
            max_header_fields: 1_000,
            max_continuations: 8,
            max_header_block: 128 * 1024,
            max_settings_entries: 32,
            max_origins: 256,
        }
    }
}

impl DecoderLimits {
    /// Returns these limits after `change`, for use in expressions.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> DecoderLimits {
        change(&mut self);
        self
    }

    /// Returns these limits with another limit on the size of header lists. The limits on
    /// compressed blocks and CONTINUATION frames grow to what an honest list of that size can need.
    /// They never end the connection because of a list that the first limit permits.
    ///
    /// ```
    /// use lacewing_frames::http2::DecoderLimits;
    ///
    /// let limits = DecoderLimits::default().with_max_header_list_size(1 << 20);
    /// assert!(limits.max_header_block >= 1 << 20);
    /// assert!(limits.max_continuations >= 64);
    /// ```
    #[must_use]
    pub fn with_max_header_list_size(self, max_header_list_size: usize) -> DecoderLimits {
        // Compression never makes a list longer than its size, which counts 32 bytes a field. Add a
        // quarter for senders that split unevenly.
        let frames = max_header_list_size.div_ceil(self.max_frame_size.max(1) as usize);
        let frames = u32::try_from(frames.saturating_add(frames / 4)).unwrap_or(u32::MAX);
        DecoderLimits {
            max_header_list_size,
            max_header_block: self.max_header_block.max(max_header_list_size),
            max_continuations: self.max_continuations.max(frames),
            ..self
        }
    }
}
