//! Compares our decoder with plain zlib and a reader of this file: both accept the same blocks, and
//! find the same fields in them.

use std::{
    ffi::c_int,
    mem::{self, MaybeUninit},
};

use flate2::{Compress, Compression, FlushCompress};
use lacewing_spdy_zlib::{DecodeError, Decoder, HeaderError, ListLimits, WireVersion};
use libz_sys::{
    Z_BUF_ERROR, Z_NEED_DICT, Z_OK, Z_SYNC_FLUSH, inflate, inflateEnd, inflateInit_,
    inflateSetDictionary, z_stream, zlibVersion,
};

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// Runs the target on one input. The first byte chooses the version, and whether the rest is
/// compressed first. In that case both decoders receive valid zlib data with a few broken bits.
pub fn run(input: &[u8]) {
    let Some((&first, data)) = input.split_first() else {
        return;
    };
    // The output is at most 1,032 times as large: below our limit.
    if data.len() > 8192 {
        return;
    }
    let version = match first & 1 {
        0 => WireVersion::V2,
        _ => WireVersion::V3,
    };
    if first & 2 == 0 {
        return compare(version, data);
    }
    let mut stream = Compress::new(Compression::new(u32::from(first >> 2) % 10), true);
    stream
        .set_dictionary(version.dictionary())
        .expect("a new stream takes a dictionary");
    let mut block = Vec::with_capacity(data.len() * 2 + 256);
    stream
        .compress_vec(data, &mut block, FlushCompress::Sync)
        .expect("zlib compresses all bytes");
    if first & 0x80 != 0 {
        let at = data.len() * 31 % block.len();
        block[at] ^= 1 << (first >> 4 & 7);
    }
    compare(version, &block);
}

/// Decodes two halves and the whole, as three blocks of one stream.
fn compare(version: WireVersion, data: &[u8]) {
    let limits = ListLimits::default().with(|limits| {
        limits.max_size = 1 << 24;
        limits.max_fields = 1 << 24;
    });
    let mut ours = Decoder::new(version);
    let mut theirs = Plain::new();
    let (one, two) = data.split_at(data.len() / 2);
    for block in [data, one, two] {
        if block.is_empty() {
            continue;
        }
        let mut fields = Fields::new();
        let result = ours.decode(block, limits, |name, values| {
            fields.push((name.to_vec(), values.joined().to_vec()));
        });
        let Some(list) = theirs.inflate(block, version.dictionary()) else {
            assert!(
                matches!(
                    result,
                    Err(DecodeError::Corrupt
                        | DecodeError::WrongDictionary { .. }
                        | DecodeError::StreamEnded)
                ),
                "zlib rejects a block that we accept: {result:?}"
            );
            return;
        };
        let (expected, end) = read(version, &list);
        match result {
            Ok(_) => assert_eq!(end, End::Exact),
            Err(DecodeError::Truncated) => return assert_eq!(end, End::Short),
            Err(DecodeError::List(error)) => match error.malformed {
                Some(HeaderError::BlockTooShort) => assert_eq!(end, End::Short),
                Some(HeaderError::TrailingBytes) => assert_eq!(end, End::Long),
                _ => assert_ne!(end, End::Short),
            },
            // The fixed overhead of each field counts too.
            Err(DecodeError::TooLarge { .. }) => return,
            Err(error) => panic!("we reject a block that zlib accepts: {error}"),
        }
        assert_eq!(fields, expected);
    }
}

/// The end of the inflated bytes, compared with the end of the list.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Short,
    Exact,
    Long,
}

/// Reads a name/value block in the simplest way.
fn read(version: WireVersion, block: &[u8]) -> (Fields, End) {
    let width = if version == WireVersion::V2 { 2 } else { 4 };
    let mut rest = block;
    let length = |rest: &mut &[u8]| {
        let (bytes, after) = rest.split_at_checked(width)?;
        *rest = after;
        Some(
            bytes
                .iter()
                .fold(0, |sum, &byte| sum << 8 | usize::from(byte)),
        )
    };
    let string = |rest: &mut &[u8]| {
        let length = length(rest)?;
        let (bytes, after) = rest.split_at_checked(length)?;
        *rest = after;
        Some(bytes.to_vec())
    };
    let mut fields = Fields::new();
    let Some((count, after)) = rest.split_at_checked(width) else {
        return (fields, End::Short);
    };
    rest = after;
    let count = count
        .iter()
        .fold(0, |sum, &byte| sum << 8 | usize::from(byte));
    // A count that is too large for the remaining bytes is an error before any field is read.
    if count > rest.len() / (2 * width) {
        return (fields, End::Short);
    }
    for _ in 0..count {
        let (Some(name), Some(value)) = (string(&mut rest), string(&mut rest)) else {
            return (fields, End::Short);
        };
        fields.push((name, value));
    }
    let end = if rest.is_empty() {
        End::Exact
    } else {
        End::Long
    };
    (fields, end)
}

/// zlib's inflater.
struct Plain(Box<MaybeUninit<z_stream>>);

impl Plain {
    fn new() -> Self {
        // zlib's documented initialisation: without functions, it uses its own allocator.
        let mut stream = Box::new(MaybeUninit::<z_stream>::zeroed());
        let size = c_int::try_from(mem::size_of::<z_stream>()).expect("a small struct");
        // SAFETY: the stream is ours, and stays where it is.
        let code = unsafe { inflateInit_(stream.as_mut_ptr(), zlibVersion(), size) };
        assert_eq!(code, Z_OK, "inflateInit");
        Self(stream)
    }

    /// Inflates all of `input`. Returns `None` if it is no zlib data, or ends the stream.
    fn inflate(&mut self, input: &[u8], dictionary: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        let mut room = vec![0; 65_536];
        // SAFETY: `inflateInit_` has written every field, functions included.
        let stream = unsafe { self.0.assume_init_mut() };
        stream.next_in = input.as_ptr().cast_mut();
        stream.avail_in = u32::try_from(input.len()).expect("a short input");
        loop {
            stream.next_out = room.as_mut_ptr();
            stream.avail_out = 65_536;
            // SAFETY: both buffers are valid for the lengths given.
            let code = unsafe { inflate(stream, Z_SYNC_FLUSH) };
            let made = 65_536 - stream.avail_out as usize;
            out.extend_from_slice(&room[..made]);
            match code {
                Z_NEED_DICT => {
                    let len = u32::try_from(dictionary.len()).expect("a short dictionary");
                    // SAFETY: a valid slice, which is only read.
                    let code = unsafe { inflateSetDictionary(stream, dictionary.as_ptr(), len) };
                    if code != Z_OK {
                        return None;
                    }
                }
                Z_OK | Z_BUF_ERROR if stream.avail_out > 0 && stream.avail_in == 0 => {
                    return Some(out);
                }
                Z_OK => {}
                _ => return None,
            }
        }
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        // SAFETY: made by `inflateInit_`, ended once.
        unsafe { inflateEnd(self.0.as_mut_ptr()) };
    }
}
