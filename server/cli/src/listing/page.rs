//! A directory as a page of HTML or as JSON. The top names the requested path; the rows are
//! the same for all paths to the directory.

use std::fmt::Write;

use super::{
    entry::{Entry, LeftOut},
    view::{Format, Sort, View},
};
use crate::target::percent_encode;

/// Bytes of rows on one page: names of 255 bytes become 2 KiB each when they
/// are encoded.
const MAX_ROWS: usize = 2 << 20;

/// On a phone, size and time are below the name.
const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:1rem/1.5 system-ui,sans-serif;max-width:64rem;margin:0 auto;padding:1rem;color:#222;background:#fff}\
h1{font-size:1.3rem;overflow-wrap:anywhere}\
a{color:#0550ae;text-decoration:none}a:hover{text-decoration:underline}\
table{width:100%;border-collapse:collapse}\
th,td{padding:.3rem 0;text-align:left;border-bottom:1px solid #8884;vertical-align:top}\
th{white-space:nowrap}\
td:first-child{width:100%;overflow-wrap:anywhere}\
th+th,td+td{padding-left:1.5rem;text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}\
td+td{color:#666}\
@media(max-width:40rem){\
table,thead,tbody{display:block}\
tr{display:flex;flex-wrap:wrap;gap:0 1rem;padding:.4rem 0;border-bottom:1px solid #8884}\
th,td,th+th,td+td{display:block;padding:0;border:0;text-align:left}\
td:empty{display:none}}\
@media(prefers-color-scheme:dark){\
body{color:#ddd;background:#16181c}a{color:#8ab4f8}td+td{color:#a0a4ab}}";

/// The page before the rows. `path` has names with `/` between them.
pub(crate) fn top(path: &str, format: Format) -> String {
    let mut title = String::from("/");
    if !path.is_empty() {
        title.push_str(path);
        title.push('/');
    }
    if format == Format::Json {
        return format!("{{\"path\":{},\n\"entries\":[\n", json(&title));
    }
    let mut shown = String::new();
    escape(&title, &mut shown);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{shown}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<h1>{shown}</h1>\n"
    );
    if !path.is_empty() {
        page.push_str("<p><a href=\"../\">\u{2191} parent directory</a></p>\n");
    }
    page
}

/// The rows, and the number of entries that are left out.
pub(crate) fn rows(mut entries: Vec<Entry>, left_out: LeftOut, view: View) -> String {
    entries.sort_by(|a, b| view.compare(a, b));
    let mut rows = String::new();
    if view.format == Format::Html {
        head(view, &mut rows);
    }
    let mut shown: usize = 0;
    for entry in &entries {
        let begin = rows.len();
        match view.format {
            Format::Html => html_row(entry, &mut rows),
            Format::Json => json_row(entry, shown == 0, &mut rows),
        }
        if rows.len() > MAX_ROWS {
            rows.truncate(begin);
            break;
        }
        shown += 1;
    }
    let cut = entries.len().saturating_sub(shown);
    let (at_least, left_out) = match left_out {
        LeftOut::Exactly(number) => (false, number.saturating_add(cut)),
        LeftOut::AtLeast(number) => (true, number.saturating_add(cut)),
    };
    if view.format == Format::Json {
        let _ = write!(
            rows,
            "\n],\n\"left_out\":{left_out},\"left_out_at_least\":{at_least}"
        );
        return rows;
    }
    rows.push_str("</tbody>\n</table>\n");
    if left_out > 0 {
        let at_least = if at_least { "at least " } else { "" };
        let _ = writeln!(
            rows,
            "<p>Only {shown} entries are shown; {at_least}{left_out} more are left out.</p>"
        );
    }
    rows
}

/// The names of the columns, which are links to the other orders.
fn head(view: View, rows: &mut String) {
    rows.push_str("<table>\n<thead>\n<tr class=\"head\">");
    let columns = [
        (Sort::Name, "Name"),
        (Sort::Size, "Size"),
        (Sort::Time, "Modified (UTC)"),
    ];
    for (sort, title) in columns {
        let (state, arrow) = match (view.sort == sort, view.descending) {
            (false, _) => ("", ""),
            (true, false) => (" aria-sort=\"ascending\"", " \u{2191}"),
            (true, true) => (" aria-sort=\"descending\"", " \u{2193}"),
        };
        // The largest and the newest are of interest first; the second time reverses.
        let descending = if view.sort == sort {
            !view.descending
        } else {
            sort != Sort::Name
        };
        let order = if descending { "desc" } else { "asc" };
        let name = sort.name();
        let _ = write!(
            rows,
            "<th{state}><a href=\"?sort={name}&amp;order={order}\">{title}{arrow}</a></th>"
        );
    }
    rows.push_str("</tr>\n</thead>\n<tbody>\n");
}

fn html_row(entry: &Entry, rows: &mut String) {
    let Entry { name, size, .. } = entry;
    let slash = if size.is_none() { "/" } else { "" };
    // `./` keeps a name with a colon from being a scheme.
    rows.push_str("<tr><td><a href=\"./");
    percent_encode(name, rows);
    let _ = write!(rows, "{slash}\">");
    escape(name, rows);
    let size = size.map(readable).unwrap_or_default();
    let time = entry.time().unwrap_or_default();
    let minute = time.get(..16).unwrap_or_default().replace('T', " ");
    let _ = writeln!(
        rows,
        "{slash}</a></td><td>{size}</td><td>{minute}</td></tr>"
    );
}

fn json_row(entry: &Entry, first: bool, rows: &mut String) {
    let is_dir = entry.size.is_none();
    let slash = if is_dir { "/" } else { "" };
    let comma = if first { "" } else { ",\n" };
    let name = json(&entry.name);
    let mut url = String::from("./");
    percent_encode(&entry.name, &mut url);
    let _ = write!(
        rows,
        "{comma}{{\"name\":{name},\"url\":\"{url}{slash}\",\"is_dir\":{is_dir}"
    );
    if let Some(size) = entry.size {
        let _ = write!(rows, ",\"size\":{size}");
    }
    if let Some(time) = entry.time() {
        let _ = write!(rows, ",\"mod_time\":\"{time}\"");
    }
    rows.push('}');
}

/// The page after the last row.
pub(crate) fn end(format: Format) -> &'static str {
    match format {
        Format::Html => "</body>\n</html>\n",
        Format::Json => "}\n",
    }
}

/// A text in JSON, with its quotes.
fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

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
            modified: Some(784_111_777),
        }
    }

    #[test]
    fn names_can_not_break_out_of_the_page() {
        let name = "<img src=x onerror='alert(1)'>\"&%?#";
        let rows = rows(vec![file(name)], LeftOut::Exactly(0), View::default());
        assert!(!rows.contains("<img"), "{rows}");
        assert!(rows.contains(
            "href=\"./%3Cimg%20src%3Dx%20onerror%3D%27alert%281%29%27%3E%22%26%25%3F%23\""
        ));
        let top = top("<b>", Format::Html);
        assert!(
            !top.contains("<b>") && top.contains("href=\"../\""),
            "{top}"
        );
    }

    #[test]
    fn the_root_has_no_parent() {
        assert!(!top("", Format::Html).contains("../"));
        assert!(top("", Format::Html).contains("<title>/</title>"));
        assert!(top("a/b", Format::Html).contains("<title>/a/b/</title>"));
    }

    #[test]
    fn directories_come_first() {
        let zoo = Entry {
            name: "zoo".into(),
            size: None,
            modified: None,
        };
        let rows = rows(
            vec![file("b"), zoo, file("a")],
            LeftOut::Exactly(0),
            View::default(),
        );
        let at = |text| rows.find(text).unwrap();
        assert!(at("./zoo/\">zoo/<") < at("./a\"") && at("./a\"") < at("./b\""));
        assert!(rows.contains("5 B") && !rows.contains("left out"));
    }

    #[test]
    fn a_page_says_how_many_entries_are_left_out() {
        let said = |left_out| rows(vec![file("a")], left_out, View::default());
        assert!(said(LeftOut::Exactly(7)).contains("Only 1 entries are shown; 7 more"));
        assert!(said(LeftOut::AtLeast(7)).contains("at least 7 more"));
        // Names that are long once they are encoded.
        let entries = (0..5_000).map(|number| file(&format!("{number:05}{}", "'".repeat(250))));
        let rows = rows(entries.collect(), LeftOut::Exactly(10), View::default());
        assert!(rows.len() <= MAX_ROWS + 100, "{}", rows.len());
        let shown = rows.matches("<tr>").count();
        let said = format!("Only {shown} entries are shown; {} more", 5_010 - shown);
        assert!(rows.contains(&said), "{said}");
    }

    #[test]
    fn a_row_has_size_and_time() {
        let page = rows(vec![file("a")], LeftOut::Exactly(0), View::default());
        assert!(
            page.contains("<td>5 B</td><td>1994-11-06 08:49</td>"),
            "{page}"
        );
        let head = "<th aria-sort=\"ascending\"><a href=\"?sort=name&amp;order=desc\">";
        assert!(page.contains(head), "{page}");
        let late = Entry {
            modified: Some(u64::MAX),
            ..file("late")
        };
        let page = rows(vec![late], LeftOut::Exactly(0), View::default());
        assert!(page.contains("<td>5 B</td><td></td>"), "{page}");
    }

    #[test]
    fn json_is_valid_and_complete() {
        let view = View {
            format: Format::Json,
            ..View::default()
        };
        let directory = Entry {
            size: None,
            ..file("d")
        };
        let entries = vec![file("a\"\\\n</script>"), directory];
        let body = rows(entries, LeftOut::AtLeast(3), view);
        let text = top("x/\"y", Format::Json) + &body + end(Format::Json);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["path"], "/x/\"y/");
        assert_eq!(
            (&value["left_out"], &value["left_out_at_least"]),
            (&3.into(), &true.into())
        );
        let entries = value["entries"].as_array().unwrap();
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[0]["url"], "./d/");
        assert!(entries[0].get("size").is_none());
        assert_eq!(entries[1]["name"], "a\"\\\n</script>");
        assert_eq!(entries[1]["size"], 5);
        assert_eq!(entries[1]["mod_time"], "1994-11-06T08:49:37Z");
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
