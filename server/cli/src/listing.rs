//! A directory as a page.

use std::{
    fmt::Write,
    fs, io,
    path::{Component, Path, PathBuf},
};

/// Entries on one page; a directory of a million files must not become a page
/// of a hundred megabytes.
const MAX_ENTRIES: usize = 10_000;

/// What a path with a slash at its end stands for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Directory {
    /// A directory without an `index.html`: its page.
    Page(String),
    /// Anything else.
    Other,
}

/// Reads the directory that `path` of a request names below `root`.
pub(crate) fn read(root: &Path, path: &str) -> io::Result<Directory> {
    let Some((directory, shown)) = resolve(root, path) else {
        return Ok(Directory::Other);
    };
    if !directory.is_dir() || directory.join("index.html").is_file() {
        return Ok(Directory::Other);
    }
    let mut entries = Vec::new();
    let mut more = false;
    for entry in fs::read_dir(&directory)? {
        if entries.len() == MAX_ENTRIES {
            more = true;
            break;
        }
        let entry = entry?;
        // Follows symbolic links, as the file service does; a dangling one is
        // left out.
        let Ok(metadata) = fs::metadata(entry.path()) else {
            continue;
        };
        // Without a name in UTF-8 there is no link to it.
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        entries.push(Entry {
            name,
            size: (!metadata.is_dir()).then_some(metadata.len()),
        });
    }
    entries.sort_by(|a, b| (a.size.is_some(), &a.name).cmp(&(b.size.is_some(), &b.name)));
    Ok(Directory::Page(page(&shown, &entries, more)))
}

struct Entry {
    name: String,
    /// `None` for a directory.
    size: Option<u64>,
}

/// The directory and its path as text. `None` for a path that leads out of the
/// root, or that has a name which no directory can have.
fn resolve(root: &Path, path: &str) -> Option<(PathBuf, String)> {
    let decoded = percent_decode(path)?;
    let mut directory = root.to_path_buf();
    for name in decoded.split('/').filter(|name| !name.is_empty()) {
        let mut components = Path::new(name).components();
        let plain = matches!(components.next(), Some(Component::Normal(_)));
        if !plain || components.next().is_some() || name.contains(['\0', '\\']) {
            return None;
        }
        directory.push(name);
    }
    Some((directory, decoded))
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
        bytes.push(match byte {
            b'%' => u8::try_from(digit()? * 16 + digit()?).ok()?,
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

fn page(path: &str, entries: &[Entry], more: bool) -> String {
    let title = escape(path);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <style>body{{font-family:sans-serif;margin:2em}}td{{padding:.1em 1em .1em 0}}\
         td+td{{text-align:right;color:#666}}</style>\n</head>\n<body>\n<h1>{title}</h1>\n<table>\n"
    );
    if path.split('/').any(|name| !name.is_empty()) {
        page.push_str("<tr><td><a href=\"../\">..</a></td><td></td></tr>\n");
    }
    for Entry { name, size } in entries {
        let slash = if size.is_none() { "/" } else { "" };
        let size = size.map(readable).unwrap_or_default();
        // `./` keeps a name with a colon from being a scheme.
        let _ = writeln!(
            page,
            "<tr><td><a href=\"./{}{slash}\">{}{slash}</a></td><td>{size}</td></tr>",
            percent_encode(name),
            escape(name),
        );
    }
    page.push_str("</table>\n");
    if more {
        let _ = writeln!(page, "<p>Only {MAX_ENTRIES} entries are shown.</p>");
    }
    page.push_str("</body>\n</html>\n");
    page
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
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
    escaped
}

fn percent_encode(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            byte => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
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

    #[test]
    fn no_path_leads_out_of_the_root() {
        let root = Path::new("/srv");
        for path in [
            "/../",
            "/a/../../",
            "/%2e%2e/",
            "/..%2f/",
            "/a\\b/",
            "/%00/",
            "/%zz/",
            "/./",
        ] {
            assert_eq!(resolve(root, path), None, "{path}");
        }
        let (directory, shown) = resolve(root, "//a%20b/%C3%A9/").unwrap();
        assert_eq!(directory, Path::new("/srv/a b/é"));
        assert_eq!(shown, "//a b/é/");
    }

    #[test]
    fn names_can_not_break_out_of_the_page() {
        let name = "<img src=x onerror='alert(1)'>\"&%?#".to_owned();
        let page = page(
            "/<b>/",
            &[Entry {
                name,
                size: Some(0),
            }],
            false,
        );
        assert!(!page.contains("<img") && !page.contains("<b>"), "{page}");
        assert!(page.contains(
            "href=\"./%3Cimg%20src%3Dx%20onerror%3D%27alert%281%29%27%3E%22%26%25%3F%23\""
        ));
        assert!(page.contains("href=\"../\""));
    }

    #[test]
    fn the_root_has_no_parent() {
        assert!(!page("/", &[], false).contains("../"));
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

    #[test]
    fn directories_come_first_and_an_index_is_left_to_the_file_service() {
        let root = tempdir();
        fs::create_dir(root.join("zoo")).unwrap();
        fs::write(root.join("apple.txt"), "12345").unwrap();
        let Directory::Page(page) = read(&root, "/").unwrap() else {
            panic!("no page")
        };
        let zoo = page.find("./zoo/").unwrap();
        let apple = page.find("./apple.txt").unwrap();
        assert!(zoo < apple && page.contains("5 B"));
        fs::write(root.join("zoo/index.html"), "").unwrap();
        assert_eq!(read(&root, "/zoo/").unwrap(), Directory::Other);
        assert_eq!(read(&root, "/none/").unwrap(), Directory::Other);
        fs::remove_dir_all(root).unwrap();
    }

    fn tempdir() -> PathBuf {
        let path = std::env::temp_dir().join(format!("lacewingd-listing-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        path
    }
}
