//! The urgency of a stream, and its `priority` field (RFC 9218 §4).

/// The priority of a stream: the eight levels of RFC 9218 §4.1, on which the
/// levels of every wire map.
///
/// ```
/// use lacewing_conn::proto::Priority;
///
/// assert_eq!(Priority::default().urgency(), 3);
/// assert_eq!(Priority::new(9, true).urgency(), 7);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Priority {
    urgency: u8,
    incremental: bool,
}

impl Priority {
    /// Urgency 0 (first) to 7 (last; larger values are 7), and whether the
    /// response is of use in pieces.
    pub const fn new(urgency: u8, incremental: bool) -> Self {
        Self {
            urgency: if urgency > 7 { 7 } else { urgency },
            incremental,
        }
    }

    /// Parses a `priority` header field (RFC 9218 §4). What does not parse
    /// is as if it were absent.
    ///
    /// ```
    /// use lacewing_conn::proto::Priority;
    ///
    /// assert_eq!(Priority::from_field(b"u=1, i"), Priority::new(1, true));
    /// ```
    pub fn from_field(value: &[u8]) -> Self {
        let default = Self::default();
        let (mut urgency, mut incremental) = (default.urgency(), default.incremental());
        for member in value.split(|byte| *byte == b',') {
            let member = member.trim_ascii();
            let member = member
                .split(|byte| *byte == b';')
                .next()
                .unwrap_or_default();
            match member {
                [b'u', b'=', digit @ b'0'..=b'7'] => urgency = digit.wrapping_sub(b'0'),
                b"i" | b"i=?1" => incremental = true,
                b"i=?0" => incremental = false,
                _ => {}
            }
        }
        Self::new(urgency, incremental)
    }

    /// The value of a `priority` header field.
    pub(crate) fn to_field(self) -> String {
        let incremental = if self.incremental { ", i" } else { "" };
        format!("u={}{incremental}", self.urgency)
    }

    /// 0 (first) to 7 (last).
    pub const fn urgency(self) -> u8 {
        self.urgency
    }

    /// `true` if the response is of use in pieces, so that it shares the
    /// connection with others of its urgency frame by frame.
    pub const fn incremental(self) -> bool {
        self.incremental
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self::new(3, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priorities_format_as_they_parse() {
        for urgency in 0..8 {
            for incremental in [false, true] {
                let priority = Priority::new(urgency, incremental);
                let text = priority.to_field();
                assert_eq!(Priority::from_field(text.as_bytes()), priority, "{text}");
            }
        }
    }

    #[test]
    fn priorities_parse_and_invalid_ones_are_ignored() {
        assert_eq!(Priority::from_field(b"u=0"), Priority::new(0, false));
        assert_eq!(Priority::from_field(b"u=5, i"), Priority::new(5, true));
        assert_eq!(
            Priority::from_field(b"i=?1;x=1,u=7"),
            Priority::new(7, true)
        );
        assert_eq!(Priority::from_field(b"u=9, i=2, foo"), Priority::default());
        assert_eq!(Priority::from_field(b""), Priority::default());
    }
}
