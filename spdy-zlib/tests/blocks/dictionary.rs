//! flate2 uses one backend for the whole build, so the choice of another crate affects this crate.
//! The backend of this build must support dictionaries; `cargo xtask standalone` tests the others.

use flate2::{Compress, Decompress, FlushCompress, FlushDecompress};
use lacewing_spdy_zlib::WireVersion;

/// The dev-dependencies of this build enable flate2's default backend, in addition to our
/// `zlib-rs`.
#[test]
fn a_dictionary_can_be_set_beside_the_default_backend() {
    for version in [WireVersion::V2, WireVersion::V3] {
        let mut deflate = Compress::new(flate2::Compression::default(), true);
        let id = deflate.set_dictionary(version.dictionary()).unwrap();
        assert_eq!(id, version.dictionary_id());
        let mut block = Vec::with_capacity(256);
        deflate
            .compress_vec(b"accept-encoding", &mut block, FlushCompress::Sync)
            .unwrap();

        let mut inflate = Decompress::new(true);
        let mut out = Vec::with_capacity(256);
        let needed = inflate
            .decompress_vec(&block, &mut out, FlushDecompress::Sync)
            .unwrap_err();
        assert_eq!(needed.needs_dictionary(), Some(id));
        assert_eq!(inflate.set_dictionary(version.dictionary()).unwrap(), id);
        let rest = &block[usize::try_from(inflate.total_in()).unwrap()..];
        inflate
            .decompress_vec(rest, &mut out, FlushDecompress::Sync)
            .unwrap();
        assert_eq!(out, b"accept-encoding");
    }
}
