//! Lines of the transcript that look the same in every protocol.

/// The most fields of a header list in the transcript.
const SHOWN: usize = 12;

/// The most bytes of a field's value in the transcript.
const VALUE: usize = 40;

/// DATA; `end` is the flag that ends the stream, or nothing.
pub(crate) fn data(stream: u32, length: usize, end: &str) -> String {
    format!("< DATA stream={stream} length={length}{end}")
}

/// A frame with the first header list of a message or a later one.
pub(crate) fn head(kind: &str, stream: u32, flags: &str, fields: &str) -> String {
    format!("< {kind} stream={stream}{flags}{fields}")
}

/// The entries of SETTINGS.
pub(crate) fn settings(entries: impl Iterator<Item = String>) -> String {
    format!("< SETTINGS {}", entries.collect::<Vec<_>>().join(" "))
}

/// The start of a header list: its names and values.
pub(crate) fn fields<'a>(list: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> String {
    let mut text = String::new();
    for (nth, (name, value)) in list.enumerate() {
        if nth == SHOWN {
            text.push_str(" …");
            break;
        }
        let shown = value.get(..VALUE).unwrap_or(value);
        text.push_str(&format!(
            " {}={}",
            name.escape_ascii(),
            shown.escape_ascii()
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_and_values_are_cut() {
        let long = [b'v'; VALUE + 1];
        let list = |count| std::iter::repeat_n((&b"n\n"[..], &long[..]), count);
        let one = format!(" n\\n={}", "v".repeat(VALUE));
        assert_eq!(fields(list(1)), one);
        assert_eq!(fields(list(SHOWN)), one.repeat(SHOWN));
        assert_eq!(fields(list(SHOWN + 1)), one.repeat(SHOWN) + " …");
    }
}
