//! `docs/public-types.md` and the table in `ARCHITECTURE.md` name and count the public types of each
//! library. The names in the code are those of `pub use` and `pub struct` (`enum`, `trait`, `type`)
//! in `lib.rs` and in the public modules below it.

use super::{File, Tree, source};
use crate::packages::{LIBRARIES, folder};
use std::collections::{BTreeMap, BTreeSet};

const PAGE: &str = "docs/public-types.md";
const ARCHITECTURE: &str = "ARCHITECTURE.md";

/// Names that several crates have for the same thing in another codec, or on another layer. A type
/// of lacewing-frames may have the name of its frame.
const SHARED: [&str; 10] = [
    "BlockEncoder",
    "DecodeError",
    "Decoder",
    "EncodeError",
    "Encoder",
    "ListLimits",
    "Origin",
    "Priority",
    "Setting",
    "Summary",
];

pub(super) fn listed(tree: &Tree) -> Vec<String> {
    let file = |path: &str| tree.files.iter().find(|file| file.path == path);
    let (Some(page), Some(architecture)) = (file(PAGE), file(ARCHITECTURE)) else {
        return vec![format!("{PAGE} or {ARCHITECTURE}: missing")];
    };
    let mut complaints = Vec::new();
    for package in LIBRARIES {
        let folder = folder(package);
        let rows = rows(&page.text, package);
        let listed: BTreeSet<&str> = rows.iter().map(|name| last_segment(name)).collect();
        let mut exported = BTreeSet::new();
        exports(tree, &format!("{folder}/src/lib"), &mut exported);
        for name in &exported {
            if !listed.contains(name.as_str()) {
                complaints
                    .push(page.complaint(0, &format!("{package} exports `{name}`; add a row")));
            }
        }
        for name in listed {
            if !exported.contains(name) {
                complaints.push(page.complaint(0, &format!("{package} exports no `{name}`")));
            }
        }
        let count = rows.len().to_string();
        let counts = [
            (page, cell(&page.text, &format!("| [{package}]("), 3)),
            (
                architecture,
                cell(&architecture.text, &format!("| `{package}` |"), 2),
            ),
        ];
        for (file, cell) in counts {
            let number = cell.and_then(|cell| cell.split(' ').next());
            if number != Some(count.as_str()) {
                let what = format!("the number of {package}'s public types is {count}");
                complaints.push(file.complaint(0, &what));
            }
        }
    }
    complaints
}

/// A name means the same in every crate: two crates do not use it for two types.
pub(super) fn one_meaning(tree: &Tree) -> Vec<String> {
    let Some(page) = tree.files.iter().find(|file| file.path == PAGE) else {
        return Vec::new();
    };
    let mut owners = BTreeMap::new();
    let mut complaints = Vec::new();
    for package in LIBRARIES {
        for name in rows(&page.text, package).into_iter().map(last_segment) {
            let owner = *owners.entry(name).or_insert(package);
            if owner != package && !SHARED.contains(&name) {
                let what = format!("`{name}` is a type of {owner} and of {package}: rename one");
                complaints.push(page.complaint(0, &what));
            }
        }
    }
    complaints
}

/// The names in a package's section of the page, with their modules. The row
/// ``| `A`, `B` of `module` |`` has two names.
fn rows<'a>(page: &'a str, package: &str) -> Vec<&'a str> {
    let heading = format!("## {package}");
    let lines = page.lines().skip_while(|line| *line != heading).skip(1);
    let section = lines.take_while(|line| !line.starts_with("## "));
    let cells = section.filter_map(|line| line.strip_prefix("| `")?.split(" |").next());
    cells
        .flat_map(|cell| {
            let names = cell.split(" of ").next().unwrap_or(cell);
            names.split(", ").map(|name| name.trim_matches('`'))
        })
        .collect()
}

/// The cell with this index of the first row that begins so.
fn cell<'a>(text: &'a str, row: &str, index: usize) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(row))?;
    line.split('|').nth(index).map(str::trim)
}

/// Adds the names that a module and its public modules export. `module` is its path without `.rs`.
fn exports(tree: &Tree, module: &str, names: &mut BTreeSet<String>) {
    let path = format!("{module}.rs");
    let Some(file) = tree.files.iter().find(|file| file.path == path) else {
        return;
    };
    let code = code(file);
    for statement in code.split("pub use ").skip(1) {
        let statement = statement.split(';').next().unwrap_or_default();
        // Types of other crates are listed at their own crate, or not at all.
        if !["lacewing_", "openssl::"]
            .iter()
            .any(|other| statement.starts_with(other))
        {
            names.extend(type_names(statement));
        }
    }
    for line in code.lines() {
        for kind in ["struct ", "enum ", "trait ", "type "] {
            let item = line
                .strip_prefix("pub ")
                .and_then(|line| line.strip_prefix(kind));
            names.extend(item.and_then(|item| type_names(item).next()));
        }
        let below = line
            .strip_prefix("pub mod ")
            .and_then(|line| line.strip_suffix(';'));
        if let Some(below) = below {
            let folder = module.strip_suffix("/lib").map_or(module, |folder| folder);
            exports(tree, &format!("{folder}/{below}"), names);
        }
    }
}

/// The code of a file, without comments and tests.
fn code(file: &File) -> String {
    let code = source::without_comments(&file.text);
    let end = code.find("#[cfg(test)]\nmod ").unwrap_or(code.len());
    code.get(..end).unwrap_or_default().to_owned()
}

/// The words in upper camel case: types, not functions, modules or constants.
fn type_names(text: &str) -> impl Iterator<Item = String> + '_ {
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
    let is_type = |word: &&str| {
        word.starts_with(|c: char| c.is_ascii_uppercase())
            && word.contains(|c: char| c.is_ascii_lowercase())
    };
    words.filter(is_type).map(str::to_owned)
}

fn last_segment(name: &str) -> &str {
    name.rsplit("::").next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(code: &str, page: &str, count: usize) -> Vec<String> {
        let mut files = Vec::new();
        let mut add = |path: &str, text: String| {
            files.push(File {
                path: path.to_owned(),
                text,
            });
        };
        add("hpack/src/lib.rs", code.to_owned());
        add(
            "hpack/src/huffman.rs",
            "pub struct Huffman;\nstruct Own;\n".to_owned(),
        );
        let mut text = String::new();
        let mut table = String::new();
        for package in LIBRARIES {
            let here = if package == "lacewing-hpack" {
                count
            } else {
                0
            };
            text.push_str(&format!("| [{package}](#{package}) | 1 | {here} |\n"));
            table.push_str(&format!("| `{package}` | {here} (1) | x |\n"));
        }
        text.push_str(&format!(
            "\n## lacewing-hpack\n\n{page}\n## lacewing-conn\n"
        ));
        add(PAGE, text);
        add(ARCHITECTURE, table);
        listed(&Tree {
            files,
            ..Tree::default()
        })
    }

    #[test]
    fn the_page_has_exactly_the_exported_types() {
        let code = "pub mod huffman;\npub use table::{\n    Entry, MAX, Table,\n};\npub use lacewing_x::Y;\n";
        let page = "| `Entry`, `Table` of `table` | x |\n| `huffman::Huffman` | x |\n";
        assert_eq!(complaints(code, page, 3), [""; 0]);
        assert_eq!(complaints(code, page, 2).len(), 2);
        let found = complaints(code, "| `Entry` | x |\n| `Table` | x |\n", 2);
        assert!(
            found.len() == 1 && found[0].contains("`Huffman`"),
            "{found:?}"
        );
        let found = complaints("pub use table::{Entry, Table};", page, 3);
        assert!(
            found.len() == 1 && found[0].contains("no `Huffman`"),
            "{found:?}"
        );
    }

    #[test]
    fn a_name_has_one_owner() {
        let page = |text: &str| Tree {
            files: vec![File {
                path: PAGE.to_owned(),
                text: text.to_owned(),
            }],
            ..Tree::default()
        };
        let rows = |name: &str| {
            let text =
                "## lacewing-hpack\n| `NAME` | a |\n## lacewing-conn\n| `proto::NAME` | b |\n";
            text.replace("NAME", name)
        };
        assert_eq!(one_meaning(&page(&rows("Version"))).len(), 1);
        assert!(one_meaning(&page(&rows("Encoder"))).is_empty());
    }
}
