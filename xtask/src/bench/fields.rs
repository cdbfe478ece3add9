//! Request header fields for load: as many and as long as those of a browser behind a proxy.

/// Returns the options of h2load for 30 header fields. They take about 2.6 KB of a dynamic table's
/// 4 KiB, so each has one byte from the second request on.
pub(super) fn thirty() -> Vec<String> {
    (0..THIRTY)
        .flat_map(|number| ["-H".to_owned(), field(number, 20)])
        .collect()
}

/// The options of h2load for 30 header fields of 6.5 KB: each request evicts the entries of the one
/// before.
pub(super) fn thrashing() -> Vec<String> {
    (0..THIRTY)
        .flat_map(|number| ["-H".to_owned(), field(number, 200)])
        .collect()
}

/// With h2load's `user-agent` 29 regular fields, beside the four pseudo-header fields.
const THIRTY: usize = 28;

fn field(number: usize, length: usize) -> String {
    let letters = b"abcdefghijklmnopqrstuvwxyz0123456789".iter().cycle();
    let value: String = letters
        .skip(number)
        .take(length)
        .copied()
        .map(char::from)
        .collect();
    format!("x-bench-field-{number:02}: {value}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7541, section 4.1: an entry counts its name, its value, and 32.
    #[test]
    fn thirty_fields_fit_the_table_and_long_ones_do_not() {
        let size = |options: Vec<String>| -> usize {
            options
                .iter()
                .filter(|option| *option != "-H")
                .map(|field| field.len() - ": ".len() + 32)
                .sum()
        };
        assert!(size(thirty()) < 4096 - 300);
        assert!(size(thrashing()) > 4096);
    }
}
