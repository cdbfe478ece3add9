//! Rules on the shape of the source: the fields and booleans of a struct, the lines of a function.
//! They rely on rustfmt's format: one field a line, and a closing brace with the indentation of the
//! line that opened it.

use super::{File, PUBLISHED, source};

const MAX_FIELDS: usize = 20;
const MAX_BOOLS: usize = 3;
const MAX_FUNCTION_LINES: usize = 80;

/// Items beyond a limit, by place, each with its reason. The end of a run names the exceptions that
/// are no longer needed.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("conn/src/proto/limits.rs::Limits", "a table of bounds"),
    ("conn/src/proto/rules.rs::Rules", "a table of capabilities"),
    (
        "client/cli/src/args.rs::Conform",
        "flags of the command line",
    ),
    ("server/cli/src/args.rs::Args", "flags of the command line"),
    ("frames/src/http2/error.rs::fmt", "a text for each variant"),
    (
        "xtask/src/interop/peer_servers.rs::command",
        "a command for each server",
    ),
];

/// Functions in these folders are tables of conformance cases: data, of any length.
const CASES: [&str; 4] = [
    "client/conform/src/http2/client/",
    "client/conform/src/http2/server/",
    "client/conform/src/spdy/client/",
    "client/conform/src/spdy/server/",
];

/// An item beyond a limit.
struct Excess {
    /// `path::item`, as in the list of exceptions.
    place: String,
    line: usize,
    what: String,
}

pub(super) fn shape(file: &File) -> Vec<String> {
    excesses(file)
        .into_iter()
        .filter(|excess| !EXCEPTIONS.iter().any(|(place, _)| *place == excess.place))
        .map(|excess| file.complaint(excess.line, &excess.what))
        .collect()
}

/// Exceptions for items that are within the limits, or removed.
pub(super) fn needless_exceptions(files: &[File]) -> Vec<&'static str> {
    let places: Vec<String> = files
        .iter()
        .filter(|file| {
            EXCEPTIONS
                .iter()
                .any(|(place, _)| place.starts_with(&file.path))
        })
        .flat_map(excesses)
        .map(|excess| excess.place)
        .collect();
    let exceptions = EXCEPTIONS.iter().map(|(place, _)| *place);
    exceptions
        .filter(|place| !places.iter().any(|needed| needed == place))
        .collect()
}

fn excesses(file: &File) -> Vec<Excess> {
    let ours = file.path.starts_with("xtask/src/")
        || PUBLISHED
            .iter()
            .any(|krate| file.path.starts_with(&format!("{krate}/src/")));
    if !ours || !file.is_rust() || file.is_generated() {
        return Vec::new();
    }
    let code = source::without_literals(&source::without_comments(&file.text));
    let lines: Vec<&str> = code.lines().collect();
    let mut excesses = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let found = if let Some(name) = item(line, "struct") {
            fields(&lines, start, name).map(|what| (name, what))
        } else if let Some(name) = item(line, "fn") {
            let is_cases = CASES.iter().any(|folder| file.path.starts_with(folder));
            let what = (!is_cases).then(|| function(&lines, start, name));
            what.flatten().map(|what| (name, what))
        } else {
            None
        };
        excesses.extend(found.map(|(name, what)| Excess {
            place: format!("{}::{name}", file.path),
            line: start + 1,
            what,
        }));
    }
    excesses
}

fn fields(lines: &[&str], start: usize, name: &str) -> Option<String> {
    let end = end_of_item(lines, start)?;
    let inner = indent(lines[start]) + 4;
    let fields = lines[start..end].iter().filter_map(|line| {
        let field = (indent(line) == inner).then_some(without_visibility(line.trim()))?;
        let (name, kind) = field.split_once(": ")?;
        source::is_identifier(name).then_some(kind)
    });
    let kinds: Vec<&str> = fields.collect();
    let bools = kinds.iter().filter(|kind| **kind == "bool,").count();
    if kinds.len() > MAX_FIELDS {
        return Some(format!(
            "`{name}` has {} fields (at most {MAX_FIELDS}): give it parts that own theirs",
            kinds.len()
        ));
    }
    (bools > MAX_BOOLS).then(|| {
        format!("`{name}` has {bools} booleans (at most {MAX_BOOLS}): an enum names the states")
    })
}

fn function(lines: &[&str], start: usize, name: &str) -> Option<String> {
    let length = end_of_item(lines, start)? + 1 - start;
    (length > MAX_FUNCTION_LINES).then(|| {
        format!(
            "`{name}` has {length} lines (at most {MAX_FUNCTION_LINES}): name its steps, or except \
             a table of data in xtask/src/tidy/shape.rs"
        )
    })
}

/// The name of the `struct` or `fn` that starts at `line`.
fn item<'a>(line: &'a str, keyword: &str) -> Option<&'a str> {
    let mut rest = without_visibility(line.trim());
    while let Some((word, after)) = rest.split_once(' ') {
        if word == keyword {
            let end = after.find(|c: char| !(c.is_alphanumeric() || c == '_'));
            let name = &after[..end.unwrap_or(after.len())];
            return (!name.is_empty()).then_some(name);
        }
        if !["const", "async", "unsafe", "extern", "\"\""].contains(&word) {
            return None;
        }
        rest = after;
    }
    None
}

/// The line that closes the item of line `start`. `None` for an item whose body does not span
/// several lines.
fn end_of_item(lines: &[&str], start: usize) -> Option<usize> {
    let depth = indent(lines[start]);
    for (number, line) in lines.iter().enumerate().skip(start) {
        let trimmed = line.trim_end();
        let at_depth = indent(line) == depth && !trimmed.is_empty();
        if number > start && at_depth && trimmed.trim_start() == "}" {
            return Some(number);
        }
        // A declaration, or a body on the same line.
        if at_depth && (trimmed.ends_with(';') || trimmed.ends_with('}')) {
            return None;
        }
    }
    None
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

fn without_visibility(line: &str) -> &str {
    let Some(rest) = line.strip_prefix("pub") else {
        return line;
    };
    match rest
        .strip_prefix('(')
        .and_then(|rest| rest.split_once(") "))
    {
        Some((_, rest)) => rest,
        None => rest.strip_prefix(' ').unwrap_or(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(text: &str) -> Vec<String> {
        shape(&File {
            path: "conn/src/a.rs".into(),
            text: text.into(),
        })
    }

    #[test]
    fn fields_are_counted() {
        let with = |count: usize| {
            let fields: String = (0..count)
                .map(|n| format!("    /// x: y\n    #[cfg(a)]\n    pub(crate) f{n}: Vec<u8>,\n"))
                .collect();
            format!("pub struct Big<T> {{\n{fields}}}\n")
        };
        assert!(complaints(&with(MAX_FIELDS)).is_empty());
        let found = complaints(&with(MAX_FIELDS + 1));
        assert!(
            found.len() == 1 && found[0].contains("`Big` has 21 fields"),
            "{found:?}"
        );
    }

    #[test]
    fn booleans_are_counted() {
        let three =
            "struct A {\n    a: bool,\n    pub b: bool,\n    c: bool,\n    d: Vec<bool>,\n}\n";
        assert!(complaints(three).is_empty());
        let found = complaints(&three.replace("Vec<bool>", "bool"));
        assert!(
            found.len() == 1 && found[0].contains("4 booleans"),
            "{found:?}"
        );
        assert!(complaints("struct A;\nstruct B(bool, bool, bool, bool);\n").is_empty());
    }

    #[test]
    fn functions_are_measured() {
        let with = |lines: usize| {
            let body = "        let s = \"}\";\n".repeat(lines - 2);
            format!("impl A {{\n    fn short() {{}}\n    pub const fn long(\n{body}    }}\n}}\n")
        };
        assert!(complaints(&with(MAX_FUNCTION_LINES)).is_empty());
        let found = complaints(&with(MAX_FUNCTION_LINES + 1));
        assert!(
            found.len() == 1 && found[0].contains("a.rs:3: `long` has 81"),
            "{found:?}"
        );
        assert!(complaints("trait A {\n    fn a(&self);\n}\n").is_empty());
    }

    #[test]
    fn exceptions_are_by_place_and_name() {
        let fields: String = (0..=MAX_FIELDS)
            .map(|n| format!("    f{n}: u8,\n"))
            .collect();
        let limits = File {
            path: "conn/src/proto/limits.rs".into(),
            text: format!("struct Limits {{\n{fields}}}\n"),
        };
        assert!(shape(&limits).is_empty());
        assert!(!needless_exceptions(&[limits]).contains(&"conn/src/proto/limits.rs::Limits"));
        assert_eq!(needless_exceptions(&[]).len(), EXCEPTIONS.len());
        let other = File {
            path: "conn/src/proto/limits.rs".into(),
            text: format!("struct Others {{\n{fields}}}\n"),
        };
        assert_eq!(shape(&other).len(), 1);
    }

    #[test]
    fn tables_of_cases_may_be_long() {
        let body = "    case();\n".repeat(MAX_FUNCTION_LINES);
        let at = |path: &str| File {
            path: path.into(),
            text: format!("fn rows() {{\n{body}}}\n"),
        };
        assert!(shape(&at("client/conform/src/spdy/client/push.rs")).is_empty());
        assert_eq!(shape(&at("client/conform/src/spdy/play.rs")).len(), 1);
    }
}
