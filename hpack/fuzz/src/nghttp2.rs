//! Compares our decoder with nghttp2's inflater: both accept the same blocks, and find the same
//! fields in them.

use std::{
    ffi::c_int,
    ptr::{self, NonNull},
    slice,
};

use lacewing_hpack::{Decoder, HeaderField, ListLimits, Sensitivity};
use libnghttp2_sys::{
    NGHTTP2_HD_INFLATE_EMIT, NGHTTP2_HD_INFLATE_FINAL, NGHTTP2_NV_FLAG_NO_INDEX,
    nghttp2_hd_inflate_change_table_size, nghttp2_hd_inflate_del, nghttp2_hd_inflate_end_headers,
    nghttp2_hd_inflate_hd3, nghttp2_hd_inflate_new, nghttp2_hd_inflater, nghttp2_nv,
};

type Field = (Vec<u8>, Vec<u8>, bool);

/// Runs the target on one input: blocks that end with 0xff 0xff, after a byte that sets the size of
/// the table.
pub fn run(input: &[u8]) {
    let Some((&table, blocks)) = input.split_first() else {
        return;
    };
    // The two differ only in their own limits.
    if blocks.len() > 16_384 {
        return;
    }
    let limits = ListLimits::default().with(|limits| {
        limits.max_size = usize::MAX;
        limits.max_fields = usize::MAX;
    });
    let mut ours = Decoder::<HeaderField>::new(4096);
    let mut theirs = Inflater::new();
    if table & 1 == 1 {
        let size = usize::from(table) * 32;
        ours.set_max_table_size(size);
        theirs.set_max_table_size(size);
    }
    let mut rest = blocks;
    while !rest.is_empty() {
        let end = rest.windows(2).position(|pair| pair == [0xff, 0xff]);
        let (block, after) = rest.split_at(end.unwrap_or(rest.len()));
        rest = after.get(2..).unwrap_or_default();
        let mut found = Vec::<Field>::new();
        let result = ours.decode(block, limits, |field, sensitivity| {
            let sensitive = sensitivity == Sensitivity::Sensitive;
            found.push((field.name().to_vec(), field.value().to_vec(), sensitive));
        });
        match (result, theirs.decode(block)) {
            (Ok(_), Some(expected)) => assert_eq!(found, expected),
            (Err(_), None) => return,
            (result, other) => panic!("we: {result:?}, nghttp2: {other:?}, block {block:02x?}"),
        }
    }
}

/// nghttp2's decoder.
struct Inflater(NonNull<nghttp2_hd_inflater>);

impl Inflater {
    fn new() -> Self {
        let mut inflater = ptr::null_mut();
        // SAFETY: the out-pointer is valid; a null result is caught below.
        let code = unsafe { nghttp2_hd_inflate_new(&mut inflater) };
        assert_eq!(code, 0, "nghttp2_hd_inflate_new");
        Self(NonNull::new(inflater).expect("nghttp2 gave a decoder"))
    }

    fn set_max_table_size(&mut self, size: usize) {
        // SAFETY: the decoder lives.
        let code = unsafe { nghttp2_hd_inflate_change_table_size(self.0.as_ptr(), size) };
        assert_eq!(code, 0, "nghttp2_hd_inflate_change_table_size");
    }

    /// The fields of a block, each with its never-indexed flag; `None` after an error.
    fn decode(&mut self, mut block: &[u8]) -> Option<Vec<Field>> {
        let mut fields = Vec::new();
        loop {
            let mut field = nghttp2_nv {
                name: ptr::null_mut(),
                value: ptr::null_mut(),
                namelen: 0,
                valuelen: 0,
                flags: 0,
            };
            let mut flags: c_int = 0;
            // SAFETY: `block` is a valid slice; the out-pointers are ours.
            let read = unsafe {
                nghttp2_hd_inflate_hd3(
                    self.0.as_ptr(),
                    &mut field,
                    &mut flags,
                    block.as_ptr(),
                    block.len(),
                    1,
                )
            };
            block = &block[usize::try_from(read).ok()?..];
            let flags = flags as u32;
            if flags & NGHTTP2_HD_INFLATE_EMIT != 0 {
                // SAFETY: on EMIT both point to that many bytes, valid until the next call on this
                // decoder.
                let (name, value) = unsafe {
                    (
                        slice::from_raw_parts(field.name, field.namelen),
                        slice::from_raw_parts(field.value, field.valuelen),
                    )
                };
                let sensitive = u32::from(field.flags) & NGHTTP2_NV_FLAG_NO_INDEX != 0;
                fields.push((name.to_vec(), value.to_vec(), sensitive));
            }
            if flags & NGHTTP2_HD_INFLATE_FINAL != 0 {
                break;
            }
        }
        // SAFETY: the decoder is at the end of a block.
        unsafe { nghttp2_hd_inflate_end_headers(self.0.as_ptr()) };
        Some(fields)
    }
}

impl Drop for Inflater {
    fn drop(&mut self) {
        // SAFETY: made by `nghttp2_hd_inflate_new`, freed once.
        unsafe { nghttp2_hd_inflate_del(self.0.as_ptr()) };
    }
}
