//! Units: bytes that belong together. Checks that matches never divide them.

use lacewing_spdy_zlib::WireVersion;

use crate::trace::Match;

#[derive(Debug, Clone)]
pub(crate) struct Field {
    pub(crate) name: Vec<u8>,
    pub(crate) value: Vec<u8>,
    pub(crate) sensitive: bool,
}

impl Field {
    pub(crate) fn new(name: &[u8], value: &[u8]) -> Self {
        Field {
            name: name.to_vec(),
            value: value.to_vec(),
            sensitive: false,
        }
    }

    fn is_secret(&self) -> bool {
        let short = self.value.len() < 20;
        self.sensitive
            || match &self.name[..] {
                b"authorization" | b"proxy-authorization" => true,
                b"cookie" | b"set-cookie" => short,
                _ => false,
            }
    }
}

/// One unit of the output.
#[derive(Debug, Clone, Copy)]
struct Unit {
    start: usize,
    /// The start of the value's length; for a count, its end.
    length_at: usize,
    end: usize,
    secret: bool,
}

/// All units of a stream.
pub(crate) struct Units {
    width: usize,
    dictionary: usize,
    units: Vec<Unit>,
}

impl Units {
    pub(crate) fn new(version: WireVersion) -> Self {
        Units {
            width: if version == WireVersion::V2 { 2 } else { 4 },
            dictionary: version.dictionary().len(),
            units: Vec::new(),
        }
    }

    /// A block whose count is at `start` of the output.
    pub(crate) fn add_block(&mut self, start: usize, fields: &[Field]) {
        let mut end = start + self.width;
        self.units.push(Unit {
            start,
            length_at: end,
            end,
            secret: false,
        });
        for field in fields {
            let start = end;
            let length_at = start + self.width + field.name.len();
            end = length_at + self.width + field.value.len();
            self.units.push(Unit {
                start,
                length_at,
                end,
                secret: field.is_secret(),
            });
        }
    }

    /// Each match, with its pieces joined, covers whole units, and copies whole units.
    pub(crate) fn check(&self, output: &[u8], matches: &[Match]) {
        let mut runs: Vec<Match> = Vec::new();
        for &piece in matches {
            match runs.last_mut() {
                Some(run) if run.at + run.length == piece.at && run.distance == piece.distance => {
                    run.length += piece.length;
                }
                _ => runs.push(piece),
            }
        }
        for run in runs {
            self.check_run(output, run);
        }
    }

    fn check_run(&self, output: &[u8], run: Match) {
        let (start, end) = (run.at, run.at + run.length);
        let Some(first) = self.unit_at(start) else {
            self.check_entry(output, run);
            return;
        };
        let mut unit = first;
        while unit.end <= end {
            assert!(!unit.secret, "{run:?} covers a secret");
            let Some(source) = self.source(unit, run) else {
                // Two adjacent entries of the dictionary: a name and its value.
                assert!(unit.length_at - run.distance <= self.dictionary, "{run:?}");
                let rest = Match {
                    at: unit.length_at,
                    length: end - unit.length_at,
                    ..run
                };
                return self.check_entry(output, rest);
            };
            assert!(!source.secret, "{run:?} copies a secret");
            assert_eq!(source.end + run.distance, unit.end, "{run:?}");
            assert_eq!(source.length_at + run.distance, unit.length_at, "{run:?}");
            if unit.end == end {
                return;
            }
            let next = self.unit_at(unit.end);
            unit = next.unwrap_or_else(|| panic!("{run:?} continues beyond a block"));
        }
        // The rest is a name, and zeros of a length.
        let zeros = unit.length_at..end;
        assert!(zeros.start <= zeros.end, "{run:?} ends in a name");
        assert!(
            zeros.len() < self.width,
            "{run:?} covers the length of a value"
        );
        assert!(output[zeros].iter().all(|&byte| byte == 0), "{run:?}");
        match self.source(unit, run) {
            Some(source) => {
                assert_eq!(source.length_at + run.distance, unit.length_at, "{run:?}");
            }
            None => assert!(end - run.distance <= self.dictionary, "{run:?}"),
        }
    }

    /// A match that starts inside of a unit: at the value or its length, or at the name after its
    /// length. It ends at the end of that part, and copies from the dictionary.
    fn check_entry(&self, output: &[u8], mut run: Match) {
        let at = self.units.partition_point(|unit| unit.start < run.at);
        let unit = self.units[at - 1];
        // The rest, at the same distance, is another match.
        let behind = (run.at + run.length).saturating_sub(unit.end);
        if behind > 0 {
            run.length -= behind;
            let rest = Match {
                at: unit.end,
                length: behind,
                ..run
            };
            self.check_run(output, rest);
        }
        let (start, end) = (run.at, run.at + run.length);
        assert!(
            end - run.distance <= self.dictionary,
            "{run:?} copies a part"
        );
        let value = start == unit.length_at || start == unit.length_at + self.width;
        let name = start == unit.start + self.width;
        assert!(
            value && end == unit.end && !unit.secret || name && end == unit.length_at,
            "{run:?} covers a part of {unit:?}"
        );
    }

    fn source(&self, unit: Unit, run: Match) -> Option<Unit> {
        self.unit_at(unit.start - run.distance)
    }

    fn unit_at(&self, start: usize) -> Option<Unit> {
        let at = self.units.binary_search_by_key(&start, |unit| unit.start);
        at.ok().map(|at| self.units[at])
    }
}
