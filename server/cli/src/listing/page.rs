//! A directory as a page of HTML. The top names the requested path; the rows are
//! the same for all paths to the directory.

use std::fmt::Write;

use crate::target::percent_encode;

/// Bytes of rows on one page: names of 255 bytes become 2 KiB each when they
/// are encoded.
const MAX_ROWS: usize = 2 << 20;

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    /// `None` for a directory.
    pub(crate) size: Option<u64>,
}

/// Names that are not on the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeftOut {
    Exactly(usize),
    /// The counting stopped there.
    AtLeast(usize),
}

/// The page as far as the first row. `path` has names with `/` between them.
pub(crate) fn top(path: &str) -> String {
    let mut title = String::from("/");
    if !path.is_empty() {
        escape(path, &mut title);
        title.push('/');
    }
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <style>body{{font-family:sans-serif;margin:2em}}td{{padding:.1em 1em .1em 0}}\
         td+td{{text-align:right;color:#666}}</style>\n</head>\n<body>\n<h1>{title}</h1>\n<table>\n"
    );
    if !path.is_empty() {
        page.push_str("<tr><td><a href=\"../\">..</a></td><td></td></tr>\n");
    }
    page
}

/// The rows, directories first, and the number of entries that are left out.
pub(crate) fn rows(mut entries: Vec<Entry>, left_out: LeftOut) -> String {
    entries.sort_by(|a, b| (a.size.is_some(), &a.name).cmp(&(b.size.is_some(), &b.name)));
    let mut rows = String::new();
    let mut shown: usize = 0;
    for Entry { name, size } in &entries {
        let begin = rows.len();
        let slash = if size.is_none() { "/" } else { "" };
        // `./` keeps a name with a colon from being a scheme.
        rows.push_str("<tr><td><a href=\"./");
        percent_encode(name, &mut rows);
        let _ = write!(rows, "{slash}\">");
        escape(name, &mut rows);
        let size = size.map(readable).unwrap_or_default();
        let _ = writeln!(rows, "{slash}</a></td><td>{size}</td></tr>");
        if rows.len() > MAX_ROWS {
            rows.truncate(begin);
            break;
        }
        shown += 1;
    }
    rows.push_str("</table>\n");
    let cut = entries.len().saturating_sub(shown);
    let (at_least, left_out) = match left_out {
        LeftOut::Exactly(number) => ("", number.saturating_add(cut)),
        LeftOut::AtLeast(number) => ("at least ", number.saturating_add(cut)),
    };
    if left_out > 0 {
        let _ = writeln!(
            rows,
            "<p>Only {shown} entries are shown; {at_least}{left_out} more are left out.</p>"
        );
    }
    rows
}

/// The page after the last row.
pub(crate) const END: &str = "</body>\n</html>\n";

fn escape(text: &str, escaped: &mut String) {
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            char => escaped.push(char),
        }
    }
}

/// A size in bytes, or in the largest binary unit that leaves a digit before
/// the point.
fn readable(size: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if size < 1024 {
        return format!("{size} B");
    }
    let mut tenths = u128::from(size) * 10;
    let mut unit = "B";
    for larger in UNITS {
        if tenths < 10_240 {
            break;
        }
        tenths /= 1024;
        unit = larger;
    }
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> Entry {
        Entry {
            name: name.into(),
            size: Some(5),
        }
    }

    #[test]
    fn names_can_not_break_out_of_the_page() {
        let name = "<img src=x onerror='alert(1)'>\"&%?#";
        let rows = rows(vec![file(name)], LeftOut::Exactly(0));
        assert!(!rows.contains("<img"), "{rows}");
        assert!(rows.contains(
            "href=\"./%3Cimg%20src%3Dx%20onerror%3D%27alert%281%29%27%3E%22%26%25%3F%23\""
        ));
        let top = top("<b>");
        assert!(
            !top.contains("<b>") && top.contains("href=\"../\""),
            "{top}"
        );
    }

    #[test]
    fn the_root_has_no_parent() {
        assert!(!top("").contains("../"));
        assert!(top("").contains("<title>/</title>"));
        assert!(top("a/b").contains("<title>/a/b/</title>"));
    }

    #[test]
    fn directories_come_first() {
        let zoo = Entry {
            name: "zoo".into(),
            size: None,
        };
        let rows = rows(vec![file("b"), zoo, file("a")], LeftOut::Exactly(0));
        let at = |text| rows.find(text).unwrap();
        assert!(at("./zoo/\">zoo/<") < at("./a\"") && at("./a\"") < at("./b\""));
        assert!(rows.contains("5 B") && !rows.contains("left out"));
    }

    #[test]
    fn a_page_says_how_many_entries_are_left_out() {
        let said = |left_out| rows(vec![file("a")], left_out);
        assert!(said(LeftOut::Exactly(7)).contains("Only 1 entries are shown; 7 more"));
        assert!(said(LeftOut::AtLeast(7)).contains("at least 7 more"));
        // Names that are long once they are encoded.
        let entries = (0..5_000).map(|number| file(&format!("{number:05}{}", "'".repeat(250))));
        let rows = rows(entries.collect(), LeftOut::Exactly(10));
        assert!(rows.len() <= MAX_ROWS + 100, "{}", rows.len());
        let shown = rows.matches("<tr>").count();
        let said = format!("Only {shown} entries are shown; {} more", 5_010 - shown);
        assert!(rows.contains(&said), "{said}");
    }

    #[test]
    fn sizes_are_readable() {
        for (size, expected) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (5 << 20, "5.0 MiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            assert_eq!(readable(size), expected);
        }
    }
}
