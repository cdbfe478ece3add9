//! Reads that never wait for the disk: of files that the system has in memory.

use std::fs::File;

/// Reads from `start` what the system has in memory, into the front of `piece`. Returns the number
/// of bytes. `None` if there are none, or if the system or the file system cannot tell: such a read
/// may wait.
#[cfg(target_os = "linux")]
pub(super) fn read(file: &File, piece: &mut [u8], start: u64) -> Option<usize> {
    use std::io::IoSliceMut;

    use rustix::io::{ReadWriteFlags, preadv2};

    let slices = &mut [IoSliceMut::new(piece)];
    let read = preadv2(file, slices, start, ReadWriteFlags::NOWAIT).ok()?;
    (read > 0).then_some(read)
}

/// Only Linux has such reads.
#[cfg(not(target_os = "linux"))]
pub(super) fn read(_: &File, _: &mut [u8], _: u64) -> Option<usize> {
    None
}
