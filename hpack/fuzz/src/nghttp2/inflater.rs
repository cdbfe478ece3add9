//! nghttp2's HPACK decoder, through `libnghttp2-sys`. The fuzz target, the bench of HPACK and the
//! test of our stories share this file.

#![allow(unsafe_code)]

use std::{
    ffi::c_int,
    ptr::{self, NonNull},
    slice,
};

use libnghttp2_sys::{
    NGHTTP2_HD_INFLATE_EMIT, NGHTTP2_HD_INFLATE_FINAL, NGHTTP2_NV_FLAG_NO_INDEX,
    nghttp2_hd_inflate_change_table_size, nghttp2_hd_inflate_del, nghttp2_hd_inflate_end_headers,
    nghttp2_hd_inflate_hd3, nghttp2_hd_inflate_new, nghttp2_hd_inflater, nghttp2_nv,
};

/// nghttp2's decoder.
pub(crate) struct Inflater(NonNull<nghttp2_hd_inflater>);

impl Inflater {
    /// Creates a decoder that permits a dynamic table of `table_size` bytes, as
    /// SETTINGS_HEADER_TABLE_SIZE does.
    pub(crate) fn new(table_size: usize) -> Self {
        let mut inflater = ptr::null_mut();
        // SAFETY: the out-pointer is valid; a null result is caught below.
        let code = unsafe { nghttp2_hd_inflate_new(&mut inflater) };
        assert_eq!(code, 0, "nghttp2_hd_inflate_new");
        let mut this = Self(NonNull::new(inflater).expect("nghttp2 gave a decoder"));
        this.set_max_table_size(table_size);
        this
    }

    /// Permits a dynamic table of `table_size` bytes from the next block on.
    pub(crate) fn set_max_table_size(&mut self, table_size: usize) {
        // SAFETY: the decoder lives.
        let code = unsafe { nghttp2_hd_inflate_change_table_size(self.0.as_ptr(), table_size) };
        assert_eq!(code, 0, "nghttp2_hd_inflate_change_table_size");
    }

    /// Decodes one header block. `sink` receives each field: its name, its value, and
    /// whether it is never indexed. Returns `None` after an error.
    pub(crate) fn decode(
        &mut self,
        mut block: &[u8],
        mut sink: impl FnMut(&[u8], &[u8], bool),
    ) -> Option<()> {
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
                sink(name, value, sensitive);
            }
            if flags & NGHTTP2_HD_INFLATE_FINAL != 0 {
                break;
            }
        }
        // SAFETY: the decoder is at the end of a block.
        unsafe { nghttp2_hd_inflate_end_headers(self.0.as_ptr()) };
        Some(())
    }
}

impl Drop for Inflater {
    fn drop(&mut self) {
        // SAFETY: made by `nghttp2_hd_inflate_new`, freed once.
        unsafe { nghttp2_hd_inflate_del(self.0.as_ptr()) };
    }
}
