//! Rules on `use` lines and on paths that begin with `crate::` or `super::`. The files of a crate
//! have no cycles, and a lower floor imports nothing from a higher one.
//!
//! A module and its submodules count as one: imports between them are permitted.

use super::{PUBLISHED, Tree, source};
use std::collections::{BTreeMap, BTreeSet};

/// The crates that are checked.
fn crates() -> impl Iterator<Item = &'static str> {
    PUBLISHED.into_iter().chain(["xtask"])
}

/// The floors of one folder, the lowest first. A module imports from lower floors, and from its
/// own.
struct Floors {
    krate: &'static str,
    folder: &'static str,
    floors: &'static [&'static [&'static str]],
}

const FLOORS: &[Floors] = &[
    Floors {
        krate: "conn",
        folder: "proto",
        floors: &[
            &[
                "authority",
                "config",
                "event",
                "ids",
                "limits",
                "memory",
                "output",
                "priority",
                "reason",
                "rules",
                "scheduler",
                "violation",
            ],
            &["flow", "head"],
            &["wire"],
            &["peer", "content", "streams"],
            &["engine"],
        ],
    },
    Floors {
        krate: "hpack",
        folder: "",
        floors: &[
            &["field", "huffman", "integer", "list", "static_table"],
            &["dynamic_table", "error", "index", "string"],
            &["decoder", "encoder"],
        ],
    },
    Floors {
        krate: "spdy-zlib",
        folder: "",
        floors: &[
            &["deflate", "dictionary", "error", "inflate", "list"],
            &["block"],
            &["decoder", "whole_field"],
            &["encoder"],
        ],
    },
    Floors {
        krate: "frames",
        folder: "",
        floors: &[&["block_bytes"], &["http2", "spdy"]],
    },
    Floors {
        krate: "server",
        folder: "",
        floors: &[
            &["board"],
            &["exchange"],
            &["multiplexed"],
            &["http1"],
            &["connection"],
            &["acceptor"],
            &["listener"],
            &["server"],
            &["live"],
        ],
    },
    Floors {
        krate: "xtask",
        folder: "interop",
        floors: &[&["process"], &["fixture"], &["java"], &["peer_servers"]],
    },
];

/// The known cycles, by the names of their files. This list must become empty.
const CIRCLES: &[&[&str]] = &[];

pub(super) fn circles(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for krate in crates() {
        for circle in Modules::of(tree, krate).circles() {
            if CIRCLES.iter().any(|known| *known == circle) {
                continue;
            }
            complaints.push(format!(
                "{krate}/src: these files import each other: {}; move what they share below them",
                circle.join(", ")
            ));
        }
    }
    complaints
}

pub(super) fn upward(tree: &Tree) -> Vec<String> {
    FLOORS
        .iter()
        .flat_map(|floors| floors.check(&Modules::of(tree, floors.krate)))
        .collect()
}

impl Floors {
    fn check(&self, modules: &Modules) -> Vec<String> {
        let mut complaints = Vec::new();
        let floor = |module: &str| -> Option<usize> {
            let rest = match self.folder {
                "" => module,
                folder => module.strip_prefix(folder)?.strip_prefix("::")?,
            };
            let room = rest.split("::").next()?;
            self.floors.iter().position(|floor| floor.contains(&room))
        };
        for (from, targets) in &modules.imports {
            for to in targets {
                let (Some(low), Some(high)) = (floor(from), floor(to)) else {
                    continue;
                };
                if low < high {
                    complaints.push(format!(
                        "{}/src: {from} imports {to}, which is above it (the floors are in \
                         xtask/src/tidy/imports.rs)",
                        self.krate
                    ));
                }
            }
        }
        complaints
    }
}

/// The modules of a crate, each a file, and the modules that they import.
struct Modules {
    imports: BTreeMap<String, BTreeSet<String>>,
}

impl Modules {
    fn of(tree: &Tree, krate: &str) -> Self {
        let prefix = format!("{krate}/src/");
        let files = tree.files.iter().filter_map(|file| {
            let inner = file.path.strip_prefix(&prefix)?.strip_suffix(".rs")?;
            let module = match inner {
                "lib" | "main" => String::new(),
                _ => inner.replace('/', "::"),
            };
            Some((module, file.text.as_str()))
        });
        Self::from_files(&files.collect())
    }

    fn from_files(files: &BTreeMap<String, &str>) -> Self {
        let mut imports = BTreeMap::new();
        for (module, text) in files {
            let targets = uses(text)
                .iter()
                .filter_map(|path| resolve(module, path, files))
                .filter(|target| !related(module, target))
                .collect();
            imports.insert(module.clone(), targets);
        }
        Self { imports }
    }

    /// Groups of files that all reach each other.
    fn circles(&self) -> Vec<Vec<&str>> {
        let reach: BTreeMap<&str, BTreeSet<&str>> = self
            .imports
            .keys()
            .map(|module| (module.as_str(), self.reachable(module)))
            .collect();
        let mut circles: Vec<Vec<&str>> = Vec::new();
        for (module, reached) in &reach {
            let circle: Vec<&str> = reached
                .iter()
                .copied()
                .filter(|other| reach.get(other).is_some_and(|back| back.contains(module)))
                .collect();
            if circle.len() > 1 && !circles.contains(&circle) {
                circles.push(circle);
            }
        }
        circles
    }

    fn reachable(&self, from: &str) -> BTreeSet<&str> {
        let mut reached = BTreeSet::new();
        let mut open = vec![from];
        while let Some(module) = open.pop() {
            for target in self.imports.get(module).into_iter().flatten() {
                if reached.insert(target.as_str()) {
                    open.push(target);
                }
            }
        }
        reached
    }
}

/// Returns whether one of the two modules is a submodule of the other.
fn related(a: &str, b: &str) -> bool {
    let holds = |outer: &str, inner: &str| {
        outer.is_empty()
            || outer == inner
            || inner
                .strip_prefix(outer)
                .is_some_and(|rest| rest.starts_with("::"))
    };
    holds(a, b) || holds(b, a)
}

/// The module of this crate that `path` names in `module`.
fn resolve(module: &str, path: &str, files: &BTreeMap<String, &str>) -> Option<String> {
    let mut place: Vec<&str> = module.split("::").filter(|part| !part.is_empty()).collect();
    let mut parts = path.split("::").peekable();
    match *parts.peek()? {
        "crate" => {
            place.clear();
            parts.next();
        }
        "self" => {
            parts.next();
        }
        "super" => {
            while parts.next_if_eq(&"super").is_some() {
                place.pop()?;
            }
        }
        _ => return None,
    }
    for part in parts {
        place.push(part);
        if !files.contains_key(&place.join("::")) {
            place.pop();
            break;
        }
    }
    Some(place.join("::"))
}

/// Every path that `text` names in a `use`, or from `crate::` or `super::` on, without its tests.
fn uses(text: &str) -> Vec<String> {
    let code = source::without_comments(text);
    let code = code
        .split("#[cfg(test)]\nmod tests")
        .next()
        .unwrap_or_default();
    let mut paths = Vec::new();
    let mut rest = code;
    while let Some(at) = rest.find("use ") {
        let starts = rest[..at]
            .rsplit('\n')
            .next()
            .is_some_and(|before| before.trim().is_empty() || before.trim().starts_with("pub"));
        rest = &rest[at + 4..];
        if starts {
            let end = rest.find(';').unwrap_or(rest.len());
            expand("", &rest[..end], &mut paths);
        }
    }
    for start in ["crate::", "super::"] {
        let places = code.match_indices(start).filter(|(at, _)| {
            // Not the second half of `super::super::`.
            let before = code[..*at].chars().next_back();
            before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':')
        });
        paths.extend(places.map(|(at, _)| whole_path(&code[at..])));
    }
    paths
}

/// The path at the begin of `code`, such as `crate::a::b` of `crate::a::b(c)`.
fn whole_path(code: &str) -> String {
    let end = code.find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
    let path = &code[..end.unwrap_or(code.len())];
    path.trim_end_matches(':').to_owned()
}

/// Splits `a::{b, c::{d}}` into `a::b` and `a::c::d`.
fn expand(prefix: &str, tree: &str, paths: &mut Vec<String>) {
    let tree = tree.trim();
    let Some((head, group)) = tree.split_once('{') else {
        let name = tree.split_whitespace().next().unwrap_or_default();
        paths.push(format!("{prefix}{name}"));
        return;
    };
    let prefix = format!("{prefix}{}", head.trim());
    let group = group.strip_suffix('}').unwrap_or(group);
    let (mut depth, mut start) = (0_usize, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                expand(&prefix, &group[start..at], paths);
                start = at + 1;
            }
            _ => {}
        }
    }
    if !group[start..].trim().is_empty() {
        expand(&prefix, &group[start..], paths);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modules(files: &[(&str, &'static str)]) -> Modules {
        let files = files.iter().map(|(name, text)| ((*name).to_owned(), *text));
        Modules::from_files(&files.collect())
    }

    #[test]
    fn circles_are_found() {
        let found = modules(&[
            ("", "mod a;\nuse a::A;\n"),
            ("a", "use crate::{\n    b::B,\n    c::{C, D},\n};\n"),
            ("b", "pub(crate) use super::c::C;\n"),
            ("c", "fn f() {\n    use super::a;\n}\n"),
            ("d", "use crate::a::A;\n"),
        ]);
        assert_eq!(found.circles(), [["a", "b", "c"]]);
        let found = modules(&[
            ("a", "use crate::b::B;\n"),
            ("b", "fn f() {\n    crate::a::g();\n}\n"),
        ]);
        assert_eq!(found.circles(), [["a", "b"]]);
        let found = modules(&[
            ("x::a", "use super::b::B;\n"),
            ("x::b", "fn f() {\n    super::a::g();\n}\n"),
        ]);
        assert_eq!(found.circles(), [["x::a", "x::b"]]);
    }

    #[test]
    fn a_module_and_its_parts_are_one_room() {
        let found = modules(&[
            ("a", "use self::b::B;\n"),
            ("a::b", "use super::{A, c::C};\n// use super::d;\n"),
            (
                "a::c",
                "#[cfg(test)]\nmod tests {\n    use super::super::b::B;\n}\n",
            ),
        ]);
        assert!(found.circles().is_empty());
        assert_eq!(found.imports["a::b"].iter().next().unwrap(), "a::c");
    }

    #[test]
    fn a_lower_room_imports_nothing_from_a_higher_one() {
        let floors = Floors {
            krate: "x",
            folder: "p",
            floors: &[&["ids", "limits"], &["engine"]],
        };
        let good = modules(&[
            ("p::engine::a", "use crate::p::ids::Ids;\n"),
            ("p::ids", ""),
        ]);
        assert!(floors.check(&good).is_empty());
        let bad = modules(&[("p::ids", "use super::engine::E;\n"), ("p::engine", "")]);
        let found = floors.check(&bad);
        assert!(
            found.len() == 1 && found[0].contains("p::ids imports p::engine"),
            "{found:?}"
        );
    }
}
