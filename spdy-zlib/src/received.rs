//! The bytes of received blocks that later blocks may refer to.

/// The bytes may exceed the window by this number, so that they are rarely moved.
const MARGIN: usize = 4 << 10;

/// The first room for bytes. It doubles on demand.
const FIRST: usize = 512;

/// Unused room up to this size is kept: the next block fills it.
const SLACK: usize = 512;

/// The end of all blocks before compression: at least the window that the peer declared.
///
/// Peers declare 2 KiB (spdylay, Chromium, `node-spdy`), 8 KiB (this crate) or 32 KiB (Go, Java).
#[derive(Default)]
pub(crate) struct Received {
    /// The peer's window in bytes; 0 before the first byte of the stream.
    window: usize,
    bytes: Vec<u8>,
}

impl Received {
    /// Learns the window from the first byte of the stream: the upper four bits are its binary
    /// logarithm minus eight (CINFO, RFC 1950 section 2.2). Later calls have no effect.
    pub(crate) fn start(&mut self, first: u8) {
        if !self.has_started() {
            // zlib rejects a logarithm above 15.
            self.window = 256 << (first >> 4).min(7);
        }
    }

    pub(crate) fn has_started(&self) -> bool {
        self.window != 0
    }

    /// Matches can reach no byte before these.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes.len() >= self.window
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        last(&self.bytes, self.window)
    }

    pub(crate) fn push(&mut self, block: &[u8]) {
        let block = last(block, self.window);
        let most = self.window + MARGIN;
        if self.bytes.len() + block.len() > most {
            self.forget(self.window - block.len());
        }
        let length = self.bytes.len() + block.len();
        if length > self.bytes.capacity() {
            let room = length.next_power_of_two().max(FIRST).min(most);
            self.bytes.reserve_exact(room - self.bytes.len());
        }
        self.bytes.extend_from_slice(block);
    }

    /// Frees what no match can reach.
    pub(crate) fn shrink(&mut self) {
        self.forget(self.window);
        if self.bytes.capacity() > self.bytes.len() + SLACK {
            self.bytes.shrink_to_fit();
        }
    }

    /// The heap that it holds, in bytes.
    pub(crate) fn memory(&self) -> usize {
        self.bytes.capacity()
    }

    /// Drops all but the last `count` bytes.
    fn forget(&mut self, count: usize) {
        let passed = self.bytes.len().saturating_sub(count);
        self.bytes.drain(..passed);
    }
}

fn last(bytes: &[u8], count: usize) -> &[u8] {
    let from = bytes.len().saturating_sub(count);
    bytes.get(from..).unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_complete_and_bounded() {
        for (first, window) in [(0x08, 256), (0x38, 2 << 10), (0x78, 32 << 10)] {
            let mut received = Received::default();
            received.start(first);
            let mut all: Vec<u8> = Vec::new();
            for number in 0..300_usize {
                let length = number * 7919 % (2 * window);
                let block = vec![number.to_le_bytes()[0]; length];
                received.push(&block);
                all.extend(&block);
                assert!(received.bytes() == last(&all, window));
                assert_eq!(received.is_full(), all.len() >= window);
                assert!(
                    received.memory() <= window + MARGIN,
                    "{}",
                    received.memory()
                );
                if number % 5 == 0 {
                    received.shrink();
                    assert!(received.bytes() == last(&all, window));
                    assert!(received.memory() <= window.min(all.len()) + SLACK);
                }
            }
        }
    }
}
