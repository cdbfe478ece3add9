//! nghttp2's HPACK encoder and Huffman coder, through `libnghttp2-sys`.
//!
//! The only unsafe code of the benches besides the counting allocator. Rust checks lengths and
//! lifetimes on this side: every pointer passed to C points into a slice that outlives the call.

#![allow(unsafe_code)]

use std::{
    ffi::c_int,
    marker::PhantomData,
    ptr::{self, NonNull},
};

use lacewing_benches::corpus::HeaderList;
use libnghttp2_sys::{
    NGHTTP2_NV_FLAG_NO_COPY_NAME, NGHTTP2_NV_FLAG_NO_COPY_VALUE, nghttp2_hd_deflate_bound,
    nghttp2_hd_deflate_del, nghttp2_hd_deflate_hd2, nghttp2_hd_deflate_new, nghttp2_hd_deflater,
    nghttp2_nv,
};

/// Names and values are not copied (flags of `nghttp2_nv`, whose type is a byte).
#[allow(clippy::cast_possible_truncation)]
const NO_COPY: u8 = (NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE) as u8;

/// A header list in nghttp2's form, made before the measurement.
pub(crate) struct Prepared<'a> {
    fields: Vec<nghttp2_nv>,
    list: PhantomData<&'a HeaderList>,
}

impl<'a> Prepared<'a> {
    pub(crate) fn new(list: &'a HeaderList) -> Self {
        let fields = list.iter().map(|(name, value)| nghttp2_nv {
            // The deflater only reads. The type has `*mut` for other uses.
            name: name.as_ptr().cast_mut(),
            value: value.as_ptr().cast_mut(),
            namelen: name.len(),
            valuelen: value.len(),
            flags: NO_COPY,
        });
        Self {
            fields: fields.collect(),
            list: PhantomData,
        }
    }
}

/// nghttp2's encoder.
pub(crate) struct Deflater(NonNull<nghttp2_hd_deflater>);

impl Deflater {
    pub(crate) fn new(table_size: usize) -> Self {
        let mut deflater = ptr::null_mut();
        // SAFETY: the out-pointer is valid; a null result is caught below.
        let code = unsafe { nghttp2_hd_deflate_new(&mut deflater, table_size) };
        assert_eq!(code, 0, "nghttp2_hd_deflate_new");
        Self(NonNull::new(deflater).expect("nghttp2 gave an encoder"))
    }

    /// Appends the header block of `list` to `block`.
    pub(crate) fn encode(&mut self, list: &Prepared<'_>, block: &mut Vec<u8>) {
        let (fields, count) = (list.fields.as_ptr(), list.fields.len());
        // SAFETY: `fields` holds `count` entries whose pointers `list` keeps alive.
        let bound = unsafe { nghttp2_hd_deflate_bound(self.0.as_ptr(), fields, count) };
        block.reserve(bound);
        let start = block.len();
        // SAFETY: as above; `bound` bytes after `start` are reserved and ours.
        let written = unsafe {
            let free = block.as_mut_ptr().add(start);
            nghttp2_hd_deflate_hd2(self.0.as_ptr(), free, bound, fields, count)
        };
        let written = usize::try_from(written).expect("nghttp2 encodes every list");
        // SAFETY: nghttp2 has initialised `written` bytes (at most `bound`).
        unsafe { block.set_len(start + written) };
    }
}

impl Drop for Deflater {
    fn drop(&mut self) {
        // SAFETY: made by `nghttp2_hd_deflate_new`, freed once.
        unsafe { nghttp2_hd_deflate_del(self.0.as_ptr()) };
    }
}

/// Huffman-codes `text` into `coded` (emptied first).
///
/// Internal functions of nghttp2, reachable because it is linked statically.
/// The length is computed first, as nghttp2 does for every string.
pub(crate) fn huffman_encode(text: &[u8], coded: &mut Vec<u8>) {
    coded.clear();
    // SAFETY: a valid slice; the function only reads.
    let len = unsafe { nghttp2_hd_huff_encode_count(text.as_ptr(), text.len()) };
    coded.reserve(len);
    let begin = coded.as_mut_ptr();
    let mut chain = BufChain {
        next: ptr::null_mut(),
        buf: Buf::over(begin, len),
    };
    let mut bufs = Bufs {
        head: &mut chain,
        cur: &mut chain,
        mem: ptr::null_mut(),
        chunk_length: len,
        max_chunk: 1,
        chunk_used: 1,
        chunk_keep: 1,
        offset: 0,
    };
    // SAFETY: one buffer of exactly the size that the coder needs, so that it never
    // asks `mem` for more.
    let code = unsafe { nghttp2_hd_huff_encode(&mut bufs, text.as_ptr(), text.len()) };
    assert_eq!(code, 0, "nghttp2_hd_huff_encode");
    // SAFETY: the coder has written `len` bytes from `begin`.
    unsafe { coded.set_len(len) };
}

/// Decodes `coded` into `text` (emptied first).
pub(crate) fn huffman_decode(coded: &[u8], text: &mut Vec<u8>) {
    text.clear();
    // The shortest code has five bits.
    let bound = coded.len() * 2;
    text.reserve(bound);
    let begin = text.as_mut_ptr();
    let mut buf = Buf::over(begin, bound);
    let mut context = HuffmanContext { state: 0 };
    // SAFETY: `buf` has room for the longest text that `coded` can hold.
    let read = unsafe {
        nghttp2_hd_huff_decode_context_init(&mut context);
        nghttp2_hd_huff_decode(&mut context, &mut buf, coded.as_ptr(), coded.len(), 1)
    };
    assert!(read >= 0, "nghttp2_hd_huff_decode");
    // SAFETY: `last` lies behind what was written, in the same allocation.
    unsafe {
        let len = buf.last.offset_from(begin);
        text.set_len(len.unsigned_abs());
    }
}

/// `nghttp2_buf` of nghttp2_buf.h.
#[repr(C)]
struct Buf {
    begin: *mut u8,
    end: *mut u8,
    pos: *mut u8,
    last: *mut u8,
    mark: *mut u8,
}

impl Buf {
    /// An empty buffer over `len` bytes at `begin`.
    fn over(begin: *mut u8, len: usize) -> Self {
        let end = begin.wrapping_add(len);
        Self {
            begin,
            end,
            pos: begin,
            last: begin,
            mark: end,
        }
    }
}

/// `nghttp2_buf_chain` of nghttp2_buf.h.
#[repr(C)]
struct BufChain {
    next: *mut BufChain,
    buf: Buf,
}

/// `nghttp2_bufs` of nghttp2_buf.h.
#[repr(C)]
struct Bufs {
    head: *mut BufChain,
    cur: *mut BufChain,
    mem: *mut u8,
    chunk_length: usize,
    max_chunk: usize,
    chunk_used: usize,
    chunk_keep: usize,
    offset: usize,
}

/// `nghttp2_hd_huff_decode_context` of nghttp2_hd_huffman.h.
#[repr(C)]
struct HuffmanContext {
    state: u16,
}

unsafe extern "C" {
    fn nghttp2_hd_huff_encode_count(src: *const u8, len: usize) -> usize;
    fn nghttp2_hd_huff_encode(bufs: *mut Bufs, src: *const u8, len: usize) -> c_int;
    fn nghttp2_hd_huff_decode_context_init(context: *mut HuffmanContext);
    fn nghttp2_hd_huff_decode(
        context: *mut HuffmanContext,
        buf: *mut Buf,
        src: *const u8,
        len: usize,
        last: c_int,
    ) -> isize;
}
