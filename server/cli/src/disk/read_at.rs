//! Reads at positions of files that several responses share.

use std::{fs::File, io};

use super::system;

/// Reads at most a piece; 0 bytes at the end of the file.
pub(crate) fn read_at(file: &File, piece: &mut [u8], start: u64) -> io::Result<usize> {
    loop {
        match system::read_at(file, piece, start) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

/// Reads a whole piece, or fails with [`UnexpectedEof`](io::ErrorKind::UnexpectedEof).
pub(crate) fn read_exact_at(file: &File, mut piece: &mut [u8], mut start: u64) -> io::Result<()> {
    while !piece.is_empty() {
        let read = read_at(file, piece, start)?;
        piece = match piece.get_mut(read..) {
            Some(rest) if read > 0 => rest,
            _ => return Err(io::ErrorKind::UnexpectedEof.into()),
        };
        start = start.saturating_add(read as u64);
    }
    Ok(())
}
