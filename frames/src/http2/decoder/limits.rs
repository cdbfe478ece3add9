//! The limits of the decoder, each with the attack it answers.

/// The limits of a [`Decoder`](super::Decoder). Each answers an attack; none is reached by honest peers.
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
    /// The longest payload of a frame in bytes: our SETTINGS_MAX_FRAME_SIZE. Longer frames are
    /// refused from their head, so that no peer can make us buffer 16 MiB. Default 16,384, the
    /// least that HTTP/2 allows.
    pub max_frame_size: u32,
    /// The largest header list in bytes, uncompressed, with 32 for each field: our
    /// SETTINGS_MAX_HEADER_LIST_SIZE. Against HPACK bombs, where 4 KiB in the table and one byte
    /// for each reference become gigabytes (CVE-2016-6581). Default 65,536. A larger list is
    /// cut and reported as exceeded; the connection lives on.
    pub max_header_list_size: usize,
    /// The most fields in a header list, each cookie crumb counted. Against lists of thousands of
    /// tiny fields, which cost far more to keep than 32 bytes each (CVE-2026-49975). Default
    /// 1,000. A longer list is cut and reported as exceeded.
    pub max_header_fields: usize,
    /// The most CONTINUATION frames in a header block. Against endless header blocks
    /// (CVE-2024-27316 and its family). Default 8.
    pub max_continuations: u32,
    /// The most compressed bytes in a header block, as all of them must be decompressed even when
    /// the list is refused. Against the same, and against decompression as a burden (CVE-2022-41723).
    /// Default 131,072.
    pub max_header_block: usize,
    /// The most entries in a SETTINGS frame. Against frames full of settings (CVE-2019-9515's
    /// larger cousin). Default 32.
    pub max_settings_entries: usize,
    /// The most entries in an ORIGIN frame, as each costs more than the two bytes it takes on the
    /// wire. Default 256. A longer frame is reported as unknown.
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
    /// The same limits after `change`, for chains.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> DecoderLimits {
        change(&mut self);
        self
    }

    /// Returns the limits with another limit on header lists. Compressed blocks and
    /// CONTINUATION frames get as much room as an honest list of that size can need. These two
    /// limits never close the connection over a list that the first one permits.
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
        // Compression never makes a list longer than its size, which counts 32 bytes a field.
        // A quarter more for senders that cut unevenly.
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
