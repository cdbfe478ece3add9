//! The bytes of an archive, with a bound on those between two entries.

use std::{
    cell::Cell,
    io::{self, Read},
    rc::Rc,
};

/// The bytes of names and attributes before one entry. Answers an archive whose next name
/// has gigabytes, which the reader of archives would hold.
const MAX_NAMES: u64 = 1 << 20;

/// A reader whose [`Meter`] knows what it has read.
pub(super) struct Metered<R> {
    inner: R,
    meter: Meter,
}

/// What has been read, and what may be.
#[derive(Clone, Default)]
pub(super) struct Meter {
    left: Rc<Cell<Option<u64>>>,
    has_ended: Rc<Cell<bool>>,
}

impl<R> Metered<R> {
    pub(super) fn new(inner: R) -> (Self, Meter) {
        let meter = Meter::default();
        let metered = Self {
            inner,
            meter: meter.clone(),
        };
        (metered, meter)
    }
}

impl Meter {
    /// The names of the next entry follow.
    pub(super) fn expect_names(&self) {
        self.left.set(Some(MAX_NAMES));
    }

    /// The content of an entry follows: it goes to the disk.
    pub(super) fn expect_content(&self) {
        self.left.set(None);
    }

    /// Returns `true` after the end of the bytes, or their failure.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.get()
    }
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match self.meter.left.get() {
            None => self.inner.read(buffer),
            Some(0) => Err(io::Error::other(
                "the names before one entry have more than 1 MiB",
            )),
            Some(left) => {
                let most = usize::try_from(left)
                    .unwrap_or(usize::MAX)
                    .min(buffer.len());
                let read = self.inner.read(buffer.get_mut(..most).unwrap_or_default());
                if let Ok(len) = &read {
                    let len = u64::try_from(*len).unwrap_or(u64::MAX);
                    self.meter.left.set(Some(left.saturating_sub(len)));
                }
                read
            }
        };
        match &read {
            Ok(0) if buffer.is_empty() => {}
            Ok(0) => self.meter.has_ended.set(true),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => self.meter.has_ended.set(true),
            Ok(_) => {}
        }
        read
    }
}
