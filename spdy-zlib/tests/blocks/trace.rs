//! An inflater that reports its matches. It supports only stored blocks and the fixed code, since
//! our deflate writes nothing else.

/// A range of bytes that was copied, not written out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Match {
    /// The range in [`Tracer::output`].
    pub(crate) at: usize,
    pub(crate) distance: usize,
    pub(crate) length: usize,
}

/// One zlib stream.
pub(crate) struct Tracer {
    /// The dictionary, and all blocks so far.
    pub(crate) output: Vec<u8>,
    /// The window size in the zlib header.
    pub(crate) window: usize,
}

impl Tracer {
    pub(crate) fn new(dictionary: &[u8]) -> Self {
        Tracer {
            output: dictionary.to_vec(),
            window: 0,
        }
    }

    /// Inflates a flushed block, and returns its matches.
    pub(crate) fn inflate(&mut self, mut block: &[u8]) -> Vec<Match> {
        if self.window == 0 {
            assert_eq!(block[0] & 0x0f, 8, "deflate");
            self.window = 1 << (8 + (block[0] >> 4));
            block = &block[6..];
        }
        let mut bits = BitReader {
            bytes: block,
            at: 0,
        };
        let mut matches = Vec::new();
        while bits.at < 8 * block.len() {
            assert_eq!(bits.take(1), 0, "streams of SPDY never end");
            match bits.take(2) {
                0 => {
                    bits.at = bits.at.next_multiple_of(8);
                    let length = bits.take(16);
                    assert_eq!(length ^ 0xffff, bits.take(16));
                    for _ in 0..length {
                        let byte = bits.take(8) as u8;
                        self.output.push(byte);
                    }
                }
                1 => self.fixed(&mut bits, &mut matches),
                other => panic!("block of type {other}"),
            }
        }
        assert!(block.ends_with(&[0x00, 0x00, 0xff, 0xff]), "flushed");
        matches
    }

    fn fixed(&mut self, bits: &mut BitReader<'_>, matches: &mut Vec<Match>) {
        loop {
            let symbol = bits.literal_or_length();
            match symbol {
                0..=255 => self.output.push(symbol as u8),
                256 => return,
                _ => {
                    let length = match symbol {
                        257..=264 => symbol - 254,
                        285 => 258,
                        _ => {
                            let extra = (symbol - 261) / 4;
                            ((4 + (symbol - 261) % 4) << extra) + 3 + bits.take(extra)
                        }
                    };
                    let code = bits.code(5);
                    let distance = match code {
                        0..=3 => code + 1,
                        4..=29 => {
                            let extra = code / 2 - 1;
                            ((2 + code % 2) << extra) + 1 + bits.take(extra)
                        }
                        _ => panic!("distance code {code}"),
                    };
                    assert!(distance <= self.window, "{distance} is beyond the window");
                    let at = self.output.len();
                    matches.push(Match {
                        at,
                        distance,
                        length,
                    });
                    for from in at - distance..at - distance + length {
                        self.output.push(self.output[from]);
                    }
                }
            }
        }
    }
}

struct BitReader<'a> {
    bytes: &'a [u8],
    /// The position in bits.
    at: usize,
}

impl BitReader<'_> {
    fn bit(&mut self) -> usize {
        let bit = self.bytes[self.at / 8] >> (self.at % 8) & 1;
        self.at += 1;
        usize::from(bit)
    }

    /// Lowest bit first.
    fn take(&mut self, count: usize) -> usize {
        (0..count).fold(0, |number, place| number | self.bit() << place)
    }

    /// Highest bit first.
    fn code(&mut self, count: usize) -> usize {
        (0..count).fold(0, |number, _| number << 1 | self.bit())
    }

    /// RFC 1951 section 3.2.6.
    fn literal_or_length(&mut self) -> usize {
        let seven = self.code(7);
        if seven < 0b001_1000 {
            return 256 + seven;
        }
        let eight = seven << 1 | self.bit();
        match eight {
            0b0011_0000..=0b1011_1111 => eight - 0b0011_0000,
            0b1100_0000..=0b1100_0111 => 280 + eight - 0b1100_0000,
            _ => 144 + (eight << 1 | self.bit()) - 0b1_1001_0000,
        }
    }
}
