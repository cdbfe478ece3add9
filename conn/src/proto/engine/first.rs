//! The peer's first bytes, which may be of another protocol.

use super::Engine;
use crate::proto::{
    Broken, Rule, Side, Version,
    wire::foreign::{self, Beginning},
};

/// The number of first bytes that are kept for an error, if they turn out to be no frame.
const KEPT: usize = 64;

/// The peer's first bytes, as far as they are known.
pub(super) enum First {
    /// They were handled before.
    Past,
    /// Too few have arrived to recognise a protocol.
    Short,
    /// They may be a frame. Boxed, so that the enum stays small: every later frame passes it on too.
    Frame(Box<Head>),
}

/// Bytes at the front of the input.
pub(super) struct Head {
    bytes: [u8; KEPT],
    length: usize,
    version: Version,
    side: Side,
}

impl Engine {
    /// Looks at the front of the input while no byte of the peer was consumed.
    ///
    /// # Errors
    ///
    /// The peer speaks another protocol.
    #[cold]
    #[inline(never)]
    pub(super) fn look_at_first(&self, input: &[u8]) -> Result<First, Broken> {
        let (version, side) = (self.config.version, self.config.side);
        match foreign::look(input, version, side) {
            Beginning::Short => Ok(First::Short),
            Beginning::Foreign(foreign) => Err(foreign.rule.fatal().detailed(foreign.text)),
            Beginning::Ours => {
                let mut bytes = [0; KEPT];
                let mut length = 0;
                for (kept, byte) in bytes.iter_mut().zip(input) {
                    *kept = *byte;
                    length += 1;
                }
                Ok(First::Frame(Box::new(Head {
                    bytes,
                    length,
                    version,
                    side,
                })))
            }
        }
    }
}

impl First {
    /// Explains a broken rule by first bytes that are no frame of any of the
    /// protocols.
    pub(super) fn explain(&self, broken: Broken) -> Broken {
        self.foreign().unwrap_or(broken)
    }

    /// The error of first bytes that are no frame of any of the protocols.
    pub(super) fn foreign(&self) -> Option<Broken> {
        let Self::Frame(head) = self else {
            return None;
        };
        let bytes = head.bytes.get(..head.length)?;
        let text = foreign::unknown(bytes, head.version, head.side)?;
        Some(Rule::ForeignProtocol.fatal().detailed(text))
    }
}
