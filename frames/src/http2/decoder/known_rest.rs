//! The end of a header block that occurs again and again.
//!
//! Requests of one client often differ in their paths alone. The regular fields behind those
//! are then the same bytes: indices of the dynamic table. While the table does not change,
//! the same bytes mean the same fields. A copy of the finished list costs a third of building it.

use lacewing_hpack::Summary;

use crate::http2::HeaderList;

/// An end of fewer fields is as fast to decode.
pub(super) const MIN_FIELDS: usize = 6;

/// A longer end is not remembered.
const MAX_BYTES: usize = 256;

/// The bytes at the end of the last block, and their fields once the bytes occurred twice.
#[derive(Debug)]
pub(super) struct KnownRest<L> {
    bytes: Vec<u8>,
    /// The state of the dynamic table in which the bytes have this meaning.
    table: u64,
    summary: Summary,
    pub(super) list: Option<L>,
}

/// The place in a block where its rest begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    /// The bytes from there on.
    pub(super) len: usize,
    /// The state of the dynamic table.
    pub(super) table: u64,
    /// The fields before.
    pub(super) before: Summary,
}

impl Mark {
    /// The rest has enough of the block's fields to be remembered.
    #[inline]
    pub(super) fn is_useful(&self, all: Summary) -> bool {
        self.before.fields.saturating_add(MIN_FIELDS) <= all.fields
    }
}

impl<L> Default for KnownRest<L> {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            table: 0,
            summary: Summary::default(),
            list: None,
        }
    }
}

impl<L: HeaderList> KnownRest<L> {
    /// The fields of these bytes, if a list of them is there.
    #[inline]
    pub(super) fn summary_of(&self, rest: &[u8], table: u64) -> Option<Summary> {
        let known = self.list.is_some() && self.is(rest, table);
        known.then_some(self.summary)
    }

    /// Forgets the fields. The room for the bytes stays, since the next block needs it.
    pub(super) fn forget(&mut self) {
        self.bytes.clear();
        self.list = None;
    }

    #[inline]
    fn is(&self, rest: &[u8], table: u64) -> bool {
        self.table == table && *rest == *self.bytes
    }

    /// Learns from a block that was decoded, with a [useful](Mark::is_useful) mark: `list` has all of
    /// its fields.
    pub(super) fn note(&mut self, block: &[u8], mark: Mark, all: Summary, list: &L) {
        let mut rest = Summary::default();
        rest.fields = all.fields.saturating_sub(mark.before.fields);
        rest.size = all.size.saturating_sub(mark.before.size);
        let bytes = block.len().checked_sub(mark.len);
        let bytes = bytes.and_then(|start| block.get(start..));
        let Some(bytes) = bytes.filter(|bytes| bytes.len() <= MAX_BYTES) else {
            return;
        };
        if !self.is(bytes, mark.table) {
            self.list = None;
            self.bytes.clear();
            self.bytes.extend_from_slice(bytes);
            (self.table, self.summary) = (mark.table, rest);
        } else if self.list.is_none() {
            self.list = list.copy_rest();
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use lacewing_hpack::{HeaderField, Sensitivity};

    use super::*;
    use crate::http2::{Decoder, DecoderLimits, Encoder, HeadersHead, Message};

    type Plain = Vec<(HeaderField, Sensitivity)>;

    /// A list that is remembered, and counts how often that was of use.
    #[derive(Debug, Default)]
    struct Remembered {
        fields: Plain,
        uses: usize,
    }

    impl Remembered {
        fn rest(&self) -> usize {
            let regular = |(field, _): &(HeaderField, _)| field.name().first() != Some(&b':');
            let first = self.fields.iter().position(regular);
            first.unwrap_or(self.fields.len())
        }
    }

    impl HeaderList for Remembered {
        type Field = HeaderField;

        fn push(&mut self, field: HeaderField, sensitivity: Sensitivity) {
            self.fields.push((field, sensitivity));
        }

        fn has_rest(&self) -> bool {
            self.rest() < self.fields.len()
        }

        fn copy_rest(&self) -> Option<Self> {
            let fields = self.fields.get(self.rest()..)?.to_vec();
            Some(Self { fields, uses: 0 })
        }

        fn add_rest(&mut self, rest: &Self) {
            assert!(!self.has_rest());
            self.fields.extend_from_slice(&rest.fields);
            self.uses += 1;
        }
    }

    /// A client, and two servers of which one remembers.
    struct Pair {
        encoder: Encoder,
        remembering: Decoder<Remembered>,
        plain: Decoder<Plain>,
        stream_id: u32,
    }

    impl Pair {
        fn new(limits: DecoderLimits) -> Self {
            Self {
                encoder: Encoder::new(),
                remembering: Decoder::new(limits.clone()),
                plain: Decoder::new(limits),
                stream_id: 1,
            }
        }

        /// Sends a list to both. Returns how often the memory was of use: 0 or 1.
        fn send(&mut self, fields: &[(&str, &str, Sensitivity)]) -> usize {
            let mut wire = BytesMut::new();
            let head = HeadersHead::new(self.stream_id, true);
            self.stream_id += 2;
            self.encoder.headers(&mut wire, head, |block| {
                for (name, value, sensitivity) in fields {
                    block.field(name.as_bytes(), value.as_bytes(), *sensitivity);
                }
            });
            let plain = self.plain.decode(&mut wire.clone()).unwrap();
            let remembered = self.remembering.decode(&mut wire).unwrap();
            match (plain, remembered) {
                (
                    Some(Message::Headers { list, size, .. }),
                    Some(Message::Headers {
                        list: other,
                        size: other_size,
                        ..
                    }),
                ) => {
                    assert_eq!(size, other_size);
                    match (list, other) {
                        (Ok(list), Ok(other)) => {
                            assert_eq!(list, other.fields);
                            other.uses
                        }
                        (Err(bad), Err(other)) => {
                            assert_eq!(bad.exceeded, other.exceeded);
                            assert_eq!(bad.fields, other.fields.fields);
                            other.fields.uses
                        }
                        other => panic!("{other:?}"),
                    }
                }
                other => panic!("{other:?}"),
            }
        }
    }

    const NORMAL: Sensitivity = Sensitivity::Normal;

    fn request(path: &str) -> Vec<(&str, &str, Sensitivity)> {
        let mut fields = vec![(":method", "GET", NORMAL), (":path", path, NORMAL)];
        for name in ["a", "b", "c", "d", "e", "accept-encoding"] {
            fields.push((name, "gzip, deflate", NORMAL));
        }
        fields
    }

    #[test]
    fn the_third_time_the_end_of_a_block_is_copied() {
        let mut pair = Pair::new(DecoderLimits::default());
        let uses: Vec<_> = (0..5).map(|_| pair.send(&request("/"))).collect();
        // The first fills the table, and two more show that the bytes are the same.
        assert_eq!(uses, [0, 0, 0, 1, 1]);
        assert!(pair.remembering.remembered().is_some());
        assert_eq!(pair.send(&request("/other")), 1);
        // Another field changes the table, and with it the meaning of the bytes.
        let mut other = request("/");
        other.push(("f", "new", NORMAL));
        assert_eq!(pair.send(&other), 0);
        assert_eq!(pair.send(&request("/")), 0);
        pair.remembering.forget();
        assert!(pair.remembering.remembered().is_none());
        assert_eq!(pair.send(&request("/")), 0);
    }

    #[test]
    fn paths_may_differ_each_time() {
        let mut pair = Pair::new(DecoderLimits::default());
        let paths = ["/1", "/2", "/3", "/4", "/5"];
        let uses: Vec<_> = paths.map(|path| pair.send(&request(path))).into();
        assert_eq!(uses, [0, 0, 0, 1, 1]);
    }

    /// Pseudo-header fields are in no rest, however short the rest behind them is.
    #[test]
    fn lists_of_every_shape_stay_whole() {
        let names = [":status", ":path", ":method", ":scheme"];
        for pseudo in 0..=names.len() {
            for regular in 0..=12 {
                let mut fields = Vec::new();
                for name in &names[..pseudo] {
                    fields.push((*name, "200", NORMAL));
                }
                for name in ["a", "b", "c", "d", "e", "f"].iter().cycle().take(regular) {
                    fields.push((*name, "gzip", NORMAL));
                }
                let mut pair = Pair::new(DecoderLimits::default());
                let uses: usize = (0..6).map(|_| pair.send(&fields)).sum();
                let expected = if regular < MIN_FIELDS { 0 } else { 3 };
                assert_eq!(uses, expected, "{pseudo} and {regular}");
                // The last of them is new each time, and no index.
                if let Some(last) = pseudo.checked_sub(1) {
                    let mut pair = Pair::new(DecoderLimits::default());
                    for value in ["1", "2", "3", "4", "5", "6"] {
                        fields[last].1 = value;
                        pair.send(&fields);
                    }
                }
            }
        }
    }

    #[test]
    fn a_list_over_a_limit_is_cut_as_ever() {
        let limits = DecoderLimits::default().with(|limits| limits.max_header_fields = 8);
        let mut pair = Pair::new(limits);
        for _ in 0..4 {
            pair.send(&request("/"));
        }
        let mut long = request("/");
        long.insert(0, (":scheme", "http", NORMAL));
        assert_eq!(pair.send(&long), 0);
        assert_eq!(pair.send(&request("/")), 1);
    }

    #[test]
    fn a_secret_is_not_remembered() {
        let mut pair = Pair::new(DecoderLimits::default());
        let mut fields = request("/");
        fields.push(("authorization", "secret", Sensitivity::Sensitive));
        for _ in 0..5 {
            assert_eq!(pair.send(&fields), 0);
        }
        assert!(pair.remembering.remembered().is_none());
    }

    #[test]
    fn random_lists_are_the_same_with_and_without_memory() {
        let mut pair = Pair::new(DecoderLimits::default());
        let mut state = 7u32;
        let mut random = |below: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) % below
        };
        let long = "x".repeat(1500);
        let values = ["1", "2", "gzip, deflate", &long];
        let (mut last, mut uses) = (Vec::new(), 0);
        for _ in 0..5000 {
            // Often the same list again, or with another start.
            let mut fields = match random(4) {
                0 => Vec::new(),
                _ => std::mem::take(&mut last),
            };
            match random(8) {
                0 | 1 if !fields.is_empty() => {
                    fields.remove(0);
                }
                2 => fields.insert(0, (":path", values[random(2) as usize], NORMAL)),
                3 => {
                    let secret = match random(4) {
                        0 => Sensitivity::Sensitive,
                        _ => NORMAL,
                    };
                    fields.insert(0, ("first", values[random(2) as usize], secret));
                }
                _ => {}
            }
            while fields.len() < 9 {
                let name = ["a", "b", "c", ":path", "accept-encoding"][random(5) as usize];
                let value = match random(20) {
                    0 => 3,
                    n => n % 3,
                };
                fields.push((name, values[value as usize], NORMAL));
            }
            for _ in 0..=random(4) {
                uses += pair.send(&fields);
            }
            last = fields;
        }
        assert!(uses > 500, "{uses}");
    }
}
